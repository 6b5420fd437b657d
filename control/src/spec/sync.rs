//! Connection sync: whom this node tells of its connections.

use std::{net::SocketAddr, time::Duration};

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
