//! `--start-daemon` and `-L --daemon`: connection sync in IPVS's words.
//!
//! What sync is, only the configuration says: it needs a key, and a command line is no place for one. So a daemon that is
//! asked for either runs already as it is asked for, or the answer says what to write.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use proto::sync::limits::MAX_DATAGRAM;

/// The group that is advised where none is asked for. Not IPVS's own: its directors would hear what they cannot read.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 0, 1);
/// The port that is.
const PORT: u16 = 8849;
/// How far a group's datagrams go: sync is for one link.
const TTL: u32 = 1;

/// Connection sync that runs, as far as IPVS's words go. It is master and backup at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// The interface that it speaks by; its address, if no interface has that.
    pub interface: String,
    /// The multicast group, or the address that it listens on.
    pub group: String,
    /// Its port.
    pub port: u16,
}

/// How `--start-daemon` wants it. A `--syncid` tells groups on one link apart: here their keys do, and none is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `--mcast-interface`
    pub interface: Option<String>,
    /// `--mcast-group`
    pub group: Option<IpAddr>,
    /// `--mcast-port`
    pub port: Option<u16>,
    /// `--mcast-ttl`
    pub ttl: Option<u32>,
    /// `--sync-maxlen`: the most bytes of a datagram.
    pub longest: Option<u32>,
}

impl SyncDaemon {
    /// What `-L --daemon` shows of it. The largest datagram and the hops of a group are fixed, and there are no sync ids.
    pub(super) fn lines(&self) -> String {
        let Self {
            interface,
            group,
            port,
        } = self;
        let line = |role: &str| {
            format!(
                "{role} sync daemon (mcast={interface}, syncid=0, maxlen={MAX_DATAGRAM}, group={group}, port={port}, ttl={TTL})\n"
            )
        };
        line("master") + &line("backup")
    }
}

impl Wanted {
    /// What is wanted otherwise than it runs; none: it is as wanted.
    pub(super) fn differs(&self, runs: &SyncDaemon) -> Option<String> {
        let mut all = Vec::new();
        let mut differs = |option: &str, wanted: Option<String>, is: String| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                all.push(format!("--{option} {wanted} (it is {is})"));
            }
        };
        let text = |number: u32| number.to_string();
        differs(
            "mcast-interface",
            self.interface.clone(),
            runs.interface.clone(),
        );
        differs(
            "mcast-group",
            self.group.map(|group| group.to_string()),
            runs.group.clone(),
        );
        differs(
            "mcast-port",
            self.port.map(|port| port.to_string()),
            runs.port.to_string(),
        );
        differs("mcast-ttl", self.ttl.map(text), text(TTL));
        // More is allowed than is made use of.
        let short = self
            .longest
            .filter(|most| (*most as usize) < MAX_DATAGRAM)
            .map(text);
        differs("sync-maxlen", short, MAX_DATAGRAM.to_string());
        (!all.is_empty()).then(|| {
            format!(
                "connection sync runs as [sync] in aplomb's configuration says: {}",
                all.join(", ")
            )
        })
    }

    /// What is to be written for it.
    pub(super) fn advice(&self) -> String {
        let group = self.group.unwrap_or(GROUP.into());
        let port = self.port.unwrap_or(PORT);
        let (own, group) = match group {
            IpAddr::V4(group) => (format!("10.0.0.1:{port}"), format!("{group}:{port}")),
            IpAddr::V6(group) => (format!("[fd00::1]:{port}"), format!("[{group}]:{port}")),
        };
        let mut text = format!(
            "connection sync needs a key, for which a command line is no place: write into aplomb's configuration\n\
             [sync]\n\
             listen = \"{own}\"  # this node's own address\n\
             peers = [\"{group}\"]  # a multicast group, or the other nodes\n"
        );
        // An IPv6 group needs one.
        let some = group.starts_with('[').then_some("eth0");
        if let Some(interface) = self.interface.as_deref().or(some) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "interface = \"{interface}\"  # of the group");
        }
        text + "keys = [{ id = 1, secret = { file = \"/etc/aplomb/sync.key\" } }]"
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn runs() -> SyncDaemon {
        SyncDaemon {
            interface: "eth0".into(),
            group: "239.77.0.1".into(),
            port: 8849,
        }
    }

    #[test]
    fn what_runs_as_wanted_needs_nothing() {
        for wanted in [
            Wanted::default(),
            Wanted {
                interface: Some("eth0".into()),
                group: Some("239.77.0.1".parse().unwrap()),
                port: Some(8849),
                ttl: Some(1),
                longest: Some(1500),
            },
        ] {
            assert_eq!(wanted.differs(&runs()), None);
        }
    }

    #[test]
    fn each_difference_is_named() {
        let wanted = Wanted {
            interface: Some("eth1".into()),
            group: Some("224.0.0.81".parse().unwrap()),
            port: Some(8848),
            ttl: Some(3),
            longest: Some(576),
        };
        let said = wanted.differs(&runs()).unwrap();
        for part in [
            "--mcast-interface eth1 (it is eth0)",
            "--mcast-group 224.0.0.81 (it is 239.77.0.1)",
            "--mcast-port 8848 (it is 8849)",
            "--mcast-ttl 3 (it is 1)",
            "--sync-maxlen 576 (it is 1400)",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
