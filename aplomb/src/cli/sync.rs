//! Connection sync for people: in a line, and with its peers.

use l4::sync::Stored;

use super::table::{Table, span};
use crate::api::model::{ReasonCount, SyncPeer, SyncStatus};

/// Whether this node knows what its peers know, who they are, and what was not taken.
pub(crate) fn line(sync: &SyncStatus) -> String {
    let state = if sync.in_sync {
        "in sync"
    } else {
        "NOT IN SYNC"
    };
    let peers: Vec<&str> = sync.peers.iter().map(|peer| &*peer.address).collect();
    let with = if peers.is_empty() {
        ", no peer is heard".to_owned()
    } else {
        format!(" with {}", peers.join(", "))
    };
    let what = [
        ("not stored", &*refused_flows(sync)),
        ("refused", &sync.refused),
    ];
    let more = complaints(&what, sync.trouble.as_deref());
    format!("connection sync: {state}{with}{more}")
}

/// The same, and a table of the peers.
pub(super) fn section(sync: &SyncStatus) -> String {
    let mut text = format!("\n{}\n", line(sync));
    if sync.peers.is_empty() {
        return text;
    }
    let mut table = Table::new(&["PEER", ">HEARD", ">TOLD ALL", ">MISSING", ""]);
    let ago = |seconds: f64| format!("{} ago", span(seconds));
    for peer in &sync.peers {
        table.row(vec![
            peer.address.clone(),
            ago(peer.silent_seconds),
            peer.told_seconds.map_or_else(|| "not yet".into(), ago),
            peer.missing.to_string(),
            remark(peer),
        ]);
    }
    text += &table.render("  ");
    text
}

fn remark(peer: &SyncPeer) -> String {
    let remarks = [
        (!peer.answers, "DOES NOT HEAR US"),
        (peer.config_differs, "its services or backends are others"),
    ];
    let remarks: Vec<&str> = remarks.iter().filter(|r| r.0).map(|r| r.1).collect();
    remarks.join(", ")
}

/// Connections of peers that are not in the tables here though they should be.
fn refused_flows(sync: &SyncStatus) -> Vec<ReasonCount> {
    let refused = |count: &&ReasonCount| Stored::REFUSED.iter().any(|s| s.word() == count.reason);
    sync.stored.iter().filter(refused).cloned().collect()
}

/// What goes wrong, to stand behind what goes well: counts by reason, those that are not zero, and what is in the way.
pub(super) fn complaints(counts: &[(&str, &[ReasonCount])], trouble: Option<&str>) -> String {
    let mut text = String::new();
    for (what, counts) in counts {
        let words = words(counts);
        if !words.is_empty() {
            text += &format!("; {what}: {words}");
        }
    }
    if let Some(trouble) = trouble {
        text += &format!("; TROUBLE: {trouble}");
    }
    text
}

fn words(counts: &[ReasonCount]) -> String {
    let counts = counts.iter().filter(|count| count.packets > 0);
    let words: Vec<String> = counts
        .map(|count| format!("{} {}", count.reason, count.packets))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(reason: &str, packets: u64) -> ReasonCount {
        ReasonCount {
            reason: reason.into(),
            packets,
        }
    }

    #[test]
    fn who_is_in_sync_and_what_is_refused() {
        let sync = SyncStatus {
            in_sync: true,
            peers: vec![SyncPeer {
                address: "10.0.0.2:8849".into(),
                answers: true,
                told_seconds: Some(65.0),
                ..SyncPeer::default()
            }],
            stored: vec![count("added", 9), count("unknown-service", 3)],
            refused: vec![count("forged", 2)],
            ..SyncStatus::default()
        };
        assert_eq!(
            line(&sync),
            "connection sync: in sync with 10.0.0.2:8849; not stored: unknown-service 3; refused: forged 2"
        );
        let text = section(&sync);
        assert!(
            text.contains("\n  10.0.0.2:8849  0s ago  1m5s ago        0\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_wrong_is_loud() {
        let mut sync = SyncStatus {
            trouble: Some("no such address".into()),
            ..SyncStatus::default()
        };
        assert_eq!(
            section(&sync),
            "\nconnection sync: NOT IN SYNC, no peer is heard; TROUBLE: no such address\n"
        );
        sync.peers = vec![SyncPeer {
            address: "10.0.0.2:8849".into(),
            config_differs: true,
            ..SyncPeer::default()
        }];
        let text = section(&sync);
        assert!(
            text.ends_with(
                "not yet        0  DOES NOT HEAR US, its services or backends are others\n"
            ),
            "{text}"
        );
    }
}
