//! Metrics of connection sync.

use super::text::{Kind, Text};
use crate::api::model::{ReasonCount, SyncStatus};

/// A number of it: name, help, value.
type Number = (&'static str, &'static str, fn(&SyncStatus) -> u64);

const COUNTERS: [Number; 10] = [
    (
        "aplomb_sync_flows_sent_total",
        "Connections told to peers, repetitions included.",
        |s| s.flows_sent,
    ),
    (
        "aplomb_sync_flows_received_total",
        "Connections that peers told.",
        |s| s.flows_received,
    ),
    (
        "aplomb_sync_sent_bytes_total",
        "Bytes of datagrams, each counted once for all peers.",
        |s| s.bytes_sent,
    ),
    (
        "aplomb_sync_received_bytes_total",
        "Bytes of peers' datagrams.",
        |s| s.bytes_received,
    ),
    (
        "aplomb_sync_datagrams_sent_total",
        "Datagrams, each counted once for all peers.",
        |s| s.datagrams_sent,
    ),
    (
        "aplomb_sync_datagrams_received_total",
        "Peers' datagrams.",
        |s| s.datagrams_received,
    ),
    (
        "aplomb_sync_unsent_total",
        "Datagrams that could not be sent to a peer.",
        |s| s.unsent,
    ),
    (
        "aplomb_sync_missed_total",
        "Messages of peers that did not arrive.",
        |s| s.missed,
    ),
    (
        "aplomb_sync_repaired_total",
        "Messages that did not arrive and were told again.",
        |s| s.repaired,
    ),
    (
        "aplomb_sync_told_all_total",
        "How often this node told a peer everything.",
        |s| s.told_all,
    ),
];

/// All of it.
pub(super) fn encode(text: &mut Text, status: &SyncStatus) {
    text.single(
        Kind::Gauge,
        "aplomb_sync_in_sync",
        "Whether this node knows the connections that its peers know.",
        f64::from(u8::from(status.in_sync)),
    );
    text.single(
        Kind::Gauge,
        "aplomb_sync_peers",
        "Peers that are heard, and hear us.",
        status.peers.iter().filter(|peer| peer.answers).count() as f64,
    );
    text.single(
        Kind::Gauge,
        "aplomb_sync_look_seconds",
        "How long the last look through all connections took: so old is news at most when it is told.",
        status.look_seconds,
    );
    for (name, help, value) in COUNTERS {
        text.single(Kind::Counter, name, help, value(status) as f64);
    }
    reasons(
        text,
        "aplomb_sync_stored_total",
        "What became of connections that peers told.",
        "result",
        &status.stored,
    );
    reasons(
        text,
        "aplomb_sync_refused_total",
        "Datagrams that were not taken, by reason.",
        "reason",
        &status.refused,
    );
}

/// A family of counts by a label.
pub(super) fn reasons(
    text: &mut Text,
    name: &'static str,
    help: &'static str,
    label: &str,
    all: &[ReasonCount],
) {
    let mut family = text.family(Kind::Counter, name, help);
    for count in all {
        family.count(&[(label, &count.reason)], count.packets);
    }
}
