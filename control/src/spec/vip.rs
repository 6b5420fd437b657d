//! Virtual addresses as they were asked for, and the virtual routers that hold them.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use proto::vrrp::{
    garp::{BurstPlan, BurstSettings},
    machine::Config,
    terms::{Family, Priority},
};
use serde::Serialize;

use super::{
    value::{self, Secret},
    ways::{VirtualRoute, VirtualRule, WatchedRoute},
};
use crate::name::Name;

/// A virtual address, or several that move together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VipSpec {
    /// Its name across configurations.
    pub name: Name,
    /// The interface that has the addresses.
    pub interface: String,
    /// The addresses that adverts name, in this order.
    pub addresses: Vec<VipAddress>,
    /// Addresses that move with them and are in no advert.
    pub excluded: Vec<VipAddress>,
    /// Routes that are there while the addresses are.
    pub routes: Vec<VirtualRoute>,
    /// Rules that are there while the addresses are.
    pub rules: Vec<VirtualRule>,
    /// Who has them is decided by VRRP; none: always this node.
    pub vrrp: Option<VrrpSpec>,
    /// How the link is told where they are.
    pub announce: AnnounceSpec,
}

impl VipSpec {
    /// The addresses that come and go with those of `family`: excluded ones of a family that has no virtual router go with
    /// the first.
    pub fn assigned(&self, family: Family) -> impl Iterator<Item = &VipAddress> {
        let own = move |address: &&VipAddress| Family::of(address.address.addr()) == family;
        let moves = move |address: &&VipAddress| {
            self.moves_with(Family::of(address.address.addr()), family)
        };
        let excluded = self.excluded.iter().filter(moves);
        self.addresses.iter().filter(own).chain(excluded)
    }

    /// The routes that come and go with the addresses of `family`.
    pub fn routes_of(&self, family: Family) -> impl Iterator<Item = &VirtualRoute> {
        let routes = self.routes.iter();
        routes.filter(move |route| self.moves_with(route.family(), family))
    }

    /// The rules that come and go with the addresses of `family`.
    pub fn rules_of(&self, family: Family) -> impl Iterator<Item = &VirtualRule> {
        let rules = self.rules.iter();
        rules.filter(move |rule| self.moves_with(rule.family, family))
    }

    /// Whether what is of one family comes and goes with the addresses of another: with its own, and where that has no
    /// virtual router with the first.
    fn moves_with(&self, its: Family, family: Family) -> bool {
        let of = |address: &VipAddress| Family::of(address.address.addr());
        let alone = self.addresses.iter().all(|address| of(address) != its);
        its == family || (alone && self.addresses.first().map(of) == Some(family))
    }

    /// The families of its addresses.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        for address in &self.addresses {
            let family = Family::of(address.address.addr());
            if !families.contains(&family) {
                families.push(family);
            }
        }
        families
    }

    /// What is released and promoted as one: its group, or itself.
    #[must_use]
    pub fn group(&self) -> &Name {
        let group = self.vrrp.as_ref().and_then(|vrrp| vrrp.group.as_ref());
        group.unwrap_or(&self.name)
    }
}

/// An address as it is put on the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VipAddress {
    /// The address and the length of its prefix.
    pub address: IpNet,
    /// Its label, as `ip addr` shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its scope.
    #[serde(skip_serializing_if = "Scope::is_global")]
    pub scope: Scope,
}

/// How far an address is valid (`ip-address(8)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everywhere.
    #[default]
    Global,
    /// On the link.
    Link,
    /// On this host.
    Host,
}

impl Scope {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
    fn is_global(&self) -> bool {
        *self == Self::Global
    }
}

/// `vrrp` of a vip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VrrpSpec {
    /// The virtual router's id.
    pub id: u8,
    /// The version spoken: 2 or 3.
    pub version: u8,
    /// This node's priority, before tracking.
    pub priority: u8,
    /// Between adverts.
    #[serde(serialize_with = "value::duration")]
    pub interval: Duration,
    /// Whether to take over from a master of less priority.
    pub preempt: PreemptSpec,
    /// How long after its start it takes no part.
    #[serde(serialize_with = "value::duration")]
    pub start_delay: Duration,
    /// The other nodes, by unicast; none: by multicast.
    pub peers: Vec<IpAddr>,
    /// The addresses that adverts come from, at most one a family; else the interface's primary ones.
    pub source: Vec<IpAddr>,
    /// Whether the addresses have the virtual router's own MAC address.
    pub virtual_mac: bool,
    /// Whether packets to the addresses are taken by this node's own stack, while it is master (RFC 9568, section 6.1).
    pub accept: bool,
    /// What adverts are authenticated with.
    pub auth: Option<AuthSpec>,
    /// Whether version 3's checksum over IPv4 covers the message alone.
    pub checksum_of_message: bool,
    /// Whether adverts that name other addresses are obeyed.
    pub obey_other_addresses: bool,
    /// What moves together with others of that name.
    pub group: Option<Name>,
    /// What takes priority away or makes this node unfit.
    pub track: Vec<TrackSpec>,
    /// A program that is told of transitions, with its arguments.
    pub notify: Vec<String>,
    /// The virtual routers that this comes to, one a family.
    #[serde(skip)]
    pub routers: Vec<Config>,
}

