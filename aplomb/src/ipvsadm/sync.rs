//! `--start-daemon` and `-L --daemon`: connection sync in IPVS's words.
//!
//! What sync is, only the configuration says: that of aplomb's nodes needs a key, for which a command line is no place, and
//! IPVS's own protocol, which believes everybody, is spoken only if that is written down. So a daemon that is asked for
//! either runs already as it is asked for, or the answer says what to write.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use proto::sync::{ipvs, limits::MAX_DATAGRAM};

/// The group that is advised among nodes of aplomb where none is asked for. Not IPVS's own: its directors would hear what
/// they cannot read.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 0, 1);
/// The port that is.
const PORT: u16 = 8849;
/// How far a group's datagrams go among them: sync is for one link.
const TTL: u8 = 1;

/// What a daemon does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It tells.
    #[default]
    Master,
    /// It listens.
    Backup,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// Connection sync that runs, as far as IPVS's words go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// The interface that it speaks by; its address, if no interface has that.
    pub interface: String,
    /// The multicast group, or the address that it listens on.
    pub group: String,
    /// Its port.
    pub port: u16,
    /// What is of IPVS's own protocol; none: it is that of aplomb's nodes.
    pub ipvs: Option<IpvsSync>,
}

/// What IPVS's own protocol has besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpvsSync {
    /// The sync id.
    pub id: u8,
    /// How many hops messages go.
    pub ttl: u8,
    /// The longest message, bytes.
    pub longest: u32,
    /// It tells.
    pub master: bool,
    /// It listens.
    pub backup: bool,
}

/// How `--start-daemon` wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Which daemon.
    pub role: Role,
    /// `--mcast-interface`
    pub interface: Option<String>,
    /// `--syncid`: among nodes of aplomb their keys tell groups apart, and none is asked for.
    pub id: Option<u32>,
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
    /// What of it is fixed among nodes of aplomb: they are master and backup at once, and there are no sync ids.
    fn own(&self) -> IpvsSync {
        self.ipvs.unwrap_or(IpvsSync {
            id: 0,
            ttl: TTL,
            longest: u32::try_from(MAX_DATAGRAM).unwrap_or(u32::MAX),
            master: true,
            backup: true,
        })
    }

    /// What `-L --daemon` shows of it.
    pub(super) fn lines(&self) -> String {
        let Self {
            interface,
            group,
            port,
            ..
        } = self;
        let own = self.own();
        let IpvsSync {
            id, ttl, longest, ..
        } = own;
        let roles = [(own.master, Role::Master), (own.backup, Role::Backup)];
        let lines = roles.into_iter().filter(|(is, _)| *is).map(|(_, role)| {
            let role = role.word();
            format!(
                "{role} sync daemon (mcast={interface}, syncid={id}, maxlen={longest}, group={group}, port={port}, ttl={ttl})\n"
            )
        });
        lines.collect()
    }

    /// Where the configuration says it.
    fn section(&self) -> &'static str {
        match self.ipvs {
            Some(_) => "[sync.ipvs]",
            None => "[sync]",
        }
    }

    /// Why it cannot be stopped.
    pub(super) fn stays(&self) -> String {
        let section = self.section();
        let role = match self.ipvs {
            Some(_) => ", or the role out of its `roles`",
            None => "",
        };
        format!("connection sync is part of aplomb's configuration: take {section} out of it{role}")
    }
}

