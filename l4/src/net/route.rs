//! Routes: where packets to an address leave this machine.

use std::net::IpAddr;

use super::{
    neighbour::NextHop,
    wire::{Attributes, Message, Request, address, family, flags, u16_at, u32_at},
};

/// A route came or changed (`RTM_NEWROUTE`).
pub(super) const NEW: u16 = 24;
/// A route went.
pub(super) const DELETE: u16 = 25;
/// The request for the route to an address.
pub(super) const GET: u16 = 26;
/// Length of `rtmsg`.
pub(super) const FIXED: usize = 12;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_VIA: u16 = 18;
const RTAX_MTU: u16 = 2;
/// Answer with the route as it was made, with all its next hops, not with the one chosen.
const RTM_F_FIB_MATCH: u32 = 0x2000;
/// In `rtm_flags`: made by the kernel's cache for one destination (a learned MTU, a redirect).
const RTM_F_CLONED: u32 = 0x200;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;

/// How packets to an address leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whether the address is one of this machine's own: packets do not leave.
    pub local: bool,
    /// The device; 0 if the kernel names none.
    pub ifindex: u32,
    /// The gateway; none: the address is on the device's link.
    pub gateway: Option<IpAddr>,
    /// The address that this machine sends from.
    pub source: Option<IpAddr>,
    /// The MTU that the route was given or learned; `None`: the device's counts.
    pub mtu: Option<u32>,
    /// All next hops, when there are several; the kernel chooses one by the packet.
    pub hops: Vec<NextHop>,
}

impl Route {
    /// The next hop of packets to `address`, this route's: of several hops, the one that the kernel chose.
    #[must_use]
    pub fn hop(&self, address: IpAddr) -> NextHop {
        NextHop {
            ifindex: self.ifindex,
            address: self.gateway.unwrap_or(address),
        }
    }

    /// All next hops that packets to `address` may take; none if it is this machine's own.
    pub(super) fn all_hops(self, address: IpAddr) -> Vec<NextHop> {
        if self.local {
            return Vec::new();
        }
        if self.hops.is_empty() {
            return vec![self.hop(address)];
        }
        self.hops
    }

    /// What a message says about packets to `asked`. `None`: none go there (unreachable, prohibited, blackhole).
    pub(super) fn read(message: &Message<'_>, asked: IpAddr) -> Option<Self> {
        let kind = kind(message)?;
        [RTN_UNICAST, RTN_LOCAL].contains(&kind).then_some(())?;
        let attributes = message.attributes(FIXED);
        let mut route = Self {
            local: kind == RTN_LOCAL,
            ifindex: 0,
            gateway: gateway(attributes),
            source: None,
            mtu: None,
            hops: Vec::new(),
        };
        for (attribute, value) in attributes {
            match attribute {
                RTA_OIF => route.ifindex = u32_at(value, 0).unwrap_or_default(),
                RTA_PREFSRC => route.source = address(value),
                RTA_METRICS => {
                    let mtu = Attributes(value).find_kind(RTAX_MTU);
                    route.mtu = mtu.and_then(|v| u32_at(v, 0)).filter(|mtu| *mtu != 0);
                }
                RTA_MULTIPATH => route.hops = hops(value, asked),
                _ => {}
            }
        }
        Some(route)
    }
}

fn gateway(attributes: Attributes<'_>) -> Option<IpAddr> {
    let plain = attributes.find_kind(RTA_GATEWAY).and_then(address);
    // An IPv4 route by way of an IPv6 neighbour: the family comes first.
    plain.or_else(|| address(attributes.find_kind(RTA_VIA)?.get(2..)?))
}

/// The hops of a multipath route; one without gateway leads to `asked` itself.
fn hops(mut bytes: &[u8], asked: IpAddr) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let (Some(length), Some(ifindex)) = (u16_at(bytes, 0), u32_at(bytes, 4)) {
        let length = usize::from(length);
        let Some(attributes) = bytes.get(8..length) else {
            break;
        };
        let address = gateway(Attributes(attributes)).unwrap_or(asked);
        hops.push(NextHop { ifindex, address });
        bytes = bytes.get((length + 3) & !3..).unwrap_or_default();
    }
    hops
}

fn kind(message: &Message<'_>) -> Option<u8> {
    message.body.get(7).copied()
}

/// Whether a change of a route is one of this machine's addresses coming or going.
pub(super) fn is_local(message: &Message<'_>) -> bool {
    kind(message) == Some(RTN_LOCAL)
}

/// Whether it is a note of the kernel's cache about one destination, without an MTU that was learned: nothing that
/// forwarding looks at.
pub(super) fn is_mere_cache(message: &Message<'_>) -> bool {
    let flags = u32_at(message.body, 8).unwrap_or_default();
    let metrics = message.attributes(FIXED).find_kind(RTA_METRICS);
    let mtu = metrics.and_then(|m| Attributes(m).find_kind(RTAX_MTU));
    flags & RTM_F_CLONED != 0 && mtu.is_none()
}

/// Asks for the route to an address: the one that is taken, or with `all` the route as it was made.
pub(super) fn get(address: IpAddr, all: bool) -> Request {
    let mut fixed = [0; FIXED];
    fixed[0] = family(address);
    fixed[1] = if address.is_ipv4() { 32 } else { 128 };
    let more = if all { RTM_F_FIB_MATCH } else { 0 };
    fixed[8..12].copy_from_slice(&more.to_ne_bytes());
    Request::new(GET, flags::ACK, &fixed).address(RTA_DST, address)
}
