//! Locality: `lblc` gives a destination to one backend until that is overloaded, `lblcr` to a set of backends that
//! grows and shrinks. Meant for caches, of services with many addresses.

use super::{
    super::{NO_SLOT, put},
    Busy, Entry, Span, Tables, get, scan, usable,
};
use crate::abi::{Family, Locality, LocalityKey, Scheduler, Service, Tick};

/// A set that has not changed for so long gives its busiest backend up (IPVS: six minutes).
const SHRINKS_AFTER: u32 = Tick::in_seconds(360);

/// Whether a backend has more than it should while another has less than half of that (IPVS's rule).
#[inline(always)]
fn is_overloaded<F: Family, T: Tables<F>>(tables: &T, busy: Busy, span: Span) -> bool {
    if busy.active <= busy.weight {
        return false;
    }
    // One that has room is the one that the least-loaded rule would find.
    let other = scan::best(tables, span, Scheduler::Wlc);
    usable(tables, other).is_some_and(|other| u64::from(other.active) * 2 < u64::from(other.weight))
}

/// `lblc`.
#[inline(always)]
pub(super) fn single<F: Family, T: Tables<F>>(
    tables: &T,
    service: Entry<Service>,
    slot: u32,
    dst: F::Addr,
) -> u32 {
    let key = LocalityKey { dst, service: slot };
    let span = Span::of(get!(service.members));
    let known = tables.locality(&key);
    if let Some(known) = known {
        let [home, ..] = get!(known.backends);
        put!(known.used = tables.now().0);
        if let Some(busy) = usable(tables, home) {
            if !is_overloaded(tables, busy, span) {
                return home;
            }
        }
    }
    let chosen = scan::best(tables, span, Scheduler::Wlc);
    if chosen != NO_SLOT {
        settle(tables, &key, [chosen, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT]);
    }
    chosen
}

/// Remembers a destination's backends.
#[inline(always)]
fn settle<F: Family, T: Tables<F>>(tables: &T, key: &LocalityKey<F>, backends: [u32; 6]) {
    let now = tables.now().0;
    let locality = Locality {
        backends,
        changed: now,
        used: now,
    };
    tables.settle(key, &locality);
}

/// `lblcr`.
#[inline(always)]
pub(super) fn replicated<F: Family, T: Tables<F>>(
    tables: &T,
    service: Entry<Service>,
    slot: u32,
    dst: F::Addr,
) -> u32 {
    let key = LocalityKey { dst, service: slot };
    let span = Span::of(get!(service.members));
    let Some(known) = tables.locality(&key) else {
        let chosen = scan::best(tables, span, Scheduler::Wlc);
        if chosen != NO_SLOT {
            settle(tables, &key, [chosen, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT]);
        }
        return chosen;
    };
    let now = tables.now();
    put!(known.used = now.0);
    let [a, b, c, d, e, f] = get!(known.backends);
    let mut least = Extreme::new(true);
    let mut most = Extreme::new(false);
    let mut members = 0;
    let mut see = |slot: u32| {
        if slot != NO_SLOT {
            members += 1;
            if let Some(busy) = usable(tables, slot) {
                least.see(slot, busy);
                most.see(slot, busy);
            }
        }
    };
    see(a);
    see(b);
    see(c);
    see(d);
    see(e);
    see(f);
    let settled = now.is_past(get!(known.changed).wrapping_add(SHRINKS_AFTER));
    if members > 1 && settled && most.slot != least.slot {
        let gone = most.slot;
        let keep = |slot: u32| if slot == gone { NO_SLOT } else { slot };
        put!(known.backends = [keep(a), keep(b), keep(c), keep(d), keep(e), keep(f)]);
        put!(known.changed = now.0);
    }
    if let Some(busy) = least.busy {
        if !is_overloaded(tables, busy, span) {
            return least.slot;
        }
    }
    let chosen = scan::best(tables, span, Scheduler::Wlc);
    if chosen != NO_SLOT && ![a, b, c, d, e, f].contains(&chosen) {
        // The newest is first; the oldest of a full set makes room.
        put!(known.backends = [chosen, a, b, c, d, e]);
        put!(known.changed = now.0);
    }
    chosen
}

/// The least or most busy by weight of those seen.
struct Extreme {
    slot: u32,
    busy: Option<Busy>,
    least: bool,
}

impl Extreme {
    #[inline(always)]
    fn new(least: bool) -> Self {
        Self {
            slot: NO_SLOT,
            busy: None,
            least,
        }
    }

    #[inline(always)]
    fn see(&mut self, slot: u32, busy: Busy) {
        let better = self.busy.is_none_or(|best| {
            let (old, new) = (
                best.overhead() * u64::from(busy.weight),
                busy.overhead() * u64::from(best.weight),
            );
            if self.least { old > new } else { old < new }
        });
        if better {
            self.slot = slot;
            self.busy = Some(busy);
        }
    }
}
