//! Which backend a new connection is given, by IPVS's rules.
//!
//! [`mod@ring`] goes through a ring that user space made (rr, wrr, twos), [`mod@table`] looks into a hash table (sh, dh,
//! mh), [`mod@scan`] compares all members (lc, wlc, sed, nq, fo, ovf), [`mod@locality`] remembers destinations (lblc,
//! lblcr).

mod locality;
mod ring;
mod scan;
mod table;

pub use self::{
    locality::home,
    scan::{compare, weigh},
};
use super::{Entry, NO_SLOT, Tables, begin, get, load};
use crate::abi::{Family, Scheduler, Service, Tuple};

/// A list in the schedule map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// Index of its first entry.
    start: u32,
    /// How many entries it has.
    length: u32,
}

impl Span {
    /// From the two halves of a word of [`Service`].
    #[inline(always)]
    fn of(word: u64) -> Self {
        Self {
            start: word as u32,
            length: (word >> 32) as u32,
        }
    }
}

/// The slot of the backend that a new connection of a service is given, [`NO_SLOT`] if none takes it.
#[inline(always)]
pub fn schedule<F: Family, T: Tables<F>>(
    tables: &T,
    service: Entry<Service>,
    slot: u32,
    tuple: &Tuple<F>,
) -> u32 {
    let scheduler = Scheduler::of(get!(service.scheduler));
    match scheduler {
        Scheduler::Lblc => tables.home(slot, tuple.dst, false),
        Scheduler::Lblcr => tables.home(slot, tuple.dst, true),
        _ => {
            let (key, more) = table::key(tuple, scheduler, get!(service.flags));
            tables.pick(slot, scheduler as u32, key, more)
        }
    }
}

/// As [`schedule`], for the short road: in turn at once if the next of the ring takes new work. (If not, it goes on from there.)
#[inline(always)]
pub(super) fn at_once<F: Family, T: Tables<F>>(
    tables: &T,
    service: Entry<Service>,
    slot: u32,
    tuple: &Tuple<F>,
) -> u32 {
    if Scheduler::of(get!(service.scheduler)) == Scheduler::Ring {
        let chosen = ring::next(tables, slot, Span::of(get!(service.table)));
        if let Some(chosen) = chosen
            && usable(tables, chosen).is_some()
        {
            return chosen;
        }
    }
    schedule(tables, service, slot, tuple)
}

/// Chooses by the rules that know no destination: from numbers alone, so that it is one function for both families.
/// `key` and `more` are what hash tables hash.
#[inline(always)]
pub fn pick<F: Family, T: Tables<F>>(
    tables: &T,
    slot: u32,
    scheduler: u32,
    key: u32,
    more: u32,
) -> u32 {
    let Some(service) = tables.service(slot) else {
        return NO_SLOT;
    };
    let span = Span::of(get!(service.table));
    let scheduler = Scheduler::of(scheduler as u8);
    match scheduler {
        Scheduler::Ring => ring::turn(tables, slot, span),
        Scheduler::Twos => ring::twos(tables, span),
        Scheduler::SourceHash | Scheduler::Maglev | Scheduler::DestinationHash => {
            table::look(tables, span, (key, more), get!(service.flags))
        }
        _ => scan::best(tables, slot, Span::of(get!(service.members)), scheduler),
    }
}

/// Mixes two words: each bit of the result depends on each of theirs.
#[inline(always)]
pub fn hash(a: u32, b: u32) -> u32 {
    let mut h = (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^= h >> 32;
    h = h.wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^= h >> 32;
    h as u32
}

/// What a backend weighs for a choice: none if it may not be chosen at all.
#[inline(always)]
fn usable<F: Family, T: Tables<F>>(tables: &T, slot: u32) -> Option<Busy> {
    let backend = tables.backend(slot)?;
    let weight = get!(backend.weight);
    if !begin::takes(get!(backend.flags)) || weight == 0 {
        return None;
    }
    let busy = tables.load(slot)?;
    if load::is_full(backend, busy) {
        return None;
    }
    Some(Busy {
        weight,
        active: get!(busy.active),
        inactive: get!(busy.inactive),
    })
}

/// How busy a backend is beside its weight.
#[derive(Clone, Copy, Default)]
struct Busy {
    weight: u32,
    active: u32,
    inactive: u32,
}

impl Busy {
    /// IPVS's measure: an active connection is worth 256 inactive ones.
    #[inline(always)]
    fn overhead(self) -> u64 {
        (u64::from(self.active) << 8) + u64::from(self.inactive)
    }
}
