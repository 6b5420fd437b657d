//! ICMP errors go the way of the flow they speak of: an error about a packet goes where that packet came from, which is
//! where packets of the opposite direction go.

use super::{Choice, Road, Tables, Verdict, count, depart, find, get, put, splice};
use crate::{
    abi::{Addr6, Family, Method, PassReason, Reason, Role, Tuple, backend_flags},
    packet::Packet,
};

/// Decides on an ICMP error. Of `Forward`, [`Verdict::to`] is what the inner tuple reversed becomes.
#[inline(always)]
pub(super) fn decide<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    verdict: &mut Verdict<F>,
) {
    let key = packet.tuple.reversed();
    verdict.to = key;
    let Some((flow, _)) = find(tables, &key) else {
        return verdict.pass(PassReason::NotOurs);
    };
    let forward = get!(flow.role) == Role::Forward as u8;
    let slot = get!(flow.backend);
    verdict.road = if forward {
        Road::Established
    } else {
        Road::Reply
    };
    verdict.choice = Choice::Flow;
    verdict.service = get!(flow.service);
    verdict.backend = slot;
    verdict.method = get!(flow.method);
    let flags = tables
        .backend(slot)
        .map_or(0, |backend| get!(backend.flags));
    if flags & (backend_flags::PRESENT | backend_flags::REMOVED) != backend_flags::PRESENT {
        return verdict.drop(Reason::BackendGone);
    }
    if Method::of(verdict.method) == Method::Nat {
        verdict.to = Tuple::new(
            get!(flow.src),
            get!(flow.dst),
            get!(flow.sport),
            get!(flow.dport),
            key.proto,
        );
        splice::turn_error(flow, verdict);
    }
    count(tables, slot, packet.length, !forward);
    depart::depart(tables, packet, Some(flow), verdict);
}

/// The least MTU that is believed: IPv6's own, and what Linux takes for the least of IPv4.
const LEAST4: u32 = 552;
const LEAST6: u32 = 1280;

/// Learns from an ICMP error that packets of at most `mtu` bytes get to the tunnel's end `to`, of the family that `v6`
/// says. Believed only if the packet in it, of `tuple`, is one of a flow that goes there.
#[inline(always)]
pub fn learn<F: Family, T: Tables<F>>(tables: &T, tuple: &Tuple<F>, to: Addr6, v6: bool, mtu: u32) {
    let Some((flow, _)) = find(tables, tuple) else {
        return;
    };
    let Some(backend) = tables.backend(get!(flow.backend)) else {
        return;
    };
    let is_v6 = get!(backend.flags) & backend_flags::V6 != 0;
    let known = u32::from(get!(backend.path_mtu));
    let goes = Method::of(get!(flow.method)) == Method::Tunnel
        && get!(flow.role) == Role::Forward as u8
        && get!(backend.address) == to
        && is_v6 == v6;
    let least = if v6 { LEAST6 } else { LEAST4 };
    if goes && mtu >= least && mtu <= 0xffff && (known == 0 || mtu < known) {
        put!(backend.path_mtu = mtu as u16);
    }
}
