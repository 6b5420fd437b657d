//! Locality: `lblc` gives a destination to one backend until that is overloaded, `lblcr` to a set of backends that
//! grows and shrinks. Meant for caches, of services with many addresses.

use super::{
    super::{NO_SLOT, at, put},
    Entry, Tables, get,
    scan::NEVER,
};
use crate::{
    abi::{Family, Locality, LocalityKey, Scheduler, Tick},
    verifier::below,
};

/// A set that has not changed for so long gives its busiest backend up (IPVS: six minutes).
const SHRINKS_AFTER: u32 = Tick::in_seconds(360);

/// Whether a backend has more than it should while another has less than half of that (IPVS's rule).
#[inline(always)]
fn is_overloaded<F: Family, T: Tables<F>>(tables: &T, slot: u32, service: u32) -> bool {
    let (active, weight) = activity(tables, slot);
    if active <= weight {
        return false;
    }
    // One that has room is the one that the least-loaded rule would find.
    let (active, weight) = activity(tables, least_busy(tables, service));
    active * 2 < weight
}

/// A backend's active connections and weight; nothing of both if there is none.
#[inline(always)]
fn activity<F: Family, T: Tables<F>>(tables: &T, slot: u32) -> (u64, u64) {
    let (Some(load), Some(backend)) = (tables.load(slot), tables.backend(slot)) else {
        return (0, 0);
    };
    (
        u64::from(get!(load.active)),
        u64::from(get!(backend.weight)),
    )
}

/// The member that `wlc` would choose.
#[inline(always)]
fn least_busy<F: Family, T: Tables<F>>(tables: &T, service: u32) -> u32 {
    tables.pick(service, Scheduler::Wlc as u32, 0, 0)
}

/// The backend that a destination is at home with: `lblcr` if replicated, else `lblc`.
#[inline(always)]
pub fn home<F: Family, T: Tables<F>>(
    tables: &T,
    service: u32,
    dst: F::Addr,
    replicated: bool,
) -> u32 {
    if replicated {
        self::replicated(tables, service, dst)
    } else {
        single(tables, service, dst)
    }
}

/// `lblc`.
#[inline(always)]
fn single<F: Family, T: Tables<F>>(tables: &T, slot: u32, dst: F::Addr) -> u32 {
    let key = LocalityKey { dst, service: slot };
    let known = tables.locality(&key);
    if let Some(known) = known {
        let home = member(known, 0);
        put!(known.used = tables.now().0);
        let takes = tables.weigh(home, Scheduler::Wlc as u32) != NEVER;
        if takes && !is_overloaded(tables, home, slot) {
            return home;
        }
    }
    let chosen = least_busy(tables, slot);
    if chosen != NO_SLOT {
        settle(
            tables,
            &key,
            [chosen, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT],
        );
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
fn replicated<F: Family, T: Tables<F>>(tables: &T, slot: u32, dst: F::Addr) -> u32 {
    let key = LocalityKey { dst, service: slot };
    let Some(known) = tables.locality(&key) else {
        let chosen = least_busy(tables, slot);
        if chosen != NO_SLOT {
            settle(
                tables,
                &key,
                [chosen, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT],
            );
        }
        return chosen;
    };
    let now = tables.now();
    put!(known.used = now.0);
    let (mut least, mut most) = (Extreme::new(), Extreme::new());
    let mut members = 0;
    let mut i = 0;
    while i < SET {
        let slot = member(known, i);
        i += 1;
        if slot == NO_SLOT {
            continue;
        }
        members += 1;
        let weight = tables.weigh(slot, Scheduler::Wlc as u32);
        if weight == NEVER {
            continue;
        }
        if least.slot == NO_SLOT || least.costs(weight) {
            least = Extreme { slot, weight };
        }
        if most.slot == NO_SLOT || !most.costs(weight) {
            most = Extreme { slot, weight };
        }
    }
    if members > 1
        && most.slot != least.slot
        && now.is_past(get!(known.changed).wrapping_add(SHRINKS_AFTER))
    {
        replace(known, most.slot, NO_SLOT);
        put!(known.changed = now.0);
    }
    if least.slot != NO_SLOT && !is_overloaded(tables, least.slot, slot) {
        return least.slot;
    }
    let chosen = least_busy(tables, slot);
    // Of a full set the busiest makes room.
    if chosen != NO_SLOT && !replace(known, chosen, chosen) {
        if !replace(known, NO_SLOT, chosen) {
            let _ = replace(known, most.slot, chosen);
        }
        put!(known.changed = now.0);
    }
    chosen
}

/// How many backends a set has at most.
const SET: usize = 6;

/// A backend of a set.
#[inline(always)]
fn member(set: Entry<Locality>, i: usize) -> u32 {
    let first: *const u32 = at!(set.backends).cast();
    // SAFETY: there are six, and two numbers more behind them.
    unsafe { *first.add(below(i, 7)) }
}

/// Puts a backend in the place of another, if that is in the set.
#[inline(always)]
fn replace(set: Entry<Locality>, old: u32, new: u32) -> bool {
    let first: *mut u32 = at!(set.backends).cast();
    let mut i = 0;
    while i < SET {
        if member(set, i) == old {
            // SAFETY: as in `member`.
            unsafe { *first.add(below(i, 7)) = new };
            return true;
        }
        i += 1;
    }
    false
}

/// The least or most busy by weight of those seen.
#[derive(Clone, Copy)]
struct Extreme {
    slot: u32,
    /// As [`fn@super::weigh`] says.
    weight: u64,
}

impl Extreme {
    #[inline(always)]
    fn new() -> Self {
        Self {
            slot: NO_SLOT,
            weight: 0,
        }
    }

    /// Whether it costs more than another.
    #[inline(always)]
    fn costs(self, other: u64) -> bool {
        (self.weight >> 32) * (other & 0xffff_ffff) > (other >> 32) * (self.weight & 0xffff_ffff)
    }
}
