//! The kernel data plane as a whole: where it is attached, how much it remembers, and for how long.

use std::{path::PathBuf, time::Duration};

use serde::{Serialize, Serializer};

use super::value;

/// `[l4]`: the kernel data plane as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct L4Spec {
    /// The configuration speaks of it at all, if only by an empty `[l4]`: it may be wanted though no service is forwarded
    /// by the kernel yet.
    #[serde(skip)]
    pub asked: bool,
    /// Where packets come in.
    pub interfaces: Interfaces,
    /// How the program is attached to them.
    pub mode: XdpMode,
    /// The most established flows that are remembered, of each family; past it, one that would end soon gives way. Memory is taken at the start: 108 bytes a flow for IPv4 and 176 for IPv6.
    pub max_flows: u32,
    /// The same for those that are not established yet.
    pub max_handshakes: u32,
    /// How long idle flows are remembered.
    pub timeouts: TimeoutsSpec,
    /// First and last port that `source = "pool"` uses.
    #[serde(serialize_with = "value::ports")]
    pub source_ports: (u16, u16),
    /// Where programs and tables are pinned, so that they outlive the daemon; on a BPF file system.
    pub pin: PathBuf,
}

impl L4Spec {
    /// Where programs and tables are pinned when nothing else is said.
    pub const DEFAULT_PIN: &'static str = "/sys/fs/bpf/aplomb";
    /// Below the ports that Linux takes for connections of its own by default (32768 to 60999).
    pub const DEFAULT_SOURCE_PORTS: (u16, u16) = (1024, 32767);
}

impl Default for L4Spec {
    fn default() -> Self {
        Self {
            asked: false,
            interfaces: Interfaces::Auto,
            mode: XdpMode::Auto,
            max_flows: 1 << 20,
            max_handshakes: 1 << 17,
            timeouts: TimeoutsSpec::default(),
            source_ports: Self::DEFAULT_SOURCE_PORTS,
            pin: Self::DEFAULT_PIN.into(),
        }
    }
}

/// The interfaces that the program is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interfaces {
    /// All that packets can come in by.
    Auto,
    /// These.
    Named(Vec<String>),
}

impl Serialize for Interfaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Named(names) => names.serialize(serializer),
        }
    }
}

/// How the program is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum XdpMode {
    /// In the driver if it can, else as `generic`.
    Auto,
    /// In the driver, or not at all.
    Native,
    /// Behind the driver: slower, on any interface.
    Generic,
}

/// How long an idle flow is remembered, by its state; IPVS's states and defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeoutsSpec {
    /// An established TCP connection.
    #[serde(serialize_with = "value::duration")]
    pub tcp: Duration,
    /// One that one side has closed (FIN_WAIT).
    #[serde(serialize_with = "value::duration")]
    pub tcp_fin: Duration,
    /// A flow of UDP.
    #[serde(serialize_with = "value::duration")]
    pub udp: Duration,
    /// An association of SCTP.
    #[serde(serialize_with = "value::duration")]
    pub sctp: Duration,
    /// SYN_SENT.
    #[serde(serialize_with = "value::duration")]
    pub syn_sent: Duration,
    /// SYN_RECV.
    #[serde(serialize_with = "value::duration")]
    pub syn_recv: Duration,
    /// TIME_WAIT.
    #[serde(serialize_with = "value::duration")]
    pub time_wait: Duration,
    /// CLOSE.
    #[serde(serialize_with = "value::duration")]
    pub close: Duration,
    /// CLOSE_WAIT.
    #[serde(serialize_with = "value::duration")]
    pub close_wait: Duration,
    /// LAST_ACK.
    #[serde(serialize_with = "value::duration")]
    pub last_ack: Duration,
    /// LISTEN.
    #[serde(serialize_with = "value::duration")]
    pub listen: Duration,
    /// SYNACK.
    #[serde(serialize_with = "value::duration")]
    pub synack: Duration,
    /// NONE: nothing is known of it.
    #[serde(serialize_with = "value::duration")]
    pub none: Duration,
}

impl Default for TimeoutsSpec {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            tcp: seconds(900),
            tcp_fin: seconds(120),
            udp: seconds(300),
            sctp: seconds(900),
            syn_sent: seconds(120),
            syn_recv: seconds(60),
            time_wait: seconds(120),
            close: seconds(10),
            close_wait: seconds(60),
            last_ack: seconds(30),
            listen: seconds(120),
            synack: seconds(120),
            none: seconds(2),
        }
    }
}
