//! `[[vip]]`: virtual addresses. What is tracked is in [`super::track`], authentication in [`super::vip_auth`].

use std::net::IpAddr;

use proto::vrrp::{codec::Checksum, machine::AddressCheck, terms::Family};

use super::{
    track::TrackKeys,
    vip_address::{Address, place, read_addresses},
    vip_auth::AuthKeys,
    vip_route::{RouteOfVipKeys, read_routes},
    vip_router::{Places, router},
    vip_rule::{RuleKeys, read_rules},
};
use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            many::{Either, List, OneOrMany},
            number::{Int, Time},
            text::{AnyText, Interface},
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, unique},
    },
    name::Name,
    spec::{
        VipSpec, VrrpSpec,
        vip::{AnnounceSpec, PreemptSpec, VipAddress},
    },
};

section! {
    /// A virtual address, or several that move together: held by this node or another of its group.
    pub(in crate::config) struct VipKeys = "[[vip]]" {
        /// The name.
        name: Name, required;
        /// The addresses, each with its prefix length. Those of both families are two virtual routers of one id that move together.
        addresses: OneOrMany<Address>, required;
        /// Addresses that move with them and are in no advert.
        excluded: OneOrMany<Address>, absent "none";
        /// The interface that has them.
        interface: Interface, required;
        /// Routes that are there while the addresses are.
        routes: List<RouteOfVipKeys>, default "[]";
        /// Rules that are there while the addresses are.
        rules: List<RuleKeys>, default "[]";
        /// How the link is told where they are: gratuitous ARP, unsolicited neighbour advertisements.
        announce: AnnounceKeys, default "{}";
        /// Which node has them is decided by VRRP (RFC 9568).
        vrrp: VrrpKeys, absent "always this node";
    }
}

section! {
    /// How the link is told where addresses are now.
    pub(in crate::config) struct AnnounceKeys = "`announce`" {
        /// Announcements of each address when it is taken.
        count: Int<1, 1000>, default "5";
        /// Between them; 0: back to back.
        interval: Time<0, { limits::DAY }>, default "\"0s\"";
        /// So much later, as many again; 0: not again.
        delay: Time<0, { limits::DAY }>, default "\"5s\"";
        /// From one refresh to the next while the addresses are here; 0: none.
        refresh: Time<0, { limits::DAY }>, default "\"0s\"";
        /// Announcements of each address in a refresh.
        refresh_count: Int<1, 1000>, default "1";
        /// The least time between two frames, over all addresses; 0: no limit.
        gap: Time<0, { limits::DAY }>, default "\"0s\"";
        /// Whether neighbour advertisements say that this node is a router: for addresses that are somebody's gateway.
        router: bool, default "false";
    }
}

section! {
    /// VRRP (RFC 9568).
    pub(in crate::config) struct VrrpKeys = "`vrrp`" {
        /// The virtual router's id.
        id: Int<1, 255>, required;
        /// The version that is spoken. Version 2 (RFC 3768) holds IPv4 addresses, in whole seconds.
        version: Int<2, 3>, default "3";
        /// This node's priority; 255: the addresses are its own.
        priority: Int<1, 255>, default "100";
        /// From one advertisement to the next: from 10 ms to 40.95 s in version 3, from 1 s to 255 s in version 2.
        interval: Time<10, 255_000>, default "\"1s\"";
        /// Whether to take over from a master of lower priority: at once, never, or once it has been there for so long.
        preempt: Either<bool, Time<0, { limits::DAY }>>, default "true";
        /// How long after its start it takes no part.
        start_delay: Time<0, { limits::DAY }>, default "\"0s\"";
        /// The other nodes: adverts go to each of them, and only theirs count.
        peers: OneOrMany<IpAddr>, absent "all of the link, by multicast";
        /// Where adverts come from: an address of the interface, one a family.
        source: OneOrMany<IpAddr>, absent "the interface's first address; over IPv6 its link-local one";
        /// Whether the addresses have the virtual router's own MAC address (00:00:5e:00:01:ID, over IPv6 00:00:5e:00:02:ID), on a macvlan device.
        virtual_mac: bool, default "false";
        /// Whether packets to the addresses are taken by this host's own stack (RFC 9568, section 6.1): `false` drops them, but for
        /// ARP and IPv6's neighbour discovery. Services that the kernel forwards (XDP) go on, listeners hear nothing.
        accept: bool, default "true";
        /// What adverts are authenticated with.
        auth: AuthKeys, absent "nothing";
        /// What version 3's checksum over IPv4 covers in what is sent; both are taken.
        checksum: Sum, default "\"pseudo-header\"";
        /// What becomes of adverts that name other addresses.
        other_addresses: OtherAddresses, default "\"refuse\"";
        /// Vips with the same `group` move together.
        group: Name, absent "it moves alone";
        /// What makes this node less fit than others, or unfit.
        track: List<TrackKeys>, default "[]";
        /// A program, an absolute path, and its arguments: it is told of each transition by `APLOMB_VIP`, `APLOMB_GROUP`, `APLOMB_STATE`, `APLOMB_BEFORE`, `APLOMB_WHY` and `APLOMB_PRIORITY`.
        notify: List<AnyText>, default "[]";
    }
}

