//! Services: where traffic enters and how it goes on.

use std::{fmt, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::{AccessLogSpec, http::HttpSpec, value};
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
            ServiceKind::Kernel { pool, .. } => vec![pool],
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
    Kernel {
        /// How it reaches a backend; never [`Forward::Proxy`].
        forward: Forward,
        /// Where it goes.
        pool: Name,
    },
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

/// An address that a service listens on, written `SCHEME://IP:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listen {
    /// The protocol.
    pub scheme: Scheme,
    /// Address and port.
    pub address: SocketAddr,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.address)
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
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
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
