//! What is told of a connection: what it means on any node.

use std::{net::SocketAddr, time::Duration};

/// What names a connection: what its client's packets carry. Or a client that persistence remembers. Both addresses are
/// of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// It names a remembered client, no connection.
    pub template: bool,
    /// IP protocol.
    pub protocol: u8,
    /// Where the client sends from; of a remembered one, its network and port 0.
    pub client: SocketAddr,
    /// Where it sends to: by this, a node knows the service. Of a remembered client, any address of the service.
    pub target: SocketAddr,
}

/// How its packets reach the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Addresses are translated, both ways.
    Nat,
    /// Only link-layer addresses change.
    Direct,
    /// Encapsulated.
    Tunnel,
    /// The backend is the node itself; of another node it is as `Direct`.
    Local,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its name.
    pub key: FlowKey,
    /// The backend as the configuration writes it; port 0: the one the client asked for.
    pub backend: SocketAddr,
    /// How packets reach it.
    pub method: Method,
    /// Its state, by IPVS's numbers (`ESTABLISHED` is 1); below 16.
    pub state: u8,
    /// It hangs on the persistence of its client.
    pub persistent: bool,
    /// How long it is remembered without another packet; milliseconds count.
    pub remaining: Duration,
    /// How long ago its last packet came; milliseconds count.
    pub idle: Duration,
    /// Of full NAT: where the backend sees it come from. As the client of its family.
    pub source: Option<SocketAddr>,
    /// Of one that a SYN cookie opened: what is added to the backend's sequence numbers.
    pub delta: Option<u32>,
}

/// A client that persistence remembers: IPVS's template. Its next connection goes where the last one went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name, [`FlowKey::template`] set.
    pub key: FlowKey,
    /// The backend, as in [`Flow`].
    pub backend: SocketAddr,
    /// How long it is remembered without another connection; milliseconds count.
    pub remaining: Duration,
    /// How long ago its last connection began; milliseconds count.
    pub idle: Duration,
}

/// One thing that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A connection is so.
    Flow(Flow),
    /// A client is remembered.
    Template(Template),
    /// What has this name is no more.
    Gone(FlowKey),
}

impl Record {
    /// Whom it is about.
    #[must_use]
    pub const fn key(&self) -> &FlowKey {
        match self {
            Self::Flow(flow) => &flow.key,
            Self::Template(template) => &template.key,
            Self::Gone(key) => key,
        }
    }
}

impl Method {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Nat => 0,
            Self::Direct => 1,
            Self::Tunnel => 2,
            Self::Local => 3,
        }
    }

    pub(super) const fn of(number: u8) -> Self {
        match number & 3 {
            0 => Self::Nat,
            1 => Self::Direct,
            2 => Self::Tunnel,
            _ => Self::Local,
        }
    }
}
