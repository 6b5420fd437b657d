//! Metrics of connection sync by IPVS's own protocol.

use super::{
    sync::reasons,
    text::{Kind, Text},
};
use crate::api::model::IpvsSyncStatus;

/// A number of it: name, help, value.
type Number = (&'static str, &'static str, fn(&IpvsSyncStatus) -> u64);

const COUNTERS: [Number; 7] = [
    (
        "aplomb_sync_ipvs_records_sent_total",
        "Connections and remembered clients told to directors, repetitions included.",
        |s| s.records_sent,
    ),
    (
        "aplomb_sync_ipvs_records_received_total",
        "Connections and remembered clients that directors told.",
        |s| s.records_received,
    ),
    (
        "aplomb_sync_ipvs_messages_sent_total",
        "Messages to directors.",
        |s| s.messages_sent,
    ),
    (
        "aplomb_sync_ipvs_messages_received_total",
        "Messages of directors.",
        |s| s.messages_received,
    ),
    (
        "aplomb_sync_ipvs_sent_bytes_total",
        "Bytes of messages to directors.",
        |s| s.bytes_sent,
    ),
    (
        "aplomb_sync_ipvs_received_bytes_total",
        "Bytes of messages of directors.",
        |s| s.bytes_received,
    ),
    (
        "aplomb_sync_ipvs_unsent_total",
        "Messages that could not be sent.",
        |s| s.unsent,
    ),
];

/// All of it.
pub(super) fn encode(text: &mut Text, status: &IpvsSyncStatus) {
    for (name, help, value) in COUNTERS {
        text.single(Kind::Counter, name, help, value(status) as f64);
    }
    for (name, help, label, counts) in [
        (
            "aplomb_sync_ipvs_untold_total",
            "Connections that IPVS has no words for, by reason.",
            "reason",
            &status.untold,
        ),
        (
            "aplomb_sync_ipvs_stored_total",
            "What became of connections and clients that directors told.",
            "result",
            &status.stored,
        ),
        (
            "aplomb_sync_ipvs_refused_total",
            "Messages of directors and parts of them that were not taken, by reason.",
            "reason",
            &status.refused,
        ),
    ] {
        reasons(text, name, help, label, counts);
    }
}
