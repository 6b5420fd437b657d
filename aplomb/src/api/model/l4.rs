//! The kernel data plane: the answer to `GET /v1/l4`, and what `status` says of services that the kernel forwards.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kernel data plane at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct L4Status {
    /// The version of its tables' layout.
    pub layout: u32,
    /// Where its program and tables are pinned.
    pub pin: String,
    /// Whether the tables were there already when the daemon began.
    pub adopted: bool,
    /// The plan that it carried out last.
    pub generation: u64,
    /// Where it is attached, or should be.
    pub interfaces: Vec<Attachment>,
    /// How full its tables are.
    pub tables: Vec<TableFill>,
    /// Packets of services that were dropped, by reason.
    pub drops: Vec<ReasonCount>,
    /// Packets left to the machine's own network stack, by reason.
    pub passes: Vec<ReasonCount>,
    /// How long idle connections are remembered, by state.
    pub timeouts: Vec<StateTimeout>,
    /// The last sweep through all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Backends that take no new work and still have connections, with how many are left.
    pub draining: Vec<Draining>,
    /// What did not work when the last plan was carried out; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Connection sync, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<super::SyncStatus>,
    /// Connection sync by IPVS's own protocol, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipvs_sync: Option<super::IpvsSyncStatus>,
}

/// The program on one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Attachment {
    /// The interface's name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// `native`: in the driver; `generic`: behind it, which costs more; none: not attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Why it is not attached, or not in the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How full a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct TableFill {
    /// The table's name.
    pub table: String,
    /// Entries as of the last sweep.
    pub used: u64,
    /// The most it holds.
    pub size: u64,
}

/// How often something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReasonCount {
    /// Why, one of a fixed set.
    pub reason: String,
    /// How many packets.
    pub packets: u64,
}

/// How long an idle connection in a state is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct StateTimeout {
    /// The state: `ESTABLISHED`, `FIN_WAIT` …
    pub state: String,
    /// Seconds.
    pub seconds: u32,
}

/// What a sweep through all connections found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Sweep {
    /// Entries that were looked at.
    pub entries: u64,
    /// Those that had expired and were taken out.
    pub expired: u64,
    /// Backends whose counts had to be put right.
    pub corrected: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A backend that takes no new work and still has connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Draining {
    /// The service.
    pub service: String,
    /// The backend's address.
    pub backend: String,
    /// Connections that are left, active or not.
    pub left: u64,
    /// Those of them that are active.
    pub active: u64,
    /// Persistence entries that still lead to it.
    pub persistent: u64,
    /// The configuration no longer has it.
    pub removed: bool,
}

/// A service that the kernel forwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct KernelService {
    /// Its name.
    pub name: String,
    /// How a backend is chosen.
    pub balance: String,
    /// Connections that count as active, over all backends.
    pub active: u64,
    /// The others that are still remembered.
    pub inactive: u64,
    /// Clients that are remembered (persistence).
    pub persistent: u64,
    /// What went through it, since it was last put to zero.
    pub traffic: Traffic,
    /// The same per second, over the last seconds.
    pub rates: Traffic,
    /// Its SYN cookies; none: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<SynCookies>,
    /// Its backends in the order of the configuration, those that were removed and still have connections last.
    pub backends: Vec<KernelBackend>,
}

/// SYN cookies of a service that the kernel forwards, since its tables were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SynCookies {
    /// Whether SYNs are answered with them now.
    pub active: bool,
    /// Handshakes that are open, of a service that has `"auto"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<u32>,
    /// SYNs that were answered with one.
    pub sent: u64,
    /// Connections that began with one.
    pub accepted: u64,
    /// Acknowledgements that brought back none of ours, and were dropped.
    pub bad: u64,
}

/// A backend of a service that the kernel forwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct KernelBackend {
    /// Where it listens; port 0: the one that the client asked for.
    pub address: String,
    /// How packets reach it: `nat`, `direct`, `tunnel` or `local`.
    pub forward: String,
    /// What goes around them in a tunnel: `ipip`, `gre`, `gue:6080`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
    /// Its weight as it counts now; 0: no new work.
    pub weight: u32,
    /// Whether it may be given new work.
    pub takes: bool,
    /// The configuration no longer has it.
    pub removed: bool,
    /// It has as many connections as it may have.
    pub full: bool,
    /// Connections at which it is full; 0: never.
    pub upper: u32,
    /// Connections below which it is full no longer; 0: three quarters of `upper`.
    pub lower: u32,
    /// Connections that count as active.
    pub active: u64,
    /// The others that are still remembered.
    pub inactive: u64,
    /// Clients that are remembered as its own (persistence).
    pub persistent: u64,
    /// What went to it and came from it, since it was last put to zero.
    pub traffic: Traffic,
    /// The same per second, over the last seconds.
    pub rates: Traffic,
}

impl KernelBackend {
    /// Connections that are remembered, active or not.
    pub(crate) fn connections(&self) -> u64 {
        self.active + self.inactive
    }

    /// Whether it takes no new work but has connections left.
    pub(crate) fn drains(&self) -> bool {
        (!self.takes || self.removed || self.weight == 0) && self.connections() > 0
    }
}

/// What went through. What backends send past the balancer (`direct`, `tunnel`) is not seen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Traffic {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes from clients, IP headers included.
    pub in_bytes: u64,
    /// Bytes to clients.
    pub out_bytes: u64,
}

/// How busy a backend of a pool is with the connections that the kernel forwards, over all services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct KernelLoad {
    /// Connections that count as active.
    pub active: u64,
    /// The others that are still remembered.
    pub inactive: u64,
    /// Clients that are remembered as its own (persistence).
    pub persistent: u64,
}

/// Connections that the kernel remembers: the answer to `GET /v1/l4/connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Connections {
    /// Those that were asked for, in no order.
    pub connections: Vec<Connection>,
    /// How many were looked at for that.
    pub looked_at: u64,
    /// There may be more of them.
    pub more: bool,
}

/// One remembered connection, or a client that is remembered (persistence).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Connection {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Its state: `ESTABLISHED`, `FIN_WAIT`, `UDP` …
    pub state: String,
    /// Seconds until it is forgotten if nothing more comes.
    pub expires_seconds: u32,
    /// The client; its network and port 0 where only that is remembered.
    pub client: String,
    /// Where the client turned to.
    pub target: String,
    /// Where it is led.
    pub backend: String,
    /// The service; none: it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// It is no connection, but a client that is remembered.
    pub template: bool,
    /// Its handshake is not complete.
    pub pending: bool,
}

/// One decision of the kernel program on one packet: a line of `GET /v1/l4/trace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Decision {
    /// When: nanoseconds of the machine's monotonic clock.
    pub nanos: u64,
    /// Whom the packet came from.
    pub source: String,
    /// Whom it is for.
    pub destination: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `new`, `established`, `reply`, `cookie`, `drop` or `pass`.
    pub verdict: String,
    /// Why it was dropped or passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The interface it came in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Length of the frame, in bytes.
    pub length: u32,
    /// One decision in so many was looked at: more traffic, fewer looks.
    pub one_in: u32,
    /// Decisions since the last line that were wanted too, but beyond the rate.
    pub missed: u64,
}