impl Wanted {
    /// What is wanted otherwise than it runs; none: it is as wanted.
    pub(super) fn differs(&self, runs: &SyncDaemon) -> Option<String> {
        let (own, text) = (runs.own(), |number: u32| number.to_string());
        let mut all = Vec::new();
        let mut differs = |option: &str, wanted: Option<String>, is: String| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                all.push(format!("{option} {wanted} (it is {is})"));
            }
        };
        let has = match self.role {
            Role::Master => own.master,
            Role::Backup => own.backup,
        };
        if !has {
            let other = match self.role {
                Role::Master => Role::Backup,
                Role::Backup => Role::Master,
            };
            let (wanted, is) = (self.role.word().to_owned(), other.word());
            differs("--start-daemon", Some(wanted), is.into());
        }
        differs(
            "--mcast-interface",
            self.interface.clone(),
            runs.interface.clone(),
        );
        let id = self.id.filter(|_| runs.ipvs.is_some()).map(text);
        differs("--syncid", id, text(own.id.into()));
        differs(
            "--mcast-group",
            self.group.map(|group| group.to_string()),
            runs.group.clone(),
        );
        let port = |port: u16| port.to_string();
        differs("--mcast-port", self.port.map(port), port(runs.port));
        differs("--mcast-ttl", self.ttl.map(text), text(own.ttl.into()));
        // More is allowed than is made use of.
        let short = self.longest.filter(|most| *most < own.longest).map(text);
        differs("--sync-maxlen", short, text(own.longest));
        (!all.is_empty()).then(|| {
            format!(
                "connection sync runs as {} in aplomb's configuration says: {}",
                runs.section(),
                all.join(", ")
            )
        })
    }

    /// What is to be written for it.
    pub(super) fn advice(&self) -> String {
        format!(
            "connection sync is not configured, and no command line starts it: write into aplomb's configuration\n{}{}",
            self.ipvs_section(),
            self.own_section()
        )
    }

    /// For IPVS's own protocol.
    fn ipvs_section(&self) -> String {
        let interface = self.interface.as_deref().unwrap_or("eth0");
        let role = self.role.word();
        let mut text = format!(
            "# with directors that run LVS: IPVS's own protocol, which has no authentication\n\
             [sync.ipvs]\n\
             interface = \"{interface}\"\n\
             roles = [\"{role}\"]  # or [\"master\", \"backup\"]\n"
        );
        let id = self.id.map(|id| ("id", id.to_string()));
        let group = self.group.filter(|group| *group != ipvs::GROUP);
        let group = group.map(|group| ("group", format!("\"{group}\"")));
        let port = self.port.filter(|port| *port != ipvs::PORT);
        let port = port.map(|port| ("port", port.to_string()));
        let ttl = self.ttl.filter(|ttl| *ttl != u32::from(TTL));
        let ttl = ttl.map(|ttl| ("ttl", ttl.to_string()));
        let fits = |most: &u32| (ipvs::SHORTEST..=ipvs::LONGEST).contains(&(*most as usize));
        let longest = self.longest.filter(fits);
        let longest = longest.map(|longest| ("max-size", longest.to_string()));
        for (key, value) in [id, group, port, ttl, longest].into_iter().flatten() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }

    /// For nodes of aplomb.
    fn own_section(&self) -> String {
        let group = self.group.filter(|group| *group != ipvs::GROUP);
        let group = group.unwrap_or(GROUP.into());
        let port = self.port.filter(|port| *port != ipvs::PORT).unwrap_or(PORT);
        let (own, group) = match group {
            IpAddr::V4(group) => (format!("10.0.0.1:{port}"), format!("{group}:{port}")),
            IpAddr::V6(group) => (format!("[fd00::1]:{port}"), format!("[{group}]:{port}")),
        };
        let mut text = format!(
            "# or with nodes of aplomb, encrypted\n\
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
            ipvs: None,
        }
    }

    fn linux() -> SyncDaemon {
        SyncDaemon {
            interface: "eth0".into(),
            group: "224.0.0.81".into(),
            port: 8848,
            ipvs: Some(IpvsSync {
                id: 7,
                ttl: 1,
                longest: 1472,
                master: true,
                backup: false,
            }),
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
                // Keys tell groups apart.
                id: Some(9),
                role: Role::Backup,
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
            ..Wanted::default()
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

    #[test]
    fn of_linux_s_own_the_id_and_the_role_count() {
        let mut wanted = Wanted {
            interface: Some("eth0".into()),
            id: Some(7),
            ..Wanted::default()
        };
        assert_eq!(wanted.differs(&linux()), None);
        (wanted.role, wanted.id) = (Role::Backup, Some(8));
        assert_eq!(
            wanted.differs(&linux()).unwrap(),
            "connection sync runs as [sync.ipvs] in aplomb's configuration says: \
             --start-daemon backup (it is master), --syncid 8 (it is 7)"
        );
        assert_eq!(
            linux().lines(),
            "master sync daemon (mcast=eth0, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n"
        );
        assert!(
            linux()
                .stays()
                .contains("take [sync.ipvs] out of it, or the role")
        );
    }
}
