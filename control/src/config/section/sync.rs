//! `[sync]`: connections of the kernel data plane are told to other nodes.

use super::{admin::SecretText, sync_ipvs::IpvsKeys};
use crate::{
    config::{
        diagnostic::Problem,
        form::{
            Fault, Form,
            address::Local,
            many::{List, OneOrMany},
            number::{Int, Size, Time},
            text::Interface,
        },
        kind::section,
        walk::{At, Cx, unique},
    },
    spec::{Bytes, IpvsSyncSpec, SyncKey, SyncSpec},
};

/// The longest wait for peers at the start, milliseconds.
const LONGEST_WAIT: u64 = 600_000;
/// The shortest key, bytes.
const SHORTEST_KEY: usize = 32;
/// The longest.
const LONGEST_KEY: usize = 1024;
/// The most peers.
const MOST_PEERS: usize = 15;
/// The most keys.
const MOST_KEYS: usize = 16;

section! {
    /// Connection sync: connections that the kernel forwards are told to other nodes, which go on with them when this one fails.
    pub(in crate::config) struct SyncKeys = "[sync]" {
        /// This node's address and port for it: UDP, encrypted.
        listen: Local, absent "only IPVS's protocol is spoken, if that is configured";
        /// The other nodes, or one multicast group for all of them; with `listen`.
        peers: OneOrMany<Peer>, absent "none";
        /// The interface of the multicast group.
        interface: Interface, absent "the one that has the address of `listen`";
        /// The keys that all nodes share; more than one while a key is replaced. With `listen`.
        keys: List<SyncKeyKeys>, absent "none";
        /// The id of the key that this node sends with.
        active_key: Int<0, 255>, absent "the first of `keys`";
        /// The most that is sent a second, all peers together.
        rate: Size<10_000, 10_000_000_000>, default "\"10MiB\"";
        /// How long a node that hears no peer waits for one before it counts as in sync.
        wait: Time<0, LONGEST_WAIT>, default "\"5s\"";
        /// IPVS's own sync protocol, with directors that run LVS.
        ipvs: IpvsKeys, absent "it is not spoken";
    }
}

section! {
    /// A key of connection sync.
    pub(in crate::config) struct SyncKeyKeys = "a key of `[sync]`" {
        /// Its number, the same on all nodes.
        id: Int<0, 255>, required;
        /// The key itself: at least 32 characters, the same on all nodes.
        secret: SecretText, required;
    }
}

/// Where another node listens, or a multicast group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Peer(std::net::SocketAddr);

impl Form for Peer {
    const WHAT: &'static str = "a node's address such as \"10.0.0.2:8849\"";
    const EXAMPLE: &'static str = "10.0.0.2:8849";
    const PATTERN: &'static str = Local::PATTERN;

    fn parse(text: &str) -> Result<Self, Fault> {
        let Local(address) = Local::parse(text)?;
        if address.port() == 0 {
            return Err(Fault::new("port 0 is no port to send to"));
        }
        if address.ip().is_unspecified() {
            return Err(Fault::new(format!("{} is no node's address", address.ip())));
        }
        Ok(Self(address))
    }
}

/// What must be there for nodes of aplomb to tell each other.
struct Group {
    listen: At<Local>,
    peers: At<OneOrMany<Peer>>,
    keys: At<List<SyncKeyKeys>>,
}

impl SyncKeys {
    /// What nodes of aplomb tell each other, and what is told in IPVS's words; either may be missing.
    pub(in crate::config) fn admit(
        mut self,
        cx: &mut Cx<'_>,
    ) -> (Option<SyncSpec>, Option<IpvsSyncSpec>) {
        let ipvs = self.ipvs.take().map(|ipvs| ipvs.value.admit(cx));
        let own = [
            "listen",
            "peers",
            "interface",
            "keys",
            "active_key",
            "rate",
            "wait",
        ];
        if ipvs.is_some() && !own.iter().any(|field| self.given.has(field)) {
            return (None, ipvs);
        }
        let group = self.group(cx);
        (group.and_then(|group| self.admit_own(group, cx)), ipvs)
    }

    /// What cannot be left out.
    fn group(&mut self, cx: &mut Cx<'_>) -> Option<Group> {
        let mut missing = |field: &str, has: bool, example: &str| {
            // One that is there and wrong was complained of.
            if !has && !self.given.has(field) && cx.is_toml {
                let message = format!("`{field}` is missing in [sync]");
                let problem = Problem::error(self.span, message);
                cx.push(problem.help(format!("write {field} = {example}")));
            }
        };
        missing("listen", self.listen.is_some(), "\"10.0.0.1:8849\"");
        missing("peers", self.peers.is_some(), "[\"10.0.0.2:8849\"]");
        missing(
            "keys",
            self.keys.is_some(),
            "[{ id = 1, secret = { file = \"/etc/aplomb/sync.key\" } }]",
        );
        Some(Group {
            listen: self.listen.take()?,
            peers: self.peers.take()?,
            keys: self.keys.take()?,
        })
    }

