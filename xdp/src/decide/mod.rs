//! Where a packet goes, from the tables alone: the same source decides in the kernel and on the host.
//!
//! A packet's way: [`mod@established`] is the short road of a known flow, where nothing changes but counters;
//! [`mod@fresh`] the one of a flow's
//! first packet; [`fn@decide`] is the whole road. It follows a known flow ([`mod@follow`], with [`mod@state`]), or finds the service
//! ([`mod@service`]), chooses a backend ([`mod@schedule`], [`mod@template`]) and begins a flow ([`mod@begin`]); both
//! end in [`mod@depart`], which finds the way. [`mod@cookie`] is how a SYN is answered before there is a flow, and
//! [`mod@splice`] what is different with one that began so. [`mod@icmp`] and [`mod@fragment`] are the roads of those packets. What
//! it reads is [`Tables`]: in the kernel the maps, on the host [`mod@model`]. What it says is a [`Verdict`].

mod begin;
mod cookie;
mod depart;
mod established;
mod follow;
mod fragment;
mod fresh;
mod icmp;
mod load;
#[cfg(not(target_arch = "bpf"))]
pub mod model;
pub mod schedule;
mod service;
mod splice;
mod state;
mod tables;
mod template;
#[cfg(test)]
mod tests;
mod verdict;
mod way;

pub(crate) use self::tables::{at, get, part, put, put_hop};
pub use self::{
    cookie::{cookie_for, returned},
    established::{Kept, established},
    fresh::{Fresh, Left, elect, fresh},
    icmp::learn,
    load::{count, is_full},
    splice::Turn,
    state::{Seen, is_over, tcp},
    tables::{Entry, Inserted, Journey, Route, Table, Tables},
    verdict::{Action, Choice, NO_SLOT, Road, Verdict},
};
use crate::{
    abi::{Family, Tuple},
    packet::{Kind, Packet},
};

/// A part of the whole road. In the kernel each is a function of its own, which the verifier looks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// An ICMP error follows the flow it speaks of.
    Error,
    /// A later fragment gets its ports; false: they are not known, and that was decided on.
    Recall,
    /// The packet's flow decides; false: it has none.
    Follow,
    /// The service and a backend of it; false: there is none, and that was decided on.
    Choose,
    /// A backend was chosen for the packet: what that makes of it.
    Take,
    /// A new flow.
    Begin,
    /// What a first fragment tells of those that follow is kept.
    Keep,
}

/// The whole road, part by part.
#[inline(always)]
pub fn road(kind: Kind, mut run: impl FnMut(Stage) -> bool) {
    if kind == Kind::IcmpError {
        let _ = run(Stage::Error);
        return;
    }
    if kind == Kind::LaterFragment && !run(Stage::Recall) {
        return;
    }
    if !run(Stage::Follow) && run(Stage::Choose) {
        let _ = run(Stage::Begin);
    }
    if kind == Kind::FirstFragment {
        let _ = run(Stage::Keep);
    }
}

/// One part of the road. The result is the stage's.
#[inline(always)]
pub fn perform<F: Family, T: Tables<F>>(
    stage: Stage,
    tables: &T,
    packet: &mut Packet<F>,
    verdict: &mut Verdict<F>,
) -> bool {
    match stage {
        Stage::Error => icmp::decide(tables, packet, verdict),
        Stage::Recall => return fragment::recall(tables, packet, verdict),
        Stage::Follow => return follow::follow(tables, packet, verdict),
        Stage::Choose => return begin::choose(tables, packet, verdict),
        Stage::Take => return begin::take(tables, packet, verdict),
        Stage::Begin => begin::begin(tables, packet, verdict),
        Stage::Keep => {
            if verdict.action == Action::Forward {
                fragment::keep(tables, packet);
            }
        }
    }
    true
}

/// Decides on a packet, by the whole road.
pub fn decide<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    verdict: &mut Verdict<F>,
) {
    *verdict = Verdict::new(packet.tuple);
    road(packet.kind, |stage| perform(stage, tables, packet, verdict));
}

/// The flow of a tuple, and which table it is in.
#[inline(always)]
fn find<F: Family, T: Tables<F>>(
    tables: &T,
    key: &Tuple<F>,
) -> Option<(Entry<crate::abi::Flow<F>>, Table)> {
    if let Some(flow) = tables.flow(Table::Established, key) {
        return Some((flow, Table::Established));
    }
    let flow = tables.flow(Table::Pending, key)?;
    Some((flow, Table::Pending))
}
