//! Routes as the kernel is asked for them, and as it tells of them (rtnetlink(7)).

use std::{io, net::IpAddr};

use control::spec::{
    vip::Scope,
    ways::{Hop, HopDevice, RouteKey, RouteKind, VirtualRoute},
};
use ipnet::IpNet;
use l4::net::wire::{
    Attributes, Message, Request, address as address_of, family, flags, u16_at, u32_at,
};

use super::super::hand::{attribute, index_of};

/// A route came or changed.
pub(super) const NEW: u16 = 24;
/// A route went.
pub(super) const DELETE: u16 = 25;
/// The request for routes.
pub(super) const GET: u16 = 26;
/// Length of `rtmsg`.
const FIXED: usize = 12;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
const RTAX_INITCWND: u16 = 11;
const RTAX_INITRWND: u16 = 14;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;
const RTN_THROW: u8 = 9;
const RT_SCOPE_NOWHERE: u8 = 255;
const RTNH_F_ONLINK: u8 = 4;
/// The device is down, or has no carrier.
const RTNH_F_UNUSABLE: u32 = 0x01 | 0x10;
/// In `rtm_flags`: of the kernel's cache for one destination.
const RTM_F_CLONED: u32 = 0x200;

/// Asks for a route to be made; one with its key must not be there, or with `replace` gives way.
///
/// # Errors
/// A device is not there.
pub(super) fn add(route: &VirtualRoute, of_vip: &str, replace: bool) -> io::Result<Request> {
    let how = if replace {
        flags::CREATE | flags::REPLACE
    } else {
        flags::CREATE | flags::EXCLUSIVE
    };
    let hops: &[Hop] = match &route.kind {
        RouteKind::Unicast(hops) => hops,
        _ => &[],
    };
    let mut header = header(route);
    header[6] = scope(route, hops);
    header[7] = kind(&route.kind);
    if let [Hop { onlink: true, .. }] = hops {
        header[8..].copy_from_slice(&u32::from(RTNH_F_ONLINK).to_ne_bytes());
    }
    let mut request = keyed(Request::new(NEW, flags::ACK | how, &header), route);
    if let Some(src) = route.src {
        request = request.address(RTA_PREFSRC, src);
    }
    let metrics = metrics(route);
    if !metrics.is_empty() {
        request = request.attribute(RTA_METRICS, &metrics);
    }
    match hops {
        [] => Ok(request),
        [one] => {
            if let Some(via) = one.via {
                let (kind, value) = gateway(route, via);
                request = request.attribute(kind, &value);
            }
            Ok(match device(one, of_vip)? {
                Some(index) => request.attribute(RTA_OIF, &index.to_ne_bytes()),
                None => request,
            })
        }
        several => Ok(request.attribute(RTA_MULTIPATH, &multipath(route, several, of_vip)?)),
    }
}

/// Asks for a route to be taken away, if it is ours.
pub(super) fn delete(route: &VirtualRoute) -> Request {
    let mut header = header(route);
    // Of whatever scope.
    header[6] = RT_SCOPE_NOWHERE;
    keyed(Request::new(DELETE, flags::ACK, &header), route)
}

/// The same, of one that nothing but its key is known of.
pub(super) fn delete_by_key((to, table, metric): RouteKey, proto: u8) -> Request {
    delete(&VirtualRoute {
        to,
        kind: RouteKind::Throw,
        src: None,
        table,
        metric: Some(metric),
        scope: None,
        mtu: None,
        advmss: None,
        initcwnd: None,
        initrwnd: None,
        proto,
    })
}

fn header(route: &VirtualRoute) -> [u8; FIXED] {
    let mut header = [0; FIXED];
    header[0] = family(route.to.addr());
    header[1] = route.to.prefix_len();
    header[4] = u8::try_from(route.table).unwrap_or_default();
    header[5] = route.proto;
    header
}

fn keyed(request: Request, route: &VirtualRoute) -> Request {
    let metric = route.effective_metric();
    let request = if route.to.prefix_len() > 0 {
        request.address(RTA_DST, route.to.addr())
    } else {
        request
    };
    request
        .attribute(RTA_TABLE, &route.table.to_ne_bytes())
        .attribute(RTA_PRIORITY, &metric.to_ne_bytes())
}

const fn kind(kind: &RouteKind) -> u8 {
    match kind {
        RouteKind::Unicast(_) => RTN_UNICAST,
        RouteKind::Blackhole => RTN_BLACKHOLE,
        RouteKind::Unreachable => RTN_UNREACHABLE,
        RouteKind::Prohibit => RTN_PROHIBIT,
        RouteKind::Throw => RTN_THROW,
    }
}

/// As `ip route` has it: what needs no gateway is on the link. IPv6 has no scopes.
fn scope(route: &VirtualRoute, hops: &[Hop]) -> u8 {
    if route.to.addr().is_ipv6() || hops.is_empty() {
        return libc::RT_SCOPE_UNIVERSE;
    }
    match route.scope {
        Some(Scope::Global) => libc::RT_SCOPE_UNIVERSE,
        Some(Scope::Link) => libc::RT_SCOPE_LINK,
        Some(Scope::Host) => libc::RT_SCOPE_HOST,
        None if hops.iter().any(|hop| hop.via.is_some()) => libc::RT_SCOPE_UNIVERSE,
        None => libc::RT_SCOPE_LINK,
    }
}