/// What the checksum covers.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Sum(Checksum);

words!(Sum {
    "pseudo-header" => Sum(Checksum::WithPseudoHeader), "the addresses too, as keepalived does";
    "message" => Sum(Checksum::MessageOnly), "the message alone, as RFC 9568 has it";
});

/// What becomes of adverts that name other addresses.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct OtherAddresses(AddressCheck);

words!(OtherAddresses {
    "refuse" => OtherAddresses(AddressCheck::Refuse), "they are not obeyed";
    "note" => OtherAddresses(AddressCheck::Note), "they are obeyed, and counted";
});

/// A vip, and where what others may clash with stands.
pub(in crate::config) struct PlacedVip {
    pub(in crate::config) spec: VipSpec,
    pub(in crate::config) name: Span,
    pub(in crate::config) id: Span,
    pub(in crate::config) addresses: Vec<(IpAddr, Span)>,
    pub(in crate::config) group: Option<Span>,
    /// Where its routes and rules stand, in order.
    pub(in crate::config) routes: Vec<Span>,
    pub(in crate::config) rules: Vec<Span>,
    /// Where it is said that it takes no packets, if it is.
    pub(in crate::config) refuses: Option<Span>,
    /// Where what is tracked stands, in order.
    pub(in crate::config) track: Vec<Span>,
}

impl VipKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> Option<PlacedVip> {
        let addresses = read_addresses(&self.addresses.value.0, cx);
        let excluded = self
            .excluded
            .as_ref()
            .map_or_else(Vec::new, |list| read_addresses(&list.value.0, cx));
        let placed: Vec<At<IpAddr>> = addresses.iter().chain(&excluded).map(place).collect();
        unique(&placed, "the address", ToString::to_string, cx);
        let ips = |list: &[At<VipAddress>]| list.iter().map(|at| at.value.clone()).collect();
        let (routes, route_places) = read_routes(self.routes, cx).into_iter().unzip();
        let mut spec = VipSpec {
            routes,
            rules: Vec::new(),
            name: self.name.value.clone(),
            interface: self.interface.value.0.clone(),
            addresses: ips(&addresses),
            excluded: ips(&excluded),
            announce: self.announce.value.admit(),
            vrrp: None,
        };
        let (id, group) = match &self.vrrp {
            Some(vrrp) => (vrrp.id.span, vrrp.group.as_ref().map(|group| group.span)),
            None => (self.name.span, None),
        };
        let rules = read_rules(self.rules, &spec.families(), cx);
        let rule_places;
        (spec.rules, rule_places) = rules.into_iter().unzip();
        let mut track = Vec::new();
        let mut refuses = None;
        if let Some(vrrp) = self.vrrp {
            refuses = (!*vrrp.accept).then_some(vrrp.accept.span);
            track = vrrp.track.0.iter().map(|track| track.span).collect();
            let at = self.addresses.span;
            spec.vrrp = Some(vrrp.value.admit(&addresses, at, cx)?);
        }
        Some(PlacedVip {
            spec,
            name: self.name.span,
            id,
            addresses: placed.iter().map(|at| (at.value, at.span)).collect(),
            group,
            routes: route_places,
            rules: rule_places,
            refuses,
            track,
        })
    }
}

impl AnnounceKeys {
    fn admit(self) -> AnnounceSpec {
        AnnounceSpec {
            router: *self.router,
            count: self.count.to(),
            interval: self.interval.0,
            delay: self.delay.0,
            refresh: self.refresh.0,
            refresh_count: self.refresh_count.to(),
            gap: self.gap.0,
        }
    }
}

