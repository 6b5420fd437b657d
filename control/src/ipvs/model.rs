//! Virtual services, destinations, and what can be done to them. Times are whole seconds, as `ipvsadm` has them.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};

/// What names a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceId {
    /// The protocol.
    pub protocol: Protocol,
    /// Address and port; port 0: all that have no service of their own.
    pub address: SocketAddr,
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, address } = self;
        write!(f, "{} {address}", protocol.word())
    }
}

/// The protocol of a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// IP's number of it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// Its name, as the services file of a system writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A virtual service with its destinations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Where it is.
    pub id: ServiceId,
    /// The scheduler's name.
    pub scheduler: String,
    /// What the scheduler is told.
    #[serde(default)]
    pub flags: SchedulerFlags,
    /// Clients go where they went before; none: they need not.
    #[serde(default)]
    pub persistence: Option<Persistence>,
    /// The persistence engine's name.
    #[serde(default)]
    pub engine: Option<String>,
    /// Each packet is scheduled by itself.
    #[serde(default)]
    pub one_packet: bool,
    /// Destinations, the one that was added last first: the order in which schedulers go through them.
    #[serde(default)]
    pub destinations: Vec<Destination>,
}

impl Service {
    /// A service without destinations, and with everything else at `ipvsadm`'s default.
    #[must_use]
    pub fn new(id: ServiceId) -> Self {
        Self {
            id,
            scheduler: "wlc".into(),
            flags: SchedulerFlags::default(),
            persistence: None,
            engine: None,
            one_packet: false,
            destinations: Vec::new(),
        }
    }

    /// The destination at that address.
    #[must_use]
    pub fn destination(&self, address: SocketAddr) -> Option<&Destination> {
        self.destinations.iter().find(|d| d.address == address)
    }
}

/// The three flags that a scheduler may take; `sh` and `mh` call the first `fallback` and the second `port`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchedulerFlags(pub u8);

impl SchedulerFlags {
    /// The first: a hash that leads to a destination that takes nothing tries further.
    pub const FALLBACK: u8 = 1;
    /// The second: the hash takes the client's port too.
    pub const PORT: u8 = 2;
    /// The third, which no scheduler has a use for.
    pub const THIRD: u8 = 4;

    /// Whether this one is set.
    #[must_use]
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// Clients go where they went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    /// How long after a client's last new connection, seconds.
    pub timeout: u32,
    /// What of an IPv4 address tells clients apart.
    pub mask4: Ipv4Addr,
    /// How many leading bits of an IPv6 address do.
    pub prefix6: u8,
}

impl Persistence {
    /// By the whole address, for `timeout` seconds.
    #[must_use]
    pub const fn new(timeout: u32) -> Self {
        Self {
            timeout,
            mask4: Ipv4Addr::BROADCAST,
            prefix6: 128,
        }
    }
}

/// A real server of a virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Where it is; port 0: the one that the client asked for.
    pub address: SocketAddr,
    /// How it is reached.
    pub method: Method,
    /// Its share, 0 to 2^31-1.
    pub weight: u32,
    /// It is full with this many connections; 0: never.
    #[serde(default)]
    pub upper: u32,
    /// Once full, it stays so until it has less than this; 0: than three quarters of `upper`.
    #[serde(default)]
    pub lower: u32,
    /// What goes around its packets, of [`Method::Tunnel`].
    #[serde(default)]
    pub tunnel: Tunnel,
}

impl Destination {
    /// A destination with everything else at `ipvsadm`'s default.
    #[must_use]
    pub const fn new(address: SocketAddr, method: Method) -> Self {
        Self {
            address,
            method,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: Tunnel::IPIP,
        }
    }
}

/// How a destination is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `-g`: only the MAC address changes.
    Direct,
    /// `-i`: encapsulation.
    Tunnel,
    /// `-m`: address translation.
    Masquerade,
}

/// What goes around the packets of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// Where GUE goes; 0 for the others.
    pub port: u16,
    /// The outer checksum, of GUE and GRE.
    pub checksum: Checksum,
}

impl Tunnel {
    /// IP in IP.
    pub const IPIP: Self = Self {
        kind: TunnelKind::IpIp,
        port: 0,
        checksum: Checksum::None,
    };
}

impl Default for Tunnel {
    fn default() -> Self {
        Self::IPIP
    }
}

/// An encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TunnelKind {
    /// IP in IP.
    IpIp,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation.
    Gre,
}

/// The checksum of a tunnel's outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// Left out.
    None,
    /// Made.
    Full,
    /// Made by the far end (GUE's remote checksum offload).
    Remote,
}

/// How long idle connections are remembered, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Established TCP.
    pub tcp: u32,
    /// TCP that one side has closed.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp: 900,
            tcp_fin: 120,
            udp: 300,
        }
    }
}

/// One thing done to the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// A new service; destinations in it are not looked at.
    AddService(Service),
    /// Everything of a service but its destinations.
    EditService(Service),
    /// A service goes, with its destinations.
    DeleteService(ServiceId),
    /// A new destination of a service.
    AddDestination(ServiceId, Destination),
    /// Everything of a destination but its address.
    EditDestination(ServiceId, Destination),
    /// A destination goes.
    DeleteDestination(ServiceId, SocketAddr),
    /// All services go.
    Flush,
    /// Counters of one service, or of all, begin at zero again.
    Zero(Option<ServiceId>),
    /// Other timeouts; 0: that one stays.
    SetTimeouts(Timeouts),
}
