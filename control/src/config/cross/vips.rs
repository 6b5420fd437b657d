//! What virtual addresses ask of each other: an id is one virtual router's on an interface, an address one vip's; what is
//! tracked is there.

use std::collections::{BTreeMap, BTreeSet};

use proto::vrrp::{limits::MAX_MEMBERS, terms::Family};

use crate::{
    config::{
        diagnostic::{Problem, Span},
        section::vip::PlacedVip,
        walk::Cx,
    },
    name::Name,
    spec::vip::TrackKind,
};

/// Looks at all of them. `services` and `pools` are the names of those that there are.
pub(in crate::config) fn vips(
    vips: &[PlacedVip],
    services: &BTreeSet<String>,
    pools: &BTreeSet<String>,
    cx: &mut Cx<'_>,
) {
    ids(vips, cx);
    addresses(vips, cx);
    groups(vips, cx);
    sizes(vips, cx);
    for vip in vips {
        tracked(vip, services, pools, cx);
    }
}

fn ids(vips: &[PlacedVip], cx: &mut Cx<'_>) {
    let mut seen: BTreeMap<(&str, u8, Family), Span> = BTreeMap::new();
    for vip in vips {
        let Some(vrrp) = &vip.spec.vrrp else { continue };
        for family in vip.spec.families() {
            let key = (&*vip.spec.interface, vrrp.id, family);
            let Some(first) = seen.insert(key, vip.id) else {
                continue;
            };
            let message = format!(
                "{} has two virtual routers with id {}",
                vip.spec.interface, vrrp.id
            );
            cx.push(
                Problem::error(vip.id, message)
                    .related(first, "the other")
                    .help("give each an id of its own"),
            );
            break;
        }
    }
}

fn addresses(vips: &[PlacedVip], cx: &mut Cx<'_>) {
    let mut seen = BTreeMap::new();
    for (at, vip) in vips.iter().enumerate() {
        for (address, span) in &vip.addresses {
            let first = seen.insert(address, (at, *span));
            // Twice in one vip has been said.
            if let Some((other, first)) = first.filter(|(other, _)| *other != at) {
                let message = format!(
                    "{address} is also an address of vip \"{}\"",
                    vips[other].spec.name
                );
                cx.push(Problem::error(*span, message).related(first, "there"));
            }
        }
    }
}

/// So many virtual routers of a group are told of each other's every step.
fn sizes(vips: &[PlacedVip], cx: &mut Cx<'_>) {
    let mut sizes: BTreeMap<&Name, usize> = BTreeMap::new();
    for vip in vips {
        let Some(span) = vip.group else { continue };
        let size = sizes.entry(vip.spec.group()).or_default();
        let before = *size;
        *size += vip.spec.families().len();
        if before <= MAX_MEMBERS && *size > MAX_MEMBERS {
            let message = format!("a group has at most {MAX_MEMBERS} virtual routers");
            cx.push(Problem::error(span, message).help("make several groups of it"));
        }
    }
}

/// A group is released and promoted by its name, as a vip without one is.
fn groups(vips: &[PlacedVip], cx: &mut Cx<'_>) {
    for vip in vips {
        let Some(span) = vip.group else { continue };
        let group = vip.spec.group();
        let alone = vips
            .iter()
            .find(|other| other.group.is_none() && other.spec.name == *group);
        if let Some(other) = alone {
            let message = format!("\"{group}\" is the name of a vip that is not in this group");
            cx.push(
                Problem::error(span, message)
                    .related(other.name, "this one")
                    .help("give the group another name, or that vip the same group"),
            );
        }
    }
}

fn tracked(
    vip: &PlacedVip,
    services: &BTreeSet<String>,
    pools: &BTreeSet<String>,
    cx: &mut Cx<'_>,
) {
    let Some(vrrp) = &vip.spec.vrrp else { return };
    for (track, span) in vrrp.track.iter().zip(&vip.track) {
        let (what, name, there): (_, &Name, _) = match &track.what {
            TrackKind::Service { service, .. } => ("service", service, services),
            TrackKind::Pool { pool, .. } => ("pool", pool, pools),
            _ => continue,
        };
        if there.contains(name.as_str()) {
            continue;
        }
        let problem = Problem::error(*span, format!("there is no {what} \"{name}\" to track"));
        let help = cx.did_you_mean(name.as_str(), there.iter().map(|s| &**s));
        cx.push(problem.maybe_help(help));
    }
}
