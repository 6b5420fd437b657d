//! A site of layer 4 on this machine: client, director and three servers, each in a network namespace of its own.
//!
//! ```text
//!  two arms:   client ── director ── switch ── server 1, 2, 3        one arm:   switch ── client, director,
//!                └────────────────────┘ (direct, tunnel: replies)                        server 1, 2, 3
//! ```
//! The same site serves the labs and, through `aplomb lab site`, the tests and benchmarks. [`mod@space`] makes namespaces,
//! [`device`] prepares the virtual cables for XDP, [`wiring`] connects them.

mod device;
mod space;
mod wiring;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
};

pub(crate) use self::space::Space;

/// How many servers there are.
pub(crate) const SERVERS: u8 = 3;
/// Where services are offered, and where servers listen.
const PORT: u16 = 80;
const SERVER_PORT: u16 = 8080;

/// How the director forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Address translation, both ways through the director
    Nat,
    /// Servers answer clients themselves, with the service's address
    Direct,
    /// The same through a tunnel
    Tunnel,
}

impl Mode {
    /// Its word in the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Direct => "direct",
            Self::Tunnel => "tunnel",
        }
    }
}

/// What a site is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How the director forwards.
    pub(crate) mode: Mode,
    /// IPv6 instead of IPv4. Both are there; this is what service and backends have.
    pub(crate) v6: bool,
    /// All on one segment, the director with one interface.
    pub(crate) one_arm: bool,
    /// Another director at the switch, without addresses.
    pub(crate) second: bool,
}

impl Plan {
    fn address(self, net: u8, host: u8) -> IpAddr {
        address(self.v6, net, host)
    }

    /// The network that servers are in.
    fn servers_net(self) -> u8 {
        if self.one_arm { CLIENTS } else { INNER }
    }

    /// Where the service is.
    pub(crate) fn service(self) -> SocketAddr {
        SocketAddr::new(self.vip(), PORT)
    }

    /// The service's address.
    pub(crate) fn vip(self) -> IpAddr {
        self.address(CLIENTS, VIP)
    }

    /// Server `number` (from 1), as a backend of the configuration.
    pub(crate) fn server(self, number: u8) -> SocketAddr {
        // Only address translation can change the port.
        let port = if self.mode == Mode::Nat {
            SERVER_PORT
        } else {
            PORT
        };
        SocketAddr::new(self.address(self.servers_net(), 10 + number), port)
    }
}

/// The networks: 192.168.1.0/24 and fd00:1::/64 of the clients, 10.0.0.0/24 and fd00:2::/64 of the servers.
const CLIENTS: u8 = 1;
const INNER: u8 = 2;
/// Hosts in them.
const DIRECTOR: u8 = 1;
const CLIENT: u8 = 10;
const VIP: u8 = 100;
/// The client's second leg: the router by which servers' own replies leave.
const ROUTER: u8 = 254;

fn address(v6: bool, net: u8, host: u8) -> IpAddr {
    if v6 {
        // The decimal number is read as one: fd00:1::100.
        let host = u16::from_str_radix(&host.to_string(), 16).unwrap_or_default();
        return Ipv6Addr::new(0xfd00, net.into(), 0, 0, 0, 0, 0, host).into();
    }
    let octets = match net {
        CLIENTS => [192, 168, 1, host],
        _ => [10, 0, 0, host],
    };
    Ipv4Addr::from(octets).into()
}

/// A namespace for a lab that wires itself.
///
/// # Errors
/// What `ip` says: without root, nothing can be.
pub(crate) fn space(host: &str) -> io::Result<Space> {
    space::sweep();
    Space::new(0, host)
}

/// A site. All of it is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    /// What it was to be.
    pub(crate) plan: Plan,
    /// Where the clients are.
    pub(crate) client: Space,
    /// Where the daemon belongs.
    pub(crate) director: Space,
    /// Where another one does, if there is to be one.
    pub(crate) second: Option<Space>,
    /// The servers, in the order of their numbers.
    pub(crate) servers: Vec<Space>,
    /// What connects them.
    switch: Space,
    /// Programs at the far ends of the cables.
    programs: Vec<OwnedFd>,
}

impl Site {
    /// Makes one.
    ///
    /// # Errors
    /// What it is that cannot be: without root, nothing can.
    pub(crate) fn new(plan: Plan) -> io::Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        space::sweep();
        let tag = NEXT.fetch_add(1, Ordering::Relaxed);
        let space = |host: &str| Space::new(tag, host);
        let servers = (1..=SERVERS).map(|number| space(&format!("server{number}")));
        let mut site = Self {
            plan,
            client: space("client")?,
            director: space("director")?,
            second: plan.second.then(|| space("second")).transpose()?,
            servers: servers.collect::<Result<_, _>>()?,
            switch: space("switch")?,
            programs: Vec::new(),
        };
        site.wire()?;
        Ok(site)
    }
}