    fn admit_own(self, group_keys: Group, cx: &mut Cx<'_>) -> Option<SyncSpec> {
        let Group {
            listen,
            peers: peers_at,
            keys,
        } = &group_keys;
        let peers = &peers_at.value.0;
        unique(peers, "the peer", |peer| peer.0.to_string(), cx);
        if peers.len() > MOST_PEERS {
            let message = format!("{} peers are too many: at most {MOST_PEERS}", peers.len());
            cx.push(Problem::error(peers_at.span, message));
        }
        let group = peers.iter().find(|peer| peer.0.ip().is_multicast());
        check_listen(listen, cx);
        for peer in peers {
            check_peer(listen, peer, cx);
        }
        if let (Some(group), 2..) = (group, peers.len()) {
            let problem = Problem::error(group.span, "a multicast group stands alone");
            cx.push(problem.help("name the group, or the nodes"));
        }
        if let (None, Some(interface)) = (group, &self.interface) {
            let problem = Problem::error(interface.key, "`interface` is for a multicast group");
            cx.push(problem.help("leave it out: the address of `listen` says it"));
        }
        let v6_group = group.filter(|group| group.0.is_ipv6());
        if let (Some(group), None) = (v6_group, &self.interface) {
            let problem = Problem::error(group.span, "an IPv6 group needs an interface");
            cx.push(problem.help("write interface = \"eth1\", with the one you mean"));
        }
        let peers = peers.iter().map(|peer| peer.0).collect();
        let (keys, active_key) = self.admit_keys(keys, cx)?;
        Some(SyncSpec {
            listen: listen.value.0,
            peers,
            interface: self.interface.map(|name| name.value.0),
            keys,
            active_key,
            rate: Bytes(self.rate.value.0.0),
            wait: self.wait.0,
        })
    }

    fn admit_keys(
        &self,
        keys: &At<List<SyncKeyKeys>>,
        cx: &mut Cx<'_>,
    ) -> Option<(Vec<SyncKey>, u8)> {
        let list = &keys.value.0;
        let ids: Vec<_> = list.iter().map(|key| key.value.id.clone()).collect();
        unique(&ids, "the key", |id| id.to::<u8>().to_string(), cx);
        if list.len() > MOST_KEYS {
            let message = format!("{} keys are too many: at most {MOST_KEYS}", list.len());
            cx.push(Problem::error(keys.span, message));
        }
        for key in list {
            let length = key.value.secret.value.reveal().len();
            if !(SHORTEST_KEY..=LONGEST_KEY).contains(&length) {
                let message = format!("a key has {SHORTEST_KEY} to {LONGEST_KEY} characters");
                let problem = Problem::error(key.value.secret.span, message);
                cx.push(problem.help("make one with: openssl rand -base64 32"));
            }
        }
        let Some(first) = list.first() else {
            let problem = Problem::error(keys.span, "connection sync needs a key");
            cx.push(
                problem.help(
                    "write keys = [{ id = 1, secret = { file = \"/etc/aplomb/sync.key\" } }]",
                ),
            );
            return None;
        };
        let active = self
            .active_key
            .as_ref()
            .map_or_else(|| first.value.id.to(), |id| id.to());
        if let Some(at) = &self.active_key
            && !list.iter().any(|key| key.value.id.to::<u8>() == active)
        {
            let message = format!("there is no key {active}");
            cx.push(Problem::error(at.span, message).related(keys.span, "among these"));
        }
        let keys = list.iter().map(|key| SyncKey {
            id: key.value.id.to(),
            secret: key.value.secret.value.secret(),
        });
        Some((keys.collect(), active))
    }
}

fn check_listen(at: &At<Local>, cx: &mut Cx<'_>) {
    let listen = at.value.0;
    let wrong = if listen.port() == 0 {
        "peers must know the port"
    } else if listen.ip().is_unspecified() || listen.ip().is_multicast() {
        "this is to be one of this node's own addresses"
    } else {
        return;
    };
    let problem = Problem::error(at.span, wrong);
    cx.push(problem.help("write listen = \"10.0.0.1:8849\", with the address you mean"));
}

fn check_peer(own: &At<Local>, peer: &At<Peer>, cx: &mut Cx<'_>) {
    let listen = own.value.0;
    if peer.0.is_ipv4() != listen.is_ipv4() {
        let problem = Problem::error(peer.span, "it is of another family than `listen`");
        cx.push(problem.related(own.span, "this one"));
    } else if peer.0 == listen {
        let problem = Problem::error(peer.span, "this is the node itself");
        cx.push(problem.related(own.span, "here"));
    } else if peer.0.ip().is_multicast() && peer.0.port() != listen.port() {
        let message = "a group has one port for all nodes";
        let problem = Problem::error(peer.span, message);
        cx.push(problem.related(own.span, "another one"));
    }
}
