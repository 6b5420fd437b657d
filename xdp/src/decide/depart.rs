//! The way out: time to live, next hop, size.

use super::{Action, Entry, Journey, Route, Tables, Verdict, follow, get, put_hop, way};
use crate::{
    abi::{Backend, Encap, Family, Flow, Method, PassReason, Reason, Role, V4, V6, backend_flags},
    packet::Packet,
    rewrite::overhead,
};

/// Finds the way for a packet whose verdict names method, backend and what its tuple becomes. The flow, if there is
/// one, remembers the next hop.
#[inline(always)]
pub(super) fn depart<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    flow: Option<Entry<Flow<F>>>,
    verdict: &mut Verdict<F>,
) {
    if follow::is_local(verdict.method) {
        return verdict.pass(PassReason::Local);
    }
    if packet.ttl <= 1 {
        verdict.drop(Reason::TtlExceeded);
        verdict.action = Action::TtlExceeded;
        return;
    }
    let Some(settings) = tables.settings() else {
        return verdict.drop(Reason::NoRoute);
    };
    let generation = get!(settings.generation);
    let Some(backend) = tables.backend(verdict.backend) else {
        return verdict.drop(Reason::BackendGone);
    };
    let reply = flow.is_some_and(|flow| get!(flow.role) == Role::Reverse as u8);
    // Of full NAT the source is ours, which may have routes of its own.
    let shared = !reply && verdict.to.src == packet.tuple.src;
    if let Some(flow) = flow
        && generation != 0
        && get!(flow.hop).generation == generation
    {
        let known = get!(flow.hop);
        verdict.hop.become_of(&known);
        if shared && Method::of(verdict.method) == Method::Tunnel {
            way::keep(tables, backend, generation, verdict);
        }
    } else if shared && let Some(way) = way::recall(tables, backend, generation, verdict.backend) {
        verdict.hop.become_of(&get!(way.hop));
        if let Some(flow) = flow {
            put_hop!(flow.hop = verdict.hop);
        }
    } else {
        match search(tables, packet, backend, reply, verdict) {
            Route::Found => {}
            Route::NoRoute => return verdict.drop(Reason::NoRoute),
            Route::NoNeighbour => return verdict.drop(Reason::NoNeighbour),
            Route::NoDevice => return verdict.drop(Reason::NoDevice),
        }
        verdict.hop.generation = generation;
        if let Some(flow) = flow {
            put_hop!(flow.hop = verdict.hop);
        }
        if shared {
            way::keep(tables, backend, generation, verdict);
        }
    }
    fit(packet, backend, verdict);
}

/// Looks for the next hop.
#[inline(always)]
fn search<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    backend: Entry<Backend>,
    reply: bool,
    verdict: &mut Verdict<F>,
) -> Route {
    let translated = reply || Method::of(verdict.method) == Method::Nat;
    let v6 = get!(backend.flags) & backend_flags::V6 != 0;
    if !translated && v6 != F::IS_V6 {
        return tables.route_other(&get!(backend.address), v6, &mut verdict.hop);
    }
    let journey = Journey {
        src: if translated {
            verdict.to.src
        } else {
            packet.tuple.src
        },
        dst: if translated {
            verdict.to.dst
        } else {
            F::narrow(get!(backend.address))
        },
        tos: packet.tos,
    };
    tables.route(&journey, &mut verdict.hop)
}

/// Whether the packet fits the way; if so, it leaves.
#[inline(always)]
fn fit<F: Family>(packet: &Packet<F>, backend: Entry<Backend>, verdict: &mut Verdict<F>) {
    let mtu = largest(verdict.method, verdict.hop.mtu, backend);
    if packet.length <= mtu {
        verdict.action = Action::Forward;
    } else if packet.dont_fragment {
        verdict.drop(Reason::TooBig);
        verdict.action = Action::TooBig;
        verdict.mtu = mtu;
    } else {
        verdict.drop(Reason::TooBigSilent);
    }
}

/// The largest packet that fits a way to a backend.
#[inline(always)]
pub(super) fn largest(method: u8, mtu: u16, backend: Entry<Backend>) -> u32 {
    let mut mtu = u32::from(mtu);
    if Method::of(method) == Method::Tunnel {
        let flags = get!(backend.flags);
        let checksum = flags & backend_flags::TUNNEL_CHECKSUM != 0;
        let encap = Encap::of(get!(backend.encap));
        let learned = u32::from(get!(backend.path_mtu));
        if learned != 0 && learned < mtu {
            mtu = learned;
        }
        let around = if flags & backend_flags::V6 != 0 {
            overhead::<V6>(encap, checksum)
        } else {
            overhead::<V4>(encap, checksum)
        };
        mtu = mtu.saturating_sub(around as u32);
    }
    mtu
}
