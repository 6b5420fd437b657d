//! What the routes, rules and refused packets of vips ask of the rest: the kernel has one route of a kind, and who takes no
//! packets cannot be listened on.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use proto::vrrp::terms::Family;

use crate::{
    config::{
        diagnostic::{Problem, Span},
        section::{service::PlacedService, vip::PlacedVip},
        walk::Cx,
    },
    spec::{
        ServiceKind,
        ways::{HopDevice, RouteKey, RouteKind, VirtualRoute, VirtualRule},
    },
};

use super::OwnListeners;

/// Looks at the routes and rules of all vips.
pub(in crate::config) fn ways(vips: &[PlacedVip], cx: &mut Cx<'_>) {
    let mut seen: BTreeMap<RouteKey, (usize, &VirtualRoute, Span)> = BTreeMap::new();
    for (at, vip) in vips.iter().enumerate() {
        for (route, span) in vip.spec.routes.iter().zip(&vip.routes) {
            let Some((other, first, there)) = seen.get(&route.key()).copied() else {
                let _ = seen.insert(route.key(), (at, route, *span));
                continue;
            };
            if other == at {
                let message = format!("the route to {} is given twice", route.to);
                let problem = Problem::error(*span, message).related(there, "first given here");
                cx.push(problem.help("leave one out, or give it another metric or table"));
            } else if !same(first, &vips[other], route, vip) {
                let message = format!(
                    "vip \"{}\" has another route to {} with this metric in this table",
                    vips[other].spec.name, route.to
                );
                let problem = Problem::error(*span, message).related(there, "there");
                cx.push(problem.help("give one of them another metric or table"));
            }
        }
        rules(vip, cx);
    }
    opposites(vips, cx);
}

/// Whether two vips mean one route: the one that comes last takes nothing from the other.
fn same(first: &VirtualRoute, of: &PlacedVip, second: &VirtualRoute, by: &PlacedVip) -> bool {
    let own_device = match &second.kind {
        RouteKind::Unicast(hops) => hops.iter().any(|hop| hop.dev == HopDevice::OfVip),
        _ => false,
    };
    first == second && !(own_device && device(of) != device(by))
}

/// What the device of a vip's addresses depends on.
fn device(vip: &PlacedVip) -> (&str, Option<u8>) {
    let vrrp = vip.spec.vrrp.as_ref();
    let own = vrrp.filter(|vrrp| vrrp.virtual_mac);
    (&vip.spec.interface, own.map(|vrrp| vrrp.id))
}

fn rules(vip: &PlacedVip, cx: &mut Cx<'_>) {
    let all = &vip.spec.rules;
    let mut said = None;
    for (at, (rule, span)) in all.iter().zip(&vip.rules).enumerate() {
        if let Some(first) = all[..at].iter().position(|other| other == rule)
            // One of both families is said once.
            && said.replace(*span) != Some(*span)
        {
            let problem = Problem::error(*span, "this rule is given twice");
            cx.push(problem.related(vip.rules[first], "first given here"));
        }
    }
}

/// The kernel takes a rule and its opposite for one and the same, and only the first of them.
fn opposites(vips: &[PlacedVip], cx: &mut Cx<'_>) {
    let mut seen: BTreeMap<(Family, String), (bool, Span)> = BTreeMap::new();
    let mut said = None;
    let all = vips
        .iter()
        .flat_map(|vip| vip.spec.rules.iter().zip(&vip.rules));
    for (rule, span) in all {
        let upright = VirtualRule {
            not: false,
            ..rule.clone()
        };
        let key = (rule.family, upright.to_string());
        let (not, there) = *seen.entry(key).or_insert((rule.not, *span));
        if not != rule.not && said.replace(*span) != Some(*span) {
            let message = "the kernel takes only one of a rule and its opposite at one priority";
            let problem = Problem::error(*span, message).related(there, "its opposite");
            cx.push(problem.help("give one of them another priority"));
        }
    }
}

/// Nothing of this program listens on an address whose packets are not taken.
pub(in crate::config) fn refused(
    vips: &[PlacedVip],
    services: &[PlacedService],
    own: &OwnListeners,
    sync: Option<(SocketAddr, Span)>,
    cx: &mut Cx<'_>,
) {
    let mut refusing: BTreeMap<IpAddr, (&PlacedVip, Span)> = BTreeMap::new();
    for vip in vips {
        if let Some(span) = vip.refuses {
            let addresses = vip.addresses.iter();
            refusing.extend(addresses.map(|(address, _)| (*address, (vip, span))));
        }
    }
    if refusing.is_empty() {
        return;
    }
    for service in services {
        if matches!(service.spec.kind, ServiceKind::Kernel(_)) {
            continue;
        }
        for (listen, span) in service.spec.listen.iter().zip(&service.listen) {
            let ip = listen.address.ip();
            let Some((vip, there)) = refusing.get(&ip) else {
                continue;
            };
            let (name, of) = (&service.spec.name, &vip.spec.name);
            let message =
                format!("service \"{name}\" hears nothing on {ip}: vip \"{of}\" takes no packets");
            let problem = Problem::error(*span, message).related(*there, "here");
            cx.push(problem.help(
                "leave `accept` out of the vip, or have the kernel forward the service: forward = \"nat\"",
            ));
        }
    }
    let own = [
        ("the admin API is", own.admin),
        ("metrics are", own.metrics),
        ("connection sync is", sync),
    ];
    for (what, listener) in own {
        let Some((address, span)) = listener else {
            continue;
        };
        if let Some((vip, there)) = refusing.get(&address.ip()) {
            let (ip, of) = (address.ip(), &vip.spec.name);
            let message = format!("{what} not heard on {ip}: vip \"{of}\" takes no packets");
            let problem = Problem::error(span, message).related(*there, "here");
            cx.push(problem.help("listen on an address of this node's own"));
        }
    }
}