impl VrrpKeys {
    fn admit(self, addresses: &[At<VipAddress>], at: Span, cx: &mut Cx<'_>) -> Option<VrrpSpec> {
        let places = Places {
            addresses: at,
            interval: self.interval.span,
            auth: self.auth.as_ref().map_or(self.span, |auth| auth.span),
            peers: self.peers.as_ref().map_or(self.span, |peers| peers.span),
            priority: self.priority.span,
            all: self.span,
        };
        if !*self.accept && self.priority.to::<u8>() == 255 {
            let message = "who owns the addresses takes packets to them (RFC 9568, section 6.4.3)";
            let problem = Problem::error(self.accept.span, message);
            cx.push(problem.help("leave `accept` out, or give it a priority of at most 254"));
        }
        let notify = program(&self.notify, "notify", cx);
        let auth = match self.auth {
            Some(auth) => Some(auth.value.admit(auth.span, cx)?),
            None => None,
        };
        let peers: Vec<IpAddr> = self
            .peers
            .iter()
            .flat_map(|p| p.0.iter().map(|p| p.value))
            .collect();
        let sources: &[At<IpAddr>] = self.source.as_ref().map_or(&[], |source| &source.value.0);
        check_sources(sources, addresses, cx);
        let mut spec = VrrpSpec {
            id: self.id.to(),
            version: self.version.to(),
            priority: self.priority.to(),
            interval: self.interval.0,
            preempt: match self.preempt.value {
                Either::One(false) => PreemptSpec::Never,
                Either::One(true) => PreemptSpec::AtOnce,
                Either::Other(delay) => PreemptSpec::After(delay.0),
            },
            start_delay: self.start_delay.0,
            peers,
            source: sources.iter().map(|at| at.value).collect(),
            virtual_mac: *self.virtual_mac,
            accept: *self.accept,
            auth: auth.as_ref().map(|(spec, _)| spec.clone()),
            checksum_of_message: self.checksum.0 == Checksum::MessageOnly,
            obey_other_addresses: self.other_addresses.0 == AddressCheck::Note,
            group: self.group.map(|group| group.value),
            track: Vec::new(),
            notify,
            routers: Vec::new(),
        };
        let owner = spec.priority == 255;
        for track in self.track.value.0 {
            spec.track.extend(track.value.admit(owner, cx));
        }
        let auth = auth.map_or(proto::vrrp::machine::Auth::None, |(_, auth)| auth);
        for family in [Family::V4, Family::V6] {
            let list = addresses.iter().map(|at| at.value.address.addr());
            let list: Vec<IpAddr> = list.filter(|ip| Family::of(*ip) == family).collect();
            if list.is_empty() {
                continue;
            }
            match router(&spec, auth.clone(), list) {
                Ok(config) => spec.routers.push(config),
                Err(error) => {
                    cx.push(places.problem(error, family));
                    return None;
                }
            }
        }
        Some(spec)
    }
}

fn check_sources(sources: &[At<IpAddr>], addresses: &[At<VipAddress>], cx: &mut Cx<'_>) {
    let mut seen: Vec<Family> = Vec::new();
    for source in sources {
        let family = Family::of(source.value);
        let of_vip = addresses
            .iter()
            .any(|a| Family::of(a.value.address.addr()) == family);
        if !of_vip {
            let message = format!("{} is not of the addresses' family", source.value);
            cx.push(Problem::error(source.span, message));
        } else if seen.contains(&family) {
            cx.push(Problem::error(source.span, "there is one source a family"));
        }
        seen.push(family);
    }
}

/// A program that is named by its absolute path, with its arguments.
pub(super) fn program(list: &At<List<AnyText>>, key: &str, cx: &mut Cx<'_>) -> Vec<String> {
    let words: Vec<String> = list.0.iter().map(|word| word.value.0.clone()).collect();
    let named = words.first().is_none_or(|program| program.starts_with('/'));
    if !named || words.iter().any(|word| word.contains('\0')) {
        let problem = Problem::error(list.span, "a program is named by its absolute path");
        cx.push(problem.help(format!(
            "write {key} = [\"/usr/local/bin/program\", \"argument\"]"
        )));
    }
    words
}
