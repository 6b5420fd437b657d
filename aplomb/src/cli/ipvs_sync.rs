//! Connection sync by IPVS's own protocol for people, in a line.

use l4::sync::Stored;

use super::sync::complaints;
use crate::api::model::{IpvsSyncStatus, ReasonCount};

/// What it does, how much of it, and what was not taken.
pub(crate) fn line(sync: &IpvsSyncStatus) -> String {
    let mut roles = Vec::new();
    if sync.master {
        roles.push(format!("master, told {}", sync.records_sent));
    }
    if sync.backup {
        roles.push(format!("backup, heard {}", sync.records_received));
    }
    let (interface, group, id) = (&sync.interface, &sync.group, sync.id);
    let what = [
        ("not told", &*sync.untold),
        ("not stored", &not_stored(sync)),
        ("refused", &sync.refused),
    ];
    let more = complaints(&what, sync.trouble.as_deref());
    format!(
        "IPVS's sync: {} ({interface}, {group}, id {id}){more}",
        roles.join("; ")
    )
}

/// What directors told that is not in the tables here: all but what is as it should be.
fn not_stored(sync: &IpvsSyncStatus) -> Vec<ReasonCount> {
    let well = [
        Stored::Added,
        Stored::Updated,
        Stored::Removed,
        Stored::Kept,
    ];
    let bad = |count: &&ReasonCount| !well.iter().any(|stored| stored.word() == count.reason);
    sync.stored.iter().filter(bad).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_what_is_not_taken() {
        let count = |reason: &str, packets: u64| ReasonCount {
            reason: reason.into(),
            packets,
        };
        let mut sync = IpvsSyncStatus {
            interface: "eth1".into(),
            group: "224.0.0.81".into(),
            id: 7,
            master: true,
            backup: true,
            records_sent: 12,
            records_received: 30,
            stored: vec![count("added", 20), count("kept", 4), count("bypass", 2)],
            untold: vec![count("full-nat", 1)],
            refused: vec![count("id", 9)],
            ..IpvsSyncStatus::default()
        };
        assert_eq!(
            line(&sync),
            "IPVS's sync: master, told 12; backup, heard 30 (eth1, 224.0.0.81, id 7); \
             not told: full-nat 1; not stored: bypass 2; refused: id 9"
        );
        (sync.master, sync.trouble) = (false, Some("no such device".into()));
        let text = line(&sync);
        assert!(
            text.starts_with("IPVS's sync: backup, heard 30 ("),
            "{text}"
        );
        assert!(text.ends_with("; TROUBLE: no such device"), "{text}");
    }
}
