//! Schedulers that compare all members: `lc`, `wlc`, `sed`, `nq`, `fo`, `ovf`. Of equals the first is taken, in
//! the order of the list: last added first.

use super::{super::NO_SLOT, Span, Tables, usable};
use crate::abi::{Family, SCAN, Scheduler};

/// The best member for a new connection.
///
/// All rules are one comparison: the least `cost / share`. What differs is what a member costs and how it shares.
#[inline(always)]
pub(super) fn best<F: Family, T: Tables<F>>(tables: &T, span: Span, scheduler: Scheduler) -> u32 {
    // A longer list is looked at from any place: what is found is the best of those looked at.
    let offset = if span.length > SCAN { tables.random() % span.length } else { 0 };
    let mut chosen = NO_SLOT;
    let (mut least, mut share) = (0_u64, 1_u64);
    let mut i = 0;
    while i < SCAN && i < span.length {
        let mut at = offset.wrapping_add(i);
        if at >= span.length {
            at = at.wrapping_sub(span.length);
        }
        i += 1;
        let Some(slot) = tables.scheduled(span.start.wrapping_add(at)) else {
            break;
        };
        let Some(busy) = usable(tables, slot) else {
            continue;
        };
        let weight = u64::from(busy.weight);
        let (cost, per) = match scheduler {
            Scheduler::Lc => (busy.overhead(), 1),
            Scheduler::Wlc => (busy.overhead(), weight),
            Scheduler::Nq if busy.active == 0 => return slot,
            Scheduler::Ovf if busy.active > busy.weight => continue,
            // The highest weight is the least of 1 / weight.
            Scheduler::Fo | Scheduler::Ovf => (1, weight),
            _ => (u64::from(busy.active) + 1, weight),
        };
        if chosen == NO_SLOT || least * per > cost * share {
            chosen = slot;
            least = cost;
            share = per;
        }
    }
    chosen
}
