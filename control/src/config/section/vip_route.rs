//! `routes` of a vip.

use std::net::IpAddr;

use ipnet::IpNet;
use proto::vrrp::terms::Family;

use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            many::List,
            number::Int,
            text::Interface,
            way::{self, Destination, Table},
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, too_many},
    },
    spec::{
        vip::Scope,
        ways::{Hop, HopDevice, RouteKind, VirtualRoute},
    },
};

section! {
    /// A route that is there while the addresses are (`ip-route(8)`).
    pub(in crate::config) struct RouteOfVipKeys = "a virtual route" {
        /// Where it leads.
        to: Destination, required;
        /// What becomes of packets.
        kind: KindWord, default "\"unicast\"";
        /// The gateway; for a route of IPv4 one of IPv6 is fine too.
        via: IpAddr, absent "on the link", only "unicast";
        /// The device.
        dev: Interface, absent "the gateway's; without one, or with one of the link alone, the vip's", only "unicast";
        /// The gateway is on the link, though no address of the device says so.
        onlink: bool, default "false", only "unicast";
        /// Several ways out instead of one, which share the packets.
        hops: List<HopKeys>, default "[]", only "unicast";
        /// The address that this node sends from.
        src: IpAddr, absent "the kernel's choice", only "unicast";
        /// The table it is in.
        table: Table, default "\"main\"";
        /// What it costs: of several routes to the same place the least is taken.
        metric: Int<0, { u32::MAX as i64 }>, absent "0; over IPv6 1024";
        /// How far it reaches. IPv4 alone.
        scope: Scope, absent "global by a gateway, else link", only "unicast";
        /// The largest packet, bytes.
        mtu: Int<68, 65_535>, absent "the device's", only "unicast";
        /// The largest segment that TCP offers, bytes.
        advmss: Int<1, 65_535>, absent "what the MTU leaves", only "unicast";
        /// TCP's first congestion window, segments.
        initcwnd: Int<1, 65_535>, absent "the kernel's default", only "unicast";
        /// TCP's first receive window, segments.
        initrwnd: Int<1, 65_535>, absent "the kernel's default", only "unicast";
        /// Who is said to have made it (`rtm_protocol`); a number that nobody else uses. What a process that crashed left behind is
        /// known by the default; with another number only while the configuration names the route.
        proto: Int<5, 255>, default "97";
    }
}

section! {
    /// One of several ways out.
    pub(in crate::config) struct HopKeys = "a hop" {
        /// The gateway.
        via: IpAddr, absent "on the link";
        /// The device.
        dev: Interface, absent "the gateway's; without one, or with one of the link alone, the vip's";
        /// The gateway is on the link, though no address of the device says so.
        onlink: bool, default "false";
        /// Its share beside the others.
        weight: Int<1, 256>, default "1";
    }
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum KindWord {
    Unicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
}

words!(KindWord {
    "unicast" => KindWord::Unicast, "they leave by a gateway or a device";
    "blackhole" => KindWord::Blackhole, "they vanish";
    "unreachable" => KindWord::Unreachable, "they are refused: host unreachable";
    "prohibit" => KindWord::Prohibit, "they are refused: prohibited";
    "throw" => KindWord::Throw, "the table has no route, rules go on";
});

impl KindWord {
    const fn word(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
        }
    }
}

/// The routes that can be read, each with its place.
pub(super) fn read_routes(
    list: At<List<RouteOfVipKeys>>,
    cx: &mut Cx<'_>,
) -> Vec<(VirtualRoute, Span)> {
    if too_many(list.0.len(), limits::ENTRIES, "routes", list.span, cx) {
        return Vec::new();
    }
    let read = list.value.0.into_iter();
    read.filter_map(|at| Some((at.value.admit(cx)?, at.span)))
        .collect()
}

impl RouteOfVipKeys {
    fn admit(self, cx: &mut Cx<'_>) -> Option<VirtualRoute> {
        let kind = self.kind.value;
        let because = format!("this is kind = \"{}\"", kind.word());
        self.given.only_of(kind.word(), |_| because.clone(), cx);
        let to = Destination::net(&self.to, self.hint(), cx)?;
        self.check(to, cx);
        let number = |at: &Option<At<Int<68, 65_535>>>| at.as_ref().map(|at| at.to());
        let count = |at: &Option<At<Int<1, 65_535>>>| at.as_ref().map(|at| at.to());
        Some(VirtualRoute {
            to,
            kind: match kind {
                KindWord::Unicast => RouteKind::Unicast(self.all_hops(to, cx)),
                KindWord::Blackhole => RouteKind::Blackhole,
                KindWord::Unreachable => RouteKind::Unreachable,
                KindWord::Prohibit => RouteKind::Prohibit,
                KindWord::Throw => RouteKind::Throw,
            },
            src: self.src.as_ref().map(|at| at.value),
            table: way::number(&self.table),
            metric: self.metric.as_ref().map(|at| at.to()),
            scope: self.scope.as_ref().map(|at| at.value),
            mtu: number(&self.mtu),
            advmss: count(&self.advmss),
            initcwnd: count(&self.initcwnd),
            initrwnd: count(&self.initrwnd),
            proto: self.proto.to(),
        })
    }

