//! Schedulers that compare all members: `lc`, `wlc`, `sed`, `nq`, `fo`, `ovf`. Of equals the first is taken, in
//! the order of the list: last added first.

use super::{super::NO_SLOT, Span, Tables, usable};
use crate::abi::{Family, SCAN, Scheduler};

/// What [`fn@weigh`] says of a member that may not be chosen.
pub(super) const NEVER: u64 = u64::MAX;

/// The best member for a new connection: the least cost by share.
#[inline(always)]
pub(super) fn best<F: Family, T: Tables<F>>(tables: &T, span: Span, scheduler: Scheduler) -> u32 {
    // A longer list is looked at from any place: what is found is the best of those looked at.
    let offset = if span.length > SCAN {
        tables.random() % span.length
    } else {
        0
    };
    let mut chosen = NO_SLOT;
    let (mut least, mut share) = (0_u64, 1_u64);
    let mut i = 0;
    // Few branches: the verifier follows each of them in each turn.
    while i < SCAN && i < span.length {
        let at = offset.wrapping_add(i) % span.length;
        i += 1;
        let Some(slot) = tables.scheduled(span.start.wrapping_add(at)) else {
            break;
        };
        let weight = tables.weigh(slot, scheduler as u32);
        let (cost, per) = (weight >> 32, weight & 0xffff_ffff);
        if weight != NEVER && (chosen == NO_SLOT || least * per > cost * share) {
            chosen = slot;
            least = cost;
            share = per;
        }
    }
    chosen
}

/// What a member costs (upper half) and what share it has (lower half) by a scheduler's rule.
#[inline(always)]
pub fn weigh<F: Family, T: Tables<F>>(tables: &T, slot: u32, scheduler: u32) -> u64 {
    let Some(busy) = usable(tables, slot) else {
        return NEVER;
    };
    let scheduler = Scheduler::of(scheduler as u8);
    let (cost, share) = match scheduler {
        Scheduler::Lc => (busy.overhead(), 1),
        Scheduler::Wlc => (busy.overhead(), busy.weight),
        Scheduler::Nq if busy.active == 0 => (0, 1),
        Scheduler::Ovf if busy.active > busy.weight => return NEVER,
        // The highest weight is the least of 1 / weight.
        Scheduler::Fo | Scheduler::Ovf => (1, busy.weight),
        _ => (u64::from(busy.active) + 1, busy.weight),
    };
    let most = u64::from(u32::MAX) - 1;
    (if cost < most { cost } else { most }) << 32 | u64::from(share)
}
