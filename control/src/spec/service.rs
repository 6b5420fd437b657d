//! Services: where traffic enters and how it goes on.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::{AccessLogSpec, http::HttpSpec, kernel::KernelSpec, value};
use crate::name::Name;

/// `[[service]]`: where traffic enters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceSpec {
    /// The service's name.
    pub name: Name,
    /// Where it listens; all of one scheme.
    pub listen: Vec<Listen>,
    /// What is done with what comes in.
    pub kind: ServiceKind,
    /// Who may say, by a PROXY protocol header, whom a connection really comes from; empty: nobody, and a header
    /// is taken for what the client sent.
    pub accept_proxy_protocol: Vec<IpNet>,
    /// The most client connections at a time over all workers; none: no limit of its own.
    pub max_connections: Option<u32>,
    /// Where requests or connections are logged; none: nowhere.
    pub access_log: Option<AccessLogSpec>,
}

impl ServiceSpec {
    /// The names of the pools that it can lead to, each once, in order.
    #[must_use]
    pub fn pools(&self) -> Vec<&Name> {
        let mut pools: Vec<&Name> = match &self.kind {
            ServiceKind::Kernel(kernel) => vec![&kernel.pool],
            ServiceKind::Tcp(tcp) => vec![&tcp.pool],
            ServiceKind::Udp(udp) => vec![&udp.pool],
            ServiceKind::Http(http) => http.routes.iter().filter_map(|r| r.action.pool()).collect(),
        };
        let mut seen = std::collections::BTreeSet::new();
        pools.retain(|pool| seen.insert(*pool));
        pools
    }
}

/// What a service does with what comes in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// Forwarded by the kernel data plane.
    Kernel(Box<KernelSpec>),
    /// TCP carried in user space.
    Tcp(TcpSpec),
    /// UDP carried in user space.
    Udp(UdpSpec),
    /// HTTP understood in user space.
    Http(Box<HttpSpec>),
}

/// How a layer-4 service reaches its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forward {
    /// Address translation in the kernel, both ways through us.
    Nat,
    /// Direct routing: only the MAC address changes.
    Direct,
    /// Encapsulation.
    Tunnel,
    /// User space.
    Proxy,
}

impl Forward {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Direct => "direct",
            Self::Tunnel => "tunnel",
            Self::Proxy => "proxy",
        }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An address that a service listens on, written `SCHEME://IP:PORT`; of kernel services also with several ports:
/// `SCHEME://IP:FIRST-LAST`, or all of them: `SCHEME://IP:*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listen {
    /// The protocol.
    pub scheme: Scheme,
    /// Address and port, the first of several. 0: all ports in the kernel, any free port in user space.
    pub address: SocketAddr,
    /// The last of several ports; of one, that port; 65535 where it is all of them.
    pub last_port: u16,
}

impl Listen {
    /// One port.
    #[must_use]
    pub const fn new(scheme: Scheme, address: SocketAddr) -> Self {
        Self {
            scheme,
            address,
            last_port: address.port(),
        }
    }

    /// All ports of `ip`, in the kernel.
    #[must_use]
    pub const fn all_ports(scheme: Scheme, ip: IpAddr) -> Self {
        Self {
            scheme,
            address: SocketAddr::new(ip, 0),
            last_port: u16::MAX,
        }
    }

    /// Whether it is all ports of its address.
    #[must_use]
    pub const fn is_all_ports(&self) -> bool {
        self.address.port() == 0 && self.last_port != 0
    }

    /// Whether it is one port.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        self.address.port() == self.last_port
    }

    /// The ports, first and last.
    #[must_use]
    pub const fn ports(&self) -> RangeInclusive<u16> {
        self.address.port()..=self.last_port
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            return write!(f, "{}://{}", self.scheme, self.address);
        }
        match self.address.ip() {
            IpAddr::V4(ip) => write!(f, "{}://{ip}:", self.scheme)?,
            IpAddr::V6(ip) => write!(f, "{}://[{ip}]:", self.scheme)?,
        }
        if self.is_all_ports() {
            return f.write_str("*");
        }
        write!(f, "{}-{}", self.address.port(), self.last_port)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `sctp`, in the kernel only.
    Sctp,
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// Whether the sockets are of UDP rather than TCP.
    #[must_use]
    pub fn is_datagram(self) -> bool {
        self == Self::Udp
    }

    /// The number of the protocol in IP packets, as registered with IANA.
    #[must_use]
    pub const fn ip_protocol(self) -> u8 {
        match self {
            Self::Tcp | Self::Http | Self::Https => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// TCP carried in user space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TcpSpec {
    /// Where it goes.
    pub pool: Name,
    /// A connection is ended when neither side has sent anything for this long.
    #[serde(serialize_with = "value::duration")]
    pub idle_timeout: Duration,
    /// How long the other direction may go on after one side has finished sending (half-close).
    #[serde(serialize_with = "value::duration")]
    pub half_close_timeout: Duration,
    /// How many further backends are tried when a connection cannot be made.
    pub connect_retries: u16,
}

impl TcpSpec {
    /// A service with everything but its pool at its default.
    #[must_use]
    pub fn to_pool(pool: Name) -> Self {
        Self {
            pool,
            idle_timeout: Duration::from_secs(3600),
            half_close_timeout: Duration::from_secs(60),
            connect_retries: 2,
        }
    }
}

/// UDP carried in user space: a flow is what one client address and port sends to one listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UdpSpec {
    /// Where it goes.
    pub pool: Name,
    /// A flow ends when neither side has sent anything for this long.
    #[serde(serialize_with = "value::duration")]
    pub idle_timeout: Duration,
    /// A flow ends after this many answers (DNS: 1); none: only by time.
    pub responses: Option<u32>,
    /// The most flows at a time over all workers; past it the longest idle one gives way.
    pub max_flows: u32,
}

impl UdpSpec {
    /// A service with everything but its pool at its default.
    #[must_use]
    pub fn to_pool(pool: Name) -> Self {
        Self {
            pool,
            idle_timeout: Duration::from_secs(30),
            responses: None,
            max_flows: 65_536,
        }
    }
}
