//! Fragments: the first tells the ports of those that follow.

use super::{Tables, Verdict, get};
use crate::{
    abi::{Endpoint, Family, Fragment, FragmentKey, PassReason, Reason, Tick},
    packet::Packet,
};

/// How long the first fragment's ports are remembered: as long as a receiver waits for the rest on Linux.
const REMEMBERED: u32 = Tick::in_seconds(30);

#[inline(always)]
fn key<F: Family>(packet: &Packet<F>) -> FragmentKey<F> {
    FragmentKey {
        src: packet.tuple.src,
        dst: packet.tuple.dst,
        id: packet.id,
        proto: packet.tuple.proto,
        zero1: 0,
        zero2: 0,
    }
}

/// Fills in the ports of a later fragment. False: they are not known, and the verdict says what becomes of it.
#[inline(always)]
pub(super) fn recall<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    verdict: &mut Verdict<F>,
) -> bool {
    if let Some(first) = tables.fragment(&key(packet))
        && !tables.now().is_past(get!(first.expires))
    {
        packet.tuple.sport = get!(first.sport);
        packet.tuple.dport = get!(first.dport);
        verdict.to = packet.tuple;
        return true;
    }
    let virtual_address = Endpoint {
        address: packet.tuple.dst,
        port: 0,
        proto: 0,
        side: Endpoint::<F>::CLIENTS,
    };
    if tables.endpoint(&virtual_address).is_some() {
        verdict.drop(Reason::EarlyFragment);
    } else {
        verdict.pass(PassReason::NotOurs);
    }
    false
}

/// Remembers a first fragment that goes on.
#[inline(always)]
pub(super) fn keep<F: Family, T: Tables<F>>(tables: &T, packet: &Packet<F>) {
    let first = Fragment {
        sport: packet.tuple.sport,
        dport: packet.tuple.dport,
        expires: tables.now().0.wrapping_add(REMEMBERED),
    };
    tables.keep_fragment(&key(packet), &first);
}
