//! ICMP errors go the way of the flow they speak of: an error about a packet goes where that packet came from, which is
//! where packets of the opposite direction go.

use super::{Choice, Road, Tables, Verdict, count, depart, find, get};
use crate::{
    abi::{Family, Method, PassReason, Reason, Role, Tuple, backend_flags},
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
    }
    count(tables, slot, packet.length, !forward);
    depart::depart(tables, packet, Some(flow), verdict);
}
