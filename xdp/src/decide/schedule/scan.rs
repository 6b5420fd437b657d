//! Schedulers that compare all members: `lc`, `wlc`, `sed`, `nq`, `fo`, `ovf`. Of equals the first is taken, in
//! the order of the list: last added first.

use super::{super::NO_SLOT, Span, Tables, get, usable};
use crate::abi::{Family, SCAN, Scheduler};

/// What [`fn@weigh`] says of a member that may not be chosen.
pub(super) const NEVER: u64 = u64::MAX;

/// Members that are compared in one go: the verifier of older kernels follows each turn of a loop in every way.
const PART: u32 = 32;

/// The best member for a new connection: the least cost by share.
#[inline(always)]
pub(super) fn best<F: Family, T: Tables<F>>(
    tables: &T,
    service: u32,
    span: Span,
    scheduler: Scheduler,
) -> u32 {
    // A longer list is looked at from any place: what is found is the best of those looked at.
    let offset = if span.length > SCAN {
        tables.random() % span.length
    } else {
        0
    };
    let mut chosen = NO_SLOT;
    let mut from = 0;
    while from < SCAN && from < span.length {
        chosen = tables.compare(service, scheduler as u32, offset, from, chosen);
        from += PART;
    }
    chosen
}

/// The best of `chosen` and of the members from `from` on, as many as are compared in one go; they are counted from
/// `offset`.
#[inline(always)]
pub fn compare<F: Family, T: Tables<F>>(
    tables: &T,
    service: u32,
    scheduler: u32,
    offset: u32,
    from: u32,
    chosen: u32,
) -> u32 {
    let Some(service) = tables.service(service) else {
        return chosen;
    };
    let span = Span::of(get!(service.members));
    if span.length == 0 {
        return chosen;
    }
    let mut chosen = chosen;
    // Cost in the upper half, share in the lower: this one loses against all.
    let mut best = NEVER;
    if chosen != NO_SLOT {
        best = tables.weigh(chosen, scheduler);
    }
    let mut i = 0;
    // Few branches: the verifier follows each of them in each turn.
    while i < PART && from + i < span.length {
        let at = offset.wrapping_add(from + i) % span.length;
        i += 1;
        let Some(slot) = tables.scheduled(span.start.wrapping_add(at)) else {
            break;
        };
        let weight = tables.weigh(slot, scheduler);
        if weight != NEVER && (best == NEVER || is_less(weight, best)) {
            chosen = slot;
            best = weight;
        }
    }
    chosen
}

/// Whether one weight is less than another: cost by share.
#[inline(always)]
pub(super) fn is_less(one: u64, other: u64) -> bool {
    (other >> 32) * (one & 0xffff_ffff) > (one >> 32) * (other & 0xffff_ffff)
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
