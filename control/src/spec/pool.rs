//! Pools: backends, how one is chosen, and when it may be.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::{Serialize, Serializer};

use super::{
    check::{AgentSpec, CheckSpec, PassiveSpec},
    kernel::{ServerId, TunnelSpec},
    service::Forward,
    value::{self, Share},
};
use crate::name::Name;

/// `[[pool]]`: backends, how one is chosen and how they are checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolSpec {
    /// The pool's name.
    pub name: Name,
    /// How a backend is chosen.
    pub balance: Balance,
    /// Active checks; all of them must pass. None: backends count as up until traffic says otherwise.
    pub checks: Vec<CheckSpec>,
    /// The agent that backends state their own weight and drain with.
    pub agent: Option<AgentSpec>,
    /// What traffic itself tells of a backend.
    pub passive: PassiveSpec,
    /// With fewer than this share of the backends up, all that are not disabled or draining are tried.
    /// [`Share::NONE`] switches it off.
    pub panic_below: Share,
    /// A backend that comes up reaches its whole weight after this time; zero: at once.
    #[serde(serialize_with = "value::duration")]
    pub slow_start: Duration,
    /// Where requests wait when every backend is at its `max_connections`.
    pub queue: QueueSpec,
    /// How long a removed or draining backend's connections may go on; none: as long as they like.
    #[serde(serialize_with = "value::opt_duration")]
    pub drain: Option<Duration>,
    /// How connections to backends are made and kept.
    pub connect: ConnectSpec,
    /// Backends in config order.
    pub backends: Vec<BackendSpec>,
}

/// One backend of a pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendSpec {
    /// Where it listens; port 0, for kernel services only: the port that the client asked for.
    pub address: SocketAddr,
    /// Its share of new work: 0 to 65535 in the configuration, to 2^31-1 by `ipvsadm`; 0: no new work, what goes on
    /// may finish.
    pub weight: u32,
    /// Takes work only when no other backend can.
    pub backup: bool,
    /// The most requests (HTTP) or connections (TCP, UDP) at a time; IPVS calls it the upper threshold.
    pub max_connections: Option<u32>,
    /// Kernel services: once full, it takes no new work before it has less than this (IPVS's lower threshold); none:
    /// three quarters of `max_connections`.
    pub resume_below: Option<u32>,
    /// Starts disabled: no work until an operator enables it.
    pub disabled: bool,
    /// Where its checks go, if not to `address`: the agent or status port, or another address altogether.
    pub check_address: Option<SocketAddr>,
    /// Kernel services: reached otherwise than the service says.
    pub forward: Option<Forward>,
    /// Kernel services: encapsulated otherwise than the service says.
    pub tunnel: Option<TunnelSpec>,
    /// What names it in QUIC connection IDs.
    pub server_id: Option<ServerId>,
}

impl BackendSpec {
    /// The largest weight there is: IPVS keeps them as signed numbers.
    pub const MAX_WEIGHT: u32 = i32::MAX as u32;

    /// A backend with everything but its address at its default.
    #[must_use]
    pub const fn at(address: SocketAddr) -> Self {
        Self {
            address,
            weight: 1,
            backup: false,
            max_connections: None,
            resume_below: None,
            disabled: false,
            check_address: None,
            forward: None,
            tunnel: None,
            server_id: None,
        }
    }
}

