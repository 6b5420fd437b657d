//! Connection sync: whom this node tells of its connections.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::Serialize;

use super::value::{self, Bytes, Secret};

/// `[sync]`: connection sync.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncSpec {
    /// This node's own address for it.
    pub listen: SocketAddr,
    /// The other nodes, or one multicast group; at least one, of the family of `listen`.
    pub peers: Vec<SocketAddr>,
    /// The interface of the group; none: the one that has the address.
    pub interface: Option<String>,
    /// Keys that all nodes share; ids are unique.
    pub keys: Vec<SyncKey>,
    /// The id of the one to send with, which is among `keys`.
    pub active_key: u8,
    /// The most that is sent a second, all peers together.
    pub rate: Bytes,
    /// How long a node that hears nobody waits before it counts as in sync.
    #[serde(serialize_with = "value::duration")]
    pub wait: Duration,
}

impl SyncSpec {
    /// The multicast group, if that is what the peers are.
    #[must_use]
    pub fn group(&self) -> Option<SocketAddr> {
        self.peers
            .iter()
            .find(|peer| peer.ip().is_multicast())
            .copied()
    }
}

/// A key of connection sync: 32 to 1024 bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncKey {
    /// Its number on the wire.
    pub id: u8,
    /// The key.
    pub secret: Secret,
}

/// `[sync.ipvs]`: IPVS's own sync protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IpvsSyncSpec {
    /// The interface of the group.
    pub interface: String,
    /// It tells.
    pub master: bool,
    /// It listens; at least one of the two.
    pub backup: bool,
    /// The sync id; 0 takes all.
    pub id: u8,
    /// The multicast group.
    pub group: IpAddr,
    /// Its port.
    pub port: u16,
    /// How many hops messages go.
    pub ttl: u8,
    /// The longest message that is sent, bytes.
    pub max_size: usize,
    /// The most that is sent a second.
    pub rate: Bytes,
    /// After how long everything is told again.
    #[serde(serialize_with = "value::duration")]
    pub refresh: Duration,
}