    /// An address that tells the family of `default`.
    fn hint(&self) -> Option<IpAddr> {
        let hops = self.hops.0.iter();
        let of_hops = hops.filter_map(|hop| hop.via.as_ref());
        let all = self.src.iter().chain(&self.via).chain(of_hops);
        all.map(|at| at.value).next()
    }

    fn check(&self, to: IpNet, cx: &mut Cx<'_>) {
        let v6 = to.addr().is_ipv6();
        if let Some(src) = self.src.as_ref().filter(|src| src.is_ipv6() != v6) {
            let message = format!("{} is not of the family of {to}", src.value);
            cx.push(Problem::error(src.span, message));
        }
        if let Some(scope) = self.scope.as_ref().filter(|_| v6) {
            let problem = Problem::error(scope.span, "only routes of IPv4 have a scope");
            cx.push(problem.help("leave `scope` out"));
        }
        let small = self.mtu.as_ref().filter(|mtu| v6 && mtu.to::<u32>() < 1280);
        if let Some(mtu) = small {
            let message = "IPv6 needs an MTU of at least 1280 (RFC 8200, section 5)";
            cx.push(Problem::error(mtu.span, message));
        }
        if to.addr().is_multicast() {
            let message = format!("{to} is multicast, which is not routed so");
            cx.push(Problem::error(self.to.span, message));
        }
    }

    fn all_hops(&self, to: IpNet, cx: &mut Cx<'_>) -> Vec<Hop> {
        if self.hops.0.is_empty() {
            let hop = hop(
                to,
                self.via.as_ref(),
                self.dev.as_ref(),
                &self.onlink,
                1,
                cx,
            );
            return vec![hop];
        }
        if too_many(self.hops.0.len(), HOPS, "hops", self.hops.span, cx) {
            return Vec::new();
        }
        for key in ["via", "dev", "onlink"] {
            if let Some(span) = self.given.place(key) {
                let message = format!("`{key}` is one way out, and `hops` are others");
                let problem = Problem::error(span, message).related(self.hops.span, "there");
                cx.push(problem.help(format!("write `{key}` into each of `hops`")));
            }
        }
        let each = self.hops.0.iter();
        each.map(|at| {
            let (via, dev) = (at.via.as_ref(), at.dev.as_ref());
            if via.is_none() && dev.is_none() {
                let problem = Problem::error(at.span, "a hop has a gateway, a device or both");
                cx.push(problem.help("write { via = \"10.0.0.1\" } or { dev = \"eth0\" }"));
            }
            hop(to, via, dev, &at.onlink, at.weight.to(), cx)
        })
        .collect()
    }
}

/// Ways out of one route; more is a mistake.
const HOPS: usize = 64;

fn hop(
    to: IpNet,
    via: Option<&At<IpAddr>>,
    dev: Option<&At<Interface>>,
    onlink: &At<bool>,
    weight: u16,
    cx: &mut Cx<'_>,
) -> Hop {
    if let Some(via) = via {
        check_gateway(to, via, cx);
    }
    if onlink.value && via.is_none() {
        let problem = Problem::error(
            onlink.span,
            "`onlink` is about a gateway, and there is none",
        );
        cx.push(problem.help("write `via`, or leave `onlink` out"));
    }
    // A gateway that no address leads to says nothing of its device.
    let of_vip = via.is_none_or(|via| onlink.value || is_of_link(via.value));
    Hop {
        via: via.map(|at| at.value),
        dev: match dev {
            Some(dev) => HopDevice::Named(dev.value.0.clone()),
            None if of_vip => HopDevice::OfVip,
            None => HopDevice::OfGateway,
        },
        onlink: onlink.value,
        weight,
    }
}

fn check_gateway(to: IpNet, via: &At<IpAddr>, cx: &mut Cx<'_>) {
    let ip = via.value;
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
        cx.push(Problem::error(via.span, format!("{ip} is no gateway")));
    } else if Family::of(to.addr()) == Family::V6 && ip.is_ipv4() {
        let message = format!("a route to {to} has no gateway of IPv4");
        cx.push(Problem::error(via.span, message));
    }
}

fn is_of_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
