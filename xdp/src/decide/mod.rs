//! Where a packet goes, from the tables alone: the same source decides in the kernel and on the host.
//!
//! A packet's way: [`mod@established`] is the short road of a known flow, where nothing changes but counters;
//! [`fn@decide`] is the whole road. It follows a known flow ([`mod@follow`], with [`mod@state`]), or finds the service
//! ([`mod@service`]), chooses a backend ([`mod@schedule`], [`mod@template`]) and begins a flow ([`mod@begin`]); both
//! end in [`mod@depart`], which finds the way. [`mod@icmp`] and [`mod@fragment`] are the roads of those packets. What
//! it reads is [`Tables`]: in the kernel the maps, on the host [`mod@model`]. What it says is a [`Verdict`].

mod begin;
mod depart;
mod established;
mod follow;
mod fragment;
mod icmp;
mod load;
pub mod schedule;
mod service;
mod state;
mod tables;
mod template;
mod verdict;

pub use self::{
    established::{Kept, established},
    load::{count, is_full},
    state::{Seen, is_over, tcp},
    tables::{Entry, Inserted, Journey, Route, Table, Tables},
    verdict::{Action, Choice, NO_SLOT, Road, Verdict},
};
pub(crate) use self::tables::{at, get, put};
use crate::{
    abi::{Family, Tuple},
    packet::{Kind, Packet},
};

/// Decides on a packet, by the whole road.
#[inline(always)]
pub fn decide<F: Family, T: Tables<F>>(tables: &T, packet: &mut Packet<F>, verdict: &mut Verdict<F>) {
    if packet.kind == Kind::IcmpError {
        return icmp::decide(tables, packet, verdict);
    }
    if packet.kind == Kind::LaterFragment && !fragment::recall(tables, packet, verdict) {
        return;
    }
    verdict.to = packet.tuple;
    if !follow::follow(tables, packet, verdict) {
        begin::begin(tables, packet, verdict);
    }
    if packet.kind == Kind::FirstFragment && verdict.action == Action::Forward {
        fragment::keep(tables, packet);
    }
}

/// The flow of a tuple, and which table it is in.
#[inline(always)]
fn find<F: Family, T: Tables<F>>(tables: &T, key: &Tuple<F>) -> Option<(Entry<crate::abi::Flow<F>>, Table)> {
    if let Some(flow) = tables.flow(Table::Established, key) {
        return Some((flow, Table::Established));
    }
    let flow = tables.flow(Table::Pending, key)?;
    Some((flow, Table::Pending))
}
