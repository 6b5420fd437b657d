//! What the kernel data plane tells of itself: read by the admin API, metrics and `ipvsadm`.
//!
//! Plain values that serialise both ways. Numbers of packets, bytes and connections count from the last
//! `L4::zero`; loads (active, inactive, persistent) are as of now.

use std::{borrow::Cow, net::SocketAddr, path::PathBuf};

use control::name::Name;
use serde::{Deserialize, Serialize};

/// A word that one of the tables in [`xdp::abi`] has a number for.
pub type Word = Cow<'static, str>;

/// The kernel data plane as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct L4Status {
    /// The version of its tables' layout ([`xdp::abi::LAYOUT`]).
    pub layout: u32,
    /// Where its program and tables are pinned.
    pub pin: PathBuf,
    /// Whether the tables were there already when this process began.
    pub adopted: bool,
    /// The plan that was carried out last.
    pub generation: u64,
    /// Where it is attached, or should be.
    pub interfaces: Vec<Attachment>,
    /// How full its tables are.
    pub tables: Vec<Fill>,
    /// Packets of services that were dropped, by reason.
    pub drops: Vec<Tally>,
    /// Packets left to the machine's own stack, by reason.
    pub passes: Vec<Tally>,
    /// Timeouts by state, seconds.
    pub timeouts: Vec<Timeout>,
    /// The last sweep through all flows; none: there was none yet.
    pub sweep: Option<SweepStatus>,
    /// What did not work when the last plan was carried out; it is tried again.
    pub trouble: Option<String>,
}

/// The program on one interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The interface's name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// How it is attached; none: it is not.
    pub mode: Option<AttachMode>,
    /// Why it is not attached, or not in the driver; what keeps the kernel from forwarding there.
    pub reason: Option<String>,
}

/// How the program is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachMode {
    /// In the driver.
    Native,
    /// Behind it.
    Generic,
}

/// How full a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The table's name.
    pub table: Word,
    /// Entries as of the last sweep.
    pub used: u64,
    /// The most it holds.
    pub size: u64,
}

/// How often something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Its word ([`xdp::abi::Reason::word`], [`xdp::abi::PassReason::word`]).
    pub reason: Word,
    /// How often.
    pub packets: u64,
}

/// How long an idle flow in a state is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeout {
    /// The state, by IPVS's name.
    pub state: Word,
    /// Seconds.
    pub seconds: u32,
}

/// What a sweep through all flows found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepStatus {
    /// Entries that were looked at.
    pub entries: u64,
    /// Those that had expired and were taken out.
    pub expired: u64,
    /// Loads of backends that had to be put right.
    pub corrected: u64,
    /// How long it took, milliseconds.
    pub millis: u64,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: Name,
    /// The pool that its backends are of.
    pub pool: Name,
    /// Where it listens, as [`control::spec::Listen`] is written.
    pub listen: Vec<String>,
    /// How a backend is chosen, as [`control::spec::Balance`] is written.
    pub balance: Word,
    /// Connections that count as active, over all backends.
    pub active: u64,
    /// The others.
    pub inactive: u64,
    /// Persistence templates.
    pub persistent: u64,
    /// What went through it.
    pub traffic: Traffic,
    /// The same by second.
    pub rates: Rates,
    /// Its SYN cookies; none: it has none.
    pub cookies: Option<CookieStatus>,
    /// Its backends in config order, those that were removed and still have flows last.
    pub backends: Vec<BackendStatistics>,
}

/// SYN cookies of a service, since its tables were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookieStatus {
    /// Whether SYNs are answered with them now.
    pub active: bool,
    /// Handshakes that are open, of a service that looks at that.
    pub open: Option<u32>,
    /// SYNs that were.
    pub sent: u64,
    /// Connections that began with one.
    pub accepted: u64,
    /// Acknowledgements that brought none back.
    pub bad: u64,
}

/// One backend of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendStatistics {
    /// Where it listens; port 0: the one that the client asked for.
    pub address: SocketAddr,
    /// How packets reach it.
    pub method: Method,
    /// What goes around them with [`Method::Tunnel`].
    pub tunnel: Option<Tunnel>,
    /// Its weight as it counts now; 0: no new work.
    pub weight: u32,
    /// Whether it may be given new work.
    pub takes: bool,
    /// The configuration no longer has it.
    pub removed: bool,
    /// Connections at which it is full; 0: never.
    pub upper: u32,
    /// Connections below which it is no longer full; 0: three quarters of `upper`.
    pub lower: u32,
    /// Whether it is full.
    pub full: bool,
    /// Connections that count as active.
    pub active: u32,
    /// The others.
    pub inactive: u32,
    /// Persistence templates that lead to it.
    pub persistent: u32,
    /// What went to it and came from it.
    pub traffic: Traffic,
    /// The same by second.
    pub rates: Rates,
}

/// How packets reach a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Address translation (IPVS: Masq).
    Nat,
    /// Only link-layer addresses change (Route).
    Direct,
    /// Encapsulated (Tunnel).
    Tunnel,
    /// The backend is this machine (Local).
    Local,
}

/// An encapsulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// `ipip`, `gue` or `gre`.
    pub kind: Word,
    /// Where GUE goes; 0 for the others.
    pub port: u16,
    /// The outer UDP or GRE header carries a checksum.
    pub checksum: bool,
}

/// What went through; since it was last put to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients (`nat` alone: others' do not pass).
    pub out_packets: u64,
    /// Bytes from clients, IP header included.
    pub in_bytes: u64,
    /// Bytes to clients.
    pub out_bytes: u64,
}

/// The same by second, as IPVS estimates it: each two seconds a quarter of the way to what was just seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Connections a second.
    pub connections: u64,
    /// Packets a second from clients.
    pub in_packets: u64,
    /// Packets a second to clients.
    pub out_packets: u64,
    /// Bytes a second from clients.
    pub in_bytes: u64,
    /// Bytes a second to clients.
    pub out_bytes: u64,
}

/// One remembered connection, or a persistence template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// IP protocol: 6, 17 or 132.
    pub protocol: u8,
    /// Seconds until it is forgotten if nothing more comes.
    pub expires: u32,
    /// Its state by IPVS's name: `ESTABLISHED`, `UDP`, … A template that was used is `ASSURED`.
    pub state: Word,
    /// The client; of a template, its network and port 0.
    pub client: SocketAddr,
    /// Where the client turned to.
    pub target: SocketAddr,
    /// Where it is led.
    pub backend: SocketAddr,
    /// The service; none: it was deleted and its slot is somebody's no longer.
    pub service: Option<Name>,
    /// Whether it is a persistence template.
    pub template: bool,
    /// Whether it is in the table of handshakes.
    pub pending: bool,
}
