//! Connection sync: a part of the answer to `GET /v1/l4`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ReasonCount;

/// Connection sync at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SyncStatus {
    /// This node's address for it.
    pub listen: String,
    /// The interface that it speaks by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The multicast group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether this node knows what its peers know: each has told everything, or there is none.
    pub in_sync: bool,
    /// Why there is no socket; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Other nodes that are heard.
    pub peers: Vec<SyncPeer>,
    /// Connections told, repetitions included.
    pub flows_sent: u64,
    /// Connections that peers told.
    pub flows_received: u64,
    /// The first, in the last second.
    pub flows_sent_per_second: u64,
    /// The second, in the last second.
    pub flows_received_per_second: u64,
    /// Bytes of datagrams, each counted once for all peers.
    pub bytes_sent: u64,
    /// Bytes of peers' datagrams.
    pub bytes_received: u64,
    /// Datagrams, each counted once for all peers.
    pub datagrams_sent: u64,
    /// Peers' datagrams.
    pub datagrams_received: u64,
    /// Datagrams that could not be sent to a peer.
    pub unsent: u64,
    /// Messages of peers that did not arrive.
    pub missed: u64,
    /// Of these, told again.
    pub repaired: u64,
    /// How often this node told everything.
    pub told_all: u64,
    /// How long the last look through all connections took: so old is news at most when it is told.
    pub look_seconds: f64,
    /// What became of connections that peers told.
    pub stored: Vec<ReasonCount>,
    /// Datagrams that were not taken, by reason.
    pub refused: Vec<ReasonCount>,
}

/// Another node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SyncPeer {
    /// Where it is heard from.
    pub address: String,
    /// Its run: another one after each start.
    pub session: String,
    /// Whether it hears us too.
    pub answers: bool,
    /// How long ago it was heard.
    pub silent_seconds: f64,
    /// Messages of it that are missing.
    pub missing: u64,
    /// How long ago it had told everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_seconds: Option<f64>,
    /// It does not forward for the same services and backends.
    pub config_differs: bool,
}

/// Connection sync by IPVS's own protocol at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct IpvsSyncStatus {
    /// The interface that it speaks by.
    pub interface: String,
    /// The multicast group.
    pub group: String,
    /// Its port.
    pub port: u16,
    /// The sync id.
    pub id: u8,
    /// How many hops messages go.
    pub ttl: u8,
    /// The longest message that is sent, bytes.
    pub max_size: u64,
    /// Whether this node tells.
    pub master: bool,
    /// Whether it listens.
    pub backup: bool,
    /// Why there is no socket; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Connections and remembered clients told, repetitions included.
    pub records_sent: u64,
    /// Those that directors told.
    pub records_received: u64,
    /// The first, in the last second.
    pub records_sent_per_second: u64,
    /// The second, in the last second.
    pub records_received_per_second: u64,
    /// Messages.
    pub messages_sent: u64,
    /// Messages of directors.
    pub messages_received: u64,
    /// Bytes of messages.
    pub bytes_sent: u64,
    /// Bytes of directors' messages.
    pub bytes_received: u64,
    /// Messages that could not be sent.
    pub unsent: u64,
    /// Connections that IPVS has no words for, by reason.
    pub untold: Vec<ReasonCount>,
    /// What became of connections and clients that directors told.
    pub stored: Vec<ReasonCount>,
    /// Messages and parts of them that were not taken, by reason.
    pub refused: Vec<ReasonCount>,
}
