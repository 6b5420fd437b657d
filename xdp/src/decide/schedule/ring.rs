//! Rings: `rr` and `wrr` in turn, `twos` by chance.

use super::{
    super::NO_SLOT,
    Span, Tables,
    scan::{NEVER, is_less},
};
use crate::abi::{Family, RING_TRIES, Scheduler};

/// The next of the ring that takes new work.
#[inline(always)]
pub(super) fn turn<F: Family, T: Tables<F>>(tables: &T, service: u32, span: Span) -> u32 {
    let mut tries = 0;
    while tries < RING_TRIES {
        let Some(slot) = next(tables, service, span) else {
            break;
        };
        if tables.weigh(slot, Scheduler::Lc as u32) != NEVER {
            return slot;
        }
        tries += 1;
    }
    NO_SLOT
}

/// The next of the ring.
#[inline(always)]
pub(super) fn next<F: Family, T: Tables<F>>(tables: &T, service: u32, span: Span) -> Option<u32> {
    if span.length == 0 {
        return None;
    }
    let turn = tables.turn(service)?;
    tables.scheduled(span.start.wrapping_add(turn % span.length))
}

/// The less busy of two members that are drawn by weight (the ring holds each as often as its weight says).
#[inline(always)]
pub(super) fn twos<F: Family, T: Tables<F>>(tables: &T, span: Span) -> u32 {
    if span.length == 0 {
        return NO_SLOT;
    }
    let mut chosen = NO_SLOT;
    let mut best = NEVER;
    let mut drawn = 0;
    let mut tries = 0;
    while tries < RING_TRIES && drawn < 2 {
        tries += 1;
        let Some(slot) = tables.scheduled(span.start.wrapping_add(tables.random() % span.length))
        else {
            break;
        };
        let weight = tables.weigh(slot, Scheduler::Wlc as u32);
        if weight == NEVER {
            continue;
        }
        drawn += 1;
        if best == NEVER || is_less(weight, best) {
            chosen = slot;
            best = weight;
        }
    }
    chosen
}