/// Whether to take over from a master of less priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreemptSpec {
    /// Never.
    Never,
    /// At once.
    AtOnce,
    /// Once it was there for so long.
    After(#[serde(serialize_with = "value::duration")] Duration),
}

/// How adverts are authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthSpec {
    /// Version 2's password.
    Password(Secret),
    /// Keys by id; see [`proto::vrrp::wire::Keys`].
    Keys {
        /// In the order of the configuration.
        keys: Vec<(u8, Secret)>,
        /// The one to sign with.
        active: u8,
        /// How strict to be.
        mode: &'static str,
        /// How far clocks may be apart; none: clocks do not count.
        #[serde(serialize_with = "value::opt_duration")]
        window: Option<Duration>,
    },
}

/// How the link is told where addresses are. What can be carried out: see [`AnnounceSpec::plan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnnounceSpec {
    /// Neighbour advertisements say that this node is a router.
    pub router: bool,
    /// Announcements of each address in a burst.
    pub count: u16,
    /// Between the rounds of a burst.
    #[serde(serialize_with = "value::duration")]
    pub interval: Duration,
    /// From the first burst to a second one; zero for none.
    #[serde(serialize_with = "value::duration")]
    pub delay: Duration,
    /// Between refreshes; zero for none.
    #[serde(serialize_with = "value::duration")]
    pub refresh: Duration,
    /// Rounds of a refresh.
    pub refresh_count: u16,
    /// The least time between two frames; zero for no limit.
    #[serde(serialize_with = "value::duration")]
    pub gap: Duration,
}

impl AnnounceSpec {
    /// As a plan; what the configuration admits can always be carried out.
    #[must_use]
    pub fn plan(&self) -> BurstPlan {
        BurstPlan::new(BurstSettings {
            count: self.count,
            interval: self.interval,
            delay: self.delay,
            refresh: self.refresh,
            refresh_count: self.refresh_count,
            gap: self.gap,
        })
        .unwrap_or_default()
    }
}

/// Something that makes this node less fit, or unfit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackSpec {
    /// What is looked at.
    #[serde(flatten)]
    pub what: TrackKind,
    /// Added to the priority: a negative one while it fails, a positive one while it does not. None: a failure is a fault.
    pub weight: Option<i16>,
    /// From one look to the next.
    #[serde(serialize_with = "value::duration")]
    pub interval: Duration,
    /// How many good looks in a row end a failure.
    pub rise: u16,
    /// How many bad looks in a row are a failure.
    pub fall: u16,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackKind {
    /// An interface is up.
    Interface(String),
    /// A program ends with status 0.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
        /// How long it may take.
        #[serde(serialize_with = "value::duration")]
        timeout: Duration,
        /// The user that it runs as; none: the daemon's.
        user: Option<String>,
    },
    /// A process of that name runs.
    Process(String),
    /// A service has so many backends that take work.
    Service {
        /// Its name.
        service: Name,
        /// How many.
        least: u16,
    },
    /// A pool has so many backends that take work.
    Pool {
        /// Its name.
        pool: Name,
        /// How many.
        least: u16,
    },
    /// A route is there.
    Route(WatchedRoute),
    /// The kernel data plane is attached.
    DataPlane,
}

impl TrackKind {
    /// As logs and `status` call it.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Interface(name) => format!("interface {name}"),
            Self::Exec { command, .. } => {
                format!("exec {}", command.first().map_or("", String::as_str))
            }
            Self::Process(name) => format!("process {name}"),
            Self::Service { service, .. } => format!("service {service}"),
            Self::Pool { pool, .. } => format!("pool {pool}"),
            Self::Route(route) => format!("route {route}"),
            Self::DataPlane => "data-plane".into(),
        }
    }
}

/// The priority that tracking leaves: `weights` of those that count.
#[must_use]
pub fn tracked_priority(base: u8, weights: impl Iterator<Item = i16>) -> Priority {
    Priority(base).adjusted(weights.map(i32::from).sum())
}