fn metrics(route: &VirtualRoute) -> Vec<u8> {
    let all = [
        (RTAX_MTU, route.mtu),
        (RTAX_ADVMSS, route.advmss),
        (RTAX_INITCWND, route.initcwnd),
        (RTAX_INITRWND, route.initrwnd),
    ];
    let given = all
        .into_iter()
        .filter_map(|(kind, value)| Some((kind, value?)));
    given
        .flat_map(|(kind, value)| attribute(kind, &value.to_ne_bytes()))
        .collect()
}

/// The attribute of a gateway: one of the other family is told with its family.
fn gateway(route: &VirtualRoute, via: IpAddr) -> (u16, Vec<u8>) {
    let octets = match via {
        IpAddr::V4(via) => via.octets().to_vec(),
        IpAddr::V6(via) => via.octets().to_vec(),
    };
    if via.is_ipv4() == route.to.addr().is_ipv4() {
        return (RTA_GATEWAY, octets);
    }
    let mut with_family = u16::from(family(via)).to_ne_bytes().to_vec();
    with_family.extend(octets);
    (RTA_VIA, with_family)
}

fn device(hop: &Hop, of_vip: &str) -> io::Result<Option<u32>> {
    let name = match &hop.dev {
        HopDevice::OfGateway => return Ok(None),
        HopDevice::OfVip => of_vip,
        HopDevice::Named(name) => name,
    };
    let index = index_of(name).map_err(|_| io::Error::other(format!("there is no device {name}")));
    index.map(Some)
}

/// `rtnexthop`s, one after the other.
fn multipath(route: &VirtualRoute, hops: &[Hop], of_vip: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for hop in hops {
        let gateway = hop.via.map(|via| gateway(route, via));
        let gateway = gateway.map_or_else(Vec::new, |(kind, value)| attribute(kind, &value));
        let length = (8 + gateway.len()) as u16;
        bytes.extend(length.to_ne_bytes());
        bytes.push(if hop.onlink { RTNH_F_ONLINK } else { 0 });
        // The kernel counts from none.
        bytes.push(u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX));
        bytes.extend(device(hop, of_vip)?.unwrap_or_default().to_ne_bytes());
        bytes.extend(gateway);
    }
    Ok(bytes)
}

/// A route that the kernel tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) key: RouteKey,
    pub(super) proto: u8,
    /// Whether packets leave by it, or are this host's.
    pub(super) leads: bool,
    /// Its gateways and devices; none are known of one that is made of next hops by their numbers.
    pub(super) hops: Vec<SeenHop>,
}

/// A way out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenHop {
    pub(super) via: Option<IpAddr>,
    pub(super) device: u32,
    /// Its device is up, with carrier.
    pub(super) usable: bool,
}

impl Seen {
    /// What a message says; none if it is about no route of a table, or of neither family.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let body = message.body;
        if ![NEW, DELETE].contains(&message.kind) || u32_at(body, 8)? & RTM_F_CLONED != 0 {
            return None;
        }
        let (length, kind) = (*body.get(1)?, *body.get(7)?);
        let mut destination = match i32::from(*body.first()?) {
            libc::AF_INET => IpAddr::from([0; 4]),
            libc::AF_INET6 => IpAddr::from([0; 16]),
            _ => return None,
        };
        let (mut table, mut metric) = (u32::from(*body.get(4)?), 0);
        let mut hop = SeenHop {
            via: None,
            device: 0,
            usable: u32_at(body, 8)? & RTNH_F_UNUSABLE == 0,
        };
        let mut several = Vec::new();
        for (attribute, value) in message.attributes(FIXED) {
            match attribute {
                RTA_DST => destination = address_of(value)?,
                RTA_OIF => hop.device = u32_at(value, 0)?,
                RTA_GATEWAY => hop.via = address_of(value),
                RTA_VIA => hop.via = value.get(2..).and_then(address_of),
                RTA_PRIORITY => metric = u32_at(value, 0)?,
                RTA_TABLE => table = u32_at(value, 0)?,
                RTA_MULTIPATH => several = hops(value),
                _ => {}
            }
        }
        Some(Self {
            key: (IpNet::new(destination, length).ok()?, table, metric),
            proto: *body.get(5)?,
            leads: [RTN_UNICAST, RTN_LOCAL].contains(&kind),
            hops: if several.is_empty() {
                vec![hop]
            } else {
                several
            },
        })
    }
}

fn hops(mut bytes: &[u8]) -> Vec<SeenHop> {
    let mut hops = Vec::new();
    while let (Some(length), Some(device)) = (u16_at(bytes, 0), u32_at(bytes, 4)) {
        let length = usize::from(length);
        let (Some(attributes), Some(flags)) = (bytes.get(8..length), bytes.get(2)) else {
            break;
        };
        let attributes = Attributes(attributes);
        let plain = attributes.find_kind(RTA_GATEWAY).and_then(address_of);
        let other = || address_of(attributes.find_kind(RTA_VIA)?.get(2..)?);
        hops.push(SeenHop {
            via: plain.or_else(other),
            device,
            usable: u32::from(*flags) & RTNH_F_UNUSABLE == 0,
        });
        bytes = bytes.get((length + 3) & !3..).unwrap_or_default();
    }
    hops
}

/// What a dump's header says to have it filtered: of a family (`AF_INET`, `AF_INET6`), and of one table or one maker, or any (0).
pub(super) fn filter(family: u8, table: u32, proto: u8) -> Vec<u8> {
    let mut bytes = vec![0; FIXED];
    bytes[0] = family;
    bytes[5] = proto;
    if table != 0 {
        bytes.extend(attribute(RTA_TABLE, &table.to_ne_bytes()));
    }
    bytes
}
