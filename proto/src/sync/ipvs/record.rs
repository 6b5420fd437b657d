//! What a message tells: connections, and clients that persistence remembers (templates).

use std::net::SocketAddr;

use super::{ENGINE_DATA, ENGINE_NAME};
use crate::sync::flow::Method;

/// IP protocol numbers.
pub mod protocol {
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// How many states of TCP there are; `ESTABLISHED` is 1.
pub const TCP_STATES: u16 = 11;
/// How many of UDP.
pub const UDP_STATES: u16 = 1;
/// How many of SCTP.
pub const SCTP_STATES: u16 = 14;
/// `ESTABLISHED` of SCTP: all before are handshakes.
pub const SCTP_ESTABLISHED: u16 = 8;
/// How many of a template: whether a connection of it was ever established.
pub const TEMPLATE_STATES: u16 = 2;

/// What the kernel calls a connection's flags (`IP_VS_CONN_F_…`), as they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// How packets reach the backend: [`Flags::method`].
    const METHOD: u32 = 0x7;
    /// Replies do not pass by.
    pub const NO_OUTPUT: Self = Self(0x80);
    /// It counts as inactive.
    pub const INACTIVE: Self = Self(0x100);
    /// Sequence numbers of either direction are changed.
    pub const SEQUENCES: Self = Self(0x600);
    /// The client's port is not known yet: a helper expects the connection.
    pub const NO_CLIENT_PORT: Self = Self(0x800);
    /// It is a template.
    pub const TEMPLATE: Self = Self(0x1000);

    /// Whether any of these is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These and others.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// How packets reach the backend; none: past the services (`BYPASS`), or unknown.
    #[must_use]
    pub const fn method(self) -> Option<Method> {
        match self.0 & Self::METHOD {
            0 => Some(Method::Nat),
            1 => Some(Method::Local),
            2 => Some(Method::Tunnel),
            3 => Some(Method::Direct),
            _ => None,
        }
    }

    /// Those of a method.
    #[must_use]
    pub const fn of(method: Method) -> Self {
        match method {
            Method::Nat => Self(0),
            Method::Local => Self(1 | Self::NO_OUTPUT.0),
            Method::Tunnel => Self(2 | Self::NO_OUTPUT.0),
            Method::Direct => Self(3 | Self::NO_OUTPUT.0),
        }
    }
}

/// How sequence numbers of one direction are changed: those after `begin` by `delta`, others by `before`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Where the last change was.
    pub begin: u32,
    /// What is added after it.
    pub delta: u32,
    /// What was added before.
    pub before: u32,
}

/// What a persistence engine knows a client by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    name: Vec<u8>,
    data: Vec<u8>,
}

impl Engine {
    /// Of a name (1 to 16 bytes) and data (1 to 255).
    #[must_use]
    pub fn new(name: &[u8], data: &[u8]) -> Option<Self> {
        let fits = |bytes: &[u8], most: usize| (1..=most).contains(&bytes.len());
        (fits(name, ENGINE_NAME) && fits(data, ENGINE_DATA)).then(|| Self {
            name: name.to_vec(),
            data: data.to_vec(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// A connection or a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// IP protocol; of a template of a firewall mark 0.
    pub protocol: u8,
    /// Its flags.
    pub flags: Flags,
    /// Its state: fewer than there are of the protocol ([`TCP_STATES`] …).
    pub state: u16,
    /// Where the client sends from; of a template its network, and port 0.
    pub client: SocketAddr,
    /// Where it sends to; port 0 in a template: any.
    pub target: SocketAddr,
    /// The backend. All three are of one family.
    pub backend: SocketAddr,
    /// The firewall mark of its first packet.
    pub mark: u32,
    /// How long it is remembered after a packet, seconds; 0: as its state says.
    pub timeout: u32,
    /// How sequence numbers are changed: those of the client, those of the backend.
    pub sequences: Option<[Sequence; 2]>,
    /// What its persistence engine knows.
    pub engine: Option<Engine>,
}