/// How a backend is chosen (one meaning for every plane).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// `rr`: each in turn.
    #[serde(rename = "rr")]
    RoundRobin,
    /// `wrr`: each in turn, as often as its weight says, interleaved.
    #[serde(rename = "wrr")]
    WeightedRoundRobin,
    /// `lc`: the fewest in flight.
    #[serde(rename = "lc")]
    LeastConnections,
    /// `wlc`: the fewest in flight for its weight.
    #[serde(rename = "wlc")]
    WeightedLeastConnections,
    /// `sed`: the shortest expected delay, (in flight + 1) / weight.
    #[serde(rename = "sed")]
    ShortestExpectedDelay,
    /// `nq`: an idle one at once, else as `sed`.
    #[serde(rename = "nq")]
    NeverQueue,
    /// `random`: by weight.
    Random,
    /// `p2c`: the less loaded of two random ones.
    #[serde(rename = "p2c")]
    LeastOfTwo,
    /// `first`: the first that is not full.
    First,
    /// `source-hash`, `uri-hash`, `hash`: by a key, all moving when the pool changes.
    Hash(HashKey),
    /// `maglev`: by a key, consistently: a change moves little more than it must.
    Maglev(HashKey),
    /// `least-time`: the lowest peak-sensitive moving average of latency times in flight.
    LeastTime,
    /// `dh`, kernel only: by the address that was asked for.
    #[serde(rename = "dh")]
    DestinationHash,
    /// `lblc`, kernel only: where that address went before, unless its backend is overloaded.
    #[serde(rename = "lblc")]
    LocalityLeastConnections,
    /// `lblcr`, kernel only: the same with a set of backends for each address.
    #[serde(rename = "lblcr")]
    ReplicatedLocality,
    /// `fo`, kernel only: the heaviest that is not full.
    #[serde(rename = "fo")]
    Failover,
    /// `ovf`, kernel only: the heaviest with no more active connections than its weight.
    #[serde(rename = "ovf")]
    Overflow,
}

impl Balance {
    /// Whether only the kernel data plane can choose so.
    #[must_use]
    pub fn is_of_kernel(&self) -> bool {
        matches!(
            self,
            Self::DestinationHash
                | Self::LocalityLeastConnections
                | Self::ReplicatedLocality
                | Self::Failover
                | Self::Overflow
        )
    }
}

/// What a hash is taken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// `source`: the client's address.
    Source,
    /// `source:V4/V6`: the client's network, with these prefix lengths (`source:24/64`).
    SourceNet {
        /// Prefix length for IPv4, 0 to 32.
        v4: u8,
        /// Prefix length for IPv6, 0 to 128.
        v6: u8,
    },
    /// `uri`: path and query.
    Uri,
    /// `path`: the path alone.
    Path,
    /// `host`: the host asked for.
    Host,
    /// `header:NAME`; without it, the source.
    Header(String),
    /// `cookie:NAME`; without it, the source.
    Cookie(String),
    /// `query:NAME`, a query parameter; without it, the source.
    Query(String),
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::SourceNet { v4, v6 } => write!(f, "source:{v4}/{v6}"),
            Self::Uri => f.write_str("uri"),
            Self::Path => f.write_str("path"),
            Self::Host => f.write_str("host"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

impl Serialize for HashKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl HashKey {
    /// Whether the key is of the connection, so that TCP and UDP services can use it.
    #[must_use]
    pub fn is_of_connection(&self) -> bool {
        matches!(self, Self::Source | Self::SourceNet { .. })
    }
}

/// Where requests wait when every backend is at its `max_connections`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueSpec {
    /// The most that wait, over all workers; 0: none does, 503 at once.
    pub limit: u32,
    /// How long one waits before its 503.
    #[serde(serialize_with = "value::duration")]
    pub timeout: Duration,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            limit: 1024,
            timeout: Duration::from_secs(5),
        }
    }
}

/// How connections to backends are made and kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectSpec {
    /// How long a connection may take to be made.
    #[serde(serialize_with = "value::duration")]
    pub timeout: Duration,
    /// The address connections come from; none: the kernel chooses.
    pub source: Option<IpAddr>,
    /// The PROXY protocol header that goes first.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The most idle connections that one worker keeps to one backend; 0: none is kept.
    pub keep_idle: u32,
    /// How long an idle connection is kept.
    #[serde(serialize_with = "value::duration")]
    pub idle_timeout: Duration,
}

impl Default for ConnectSpec {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            source: None,
            proxy_protocol: None,
            keep_idle: 256,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Version of the PROXY protocol that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}
