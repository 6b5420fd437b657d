//! The tables of flows: hash tables of our own, in arrays that the program and user space have in common.
//!
//! A key has three buckets where it may be ([`Place`]), of eight places each: one of the near ones, which are few and
//! together in memory; if that is full, the emptier one of two others. A bucket counts the keys that have gone on from it, so
//! that nobody looks further for one that is not there. A bucket's tags ([`mod@tags`]) say where to look, eight with a few instructions, and are all
//! that is changed atomically: who wants a free place makes its tag that of one that is being filled, fills it, and puts the
//! key's tag there. Nobody waits for anybody. As with the kernel's own tables that throw out the oldest, a value that is
//! taken out while somebody reads it may become another's under his eyes.
//!
//! It is ours since the kernel's (`BPF_MAP_TYPE_LRU_HASH`) costs more: by it, a flow's first packet took 800 instructions
//! more, any other 80, and a flow 141 bytes instead of 108.

mod atomic;
mod tags;
#[cfg(test)]
mod tests;

use core::ptr::NonNull;

pub use self::tags::Hits;
use crate::{
    abi::{Bucket, Family, Flow, LANES, Slot, Tick, Tuple},
    decide::{Entry, Inserted, Table, at, get, part, put},
    packet::merge,
};

/// While the first bucket of those that are not near has fewer, the second is not looked at.
const FEW: u64 = 4;
/// How often a bucket is looked at anew if others change it meanwhile.
const TRIES: usize = 4;

/// Where tables of flows lie.
pub trait Buckets<F: Family> {
    /// What hashes depend on, so that nobody outside can fill a bucket on purpose.
    fn secret(&self) -> u64;
    /// How many buckets a table has.
    fn count(&self, table: Table) -> u32;
    /// How many of them, the first ones, are near ([`crate::abi::near`]).
    fn near(&self, table: Table) -> u32;
    /// A bucket.
    fn bucket(&self, table: Table, index: u32) -> Option<Entry<Bucket<F>>>;
}

/// Where a key may be, in tables of any size: its hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(pub u64);

impl Place {
    /// That of a key.
    #[inline(always)]
    pub fn of<F: Family>(key: &Tuple<F>, secret: u64) -> Self {
        Self(F::mix(key, secret))
    }

    #[inline(always)]
    fn tag(self) -> u64 {
        (self.0 ^ self.0 >> 32) & 0xffff | 0x8000
    }

    /// The index of the bucket that is looked at first ([`NEAR`]), second ([`FIRST`]) or last ([`SECOND`]).
    #[inline(always)]
    fn index<F: Family, B: Buckets<F>>(self, buckets: &B, table: Table, step: usize) -> u32 {
        let near = buckets.near(table);
        if step == NEAR {
            return (self.0 >> 48) as u32 & near.wrapping_sub(1);
        }
        let hash = if step == FIRST {
            self.0
        } else {
            (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
        };
        let far = u64::from(buckets.count(table).wrapping_sub(near));
        near + (((hash >> 32) * far) >> 32) as u32
    }

    /// That bucket.
    #[inline(always)]
    fn bucket<F: Family, B: Buckets<F>>(
        self,
        buckets: &B,
        table: Table,
        step: usize,
    ) -> Option<Entry<Bucket<F>>> {
        buckets.bucket(table, self.index(buckets, table, step))
    }
}

/// The order in which a key's buckets are looked at.
const NEAR: usize = 0;
const FIRST: usize = 1;
const SECOND: usize = 2;

/// A place in a bucket.
#[derive(Clone, Copy, Debug)]
struct Spot<F: Family> {
    bucket: Entry<Bucket<F>>,
    at: Hits,
}

impl<F: Family> Spot<F> {
    /// What is there.
    #[inline(always)]
    fn slot(self) -> Entry<Slot<F>> {
        slot(self.bucket, self.at.slot())
    }

    /// The word that its tag is in, and the tag's unit there.
    #[inline(always)]
    fn word(self) -> (*mut u64, u64) {
        let (word, unit) = self.at.lane();
        let first: *mut u64 = self.bucket.as_ptr().cast();
        // SAFETY: a bucket begins with two words.
        (unsafe { first.add(word) }, unit)
    }
}

/// A place of a bucket by its number.
#[inline(always)]
pub fn slot<F: Family>(bucket: Entry<Bucket<F>>, number: usize) -> Entry<Slot<F>> {
    // SAFETY: the number is below eight, and within the bucket.
    unsafe {
        let slots: *mut Slot<F> = (&raw mut (*bucket.as_ptr()).slots).cast();
        Entry::new(NonNull::new_unchecked(slots.add(number & (LANES - 1))))
    }
}

/// The flow of a place.
#[inline(always)]
pub fn flow<F: Family>(slot: Entry<Slot<F>>) -> Entry<Flow<F>> {
    part!(slot.flow)
}

/// Copies a flow, word by word: the kernel's compiler would call a function that does so byte by byte.
#[inline(always)]
pub(crate) fn copy<F: Family>(from: Entry<Flow<F>>, to: Entry<Flow<F>>) {
    let (from, to): (*const u64, *mut u64) = (from.as_ptr().cast(), to.as_ptr().cast());
    let mut n = 0;
    while n < size_of::<Flow<F>>() / 8 {
        // SAFETY: a flow is so many words, and aligned to them. Volatile: else it were a call again.
        unsafe { to.add(n).write_volatile(from.add(n).read_volatile()) };
        n += 1;
    }
}

/// A bucket's tags.
#[inline(always)]
pub fn words<F: Family>(bucket: Entry<Bucket<F>>) -> [u64; 2] {
    let first: *const u64 = bucket.as_ptr().cast();
    // SAFETY: a bucket begins with two words, and is aligned to eight bytes.
    unsafe { [atomic::load(first), atomic::load(first.add(1))] }
}

/// The place of a key in a bucket.
#[inline(always)]
fn within<F: Family>(bucket: Entry<Bucket<F>>, tag: u64, key: &Tuple<F>) -> Option<Spot<F>> {
    let mut hits = Hits::tagged(words(bucket), tag);
    let mut looked = 0;
    while looked < LANES {
        if hits.is_empty() {
            return None;
        }
        let at = hits.lowest();
        let spot = Spot { bucket, at };
        if F::is_key(spot.slot(), key) {
            return Some(spot);
        }
        hits = hits.without(at);
        looked += 1;
    }
    None
}

/// How many keys have gone on from a bucket.
#[inline(always)]
fn over<F: Family>(bucket: Entry<Bucket<F>>) -> *mut u64 {
    at!(bucket.over)
}

/// Counts a key whose bucket is this one of its three: among those that have gone on from the ones before. `by` is 1 or its
/// opposite.
#[inline(always)]
fn went<F: Family, B: Buckets<F>>(buckets: &B, table: Table, place: Place, step: usize, by: u64) {
    let mut passed = 0;
    while passed < SECOND {
        if passed == step {
            return;
        }
        if let Some(bucket) = place.bucket(buckets, table, passed) {
            // SAFETY: a word of a bucket.
            unsafe { atomic::add(over(bucket), by) };
        }
        passed += 1;
    }
}

/// One more, or one less.
const MORE: u64 = 1;
const LESS: u64 = MORE.wrapping_neg();

/// A key that is in a table.
#[derive(Clone, Copy, Debug)]
struct Found<F: Family> {
    spot: Spot<F>,
    index: u32,
    /// Which of its buckets that is.
    step: usize,
}

/// Where a key is.
#[inline(always)]
fn search<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    place: Place,
    key: &Tuple<F>,
) -> Option<Found<F>> {
    let mut step = NEAR;
    while step <= SECOND {
        let index = place.index(buckets, table, step);
        let bucket = buckets.bucket(table, index)?;
        if let Some(spot) = within(bucket, place.tag(), key) {
            return Some(Found { spot, index, step });
        }
        // SAFETY: a word of a bucket.
        if unsafe { atomic::load(over(bucket)) } == 0 {
            return None;
        }
        step += 1;
    }
    None
}

/// Where a key is: its bucket's index, and the number of its place there.
#[inline(always)]
pub fn place<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
) -> Option<(u32, u32)> {
    let place = Place::of(key, buckets.secret());
    let found = search(buckets, table, place, key)?;
    Some((found.index, found.spot.at.slot() as u32))
}

/// The flow of a key, whose place is this.
#[inline(always)]
pub fn find<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    place: Place,
    key: &Tuple<F>,
) -> Option<Entry<Flow<F>>> {
    search(buckets, table, place, key).map(|found| flow(found.spot.slot()))
}

/// Puts a copy of a flow in, if its key has none. If there is no room, [`replace`] makes another give way.
#[inline(always)]
pub fn insert<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
    draft: Entry<Flow<F>>,
) -> Inserted {
    let place = Place::of(key, buckets.secret());
    if search(buckets, table, place, key).is_some() {
        return Inserted::Taken;
    }
    add(buckets, table, place, key, draft)
}

/// Puts a copy of a flow in whose key is known to have none. Nobody gives way.
#[inline(always)]
pub fn add<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    place: Place,
    key: &Tuple<F>,
    draft: Entry<Flow<F>>,
) -> Inserted {
    let Some(near) = place.bucket(buckets, table, NEAR) else {
        return Inserted::Full;
    };
    if let Some(spot) = claim(near) {
        fill(spot, place, key, draft);
        return Inserted::Yes;
    }
    add_far(buckets, table, place, key, draft)
}

/// The same of one whose near bucket is full.
#[inline(always)]
fn add_far<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    place: Place,
    key: &Tuple<F>,
    draft: Entry<Flow<F>>,
) -> Inserted {
    let Some(mut bucket) = place.bucket(buckets, table, FIRST) else {
        return Inserted::Full;
    };
    let mut step = FIRST;
    let taken = Hits::taken(words(bucket)).count();
    if taken >= FEW {
        let Some(second) = place.bucket(buckets, table, SECOND) else {
            return Inserted::Full;
        };
        if Hits::taken(words(second)).count() < taken {
            bucket = second;
            step = SECOND;
        }
    }
    // Before it is there: nobody may believe that there is none.
    went(buckets, table, place, step, MORE);
    let Some(spot) = claim(bucket) else {
        went(buckets, table, place, step, LESS);
        return Inserted::Full;
    };
    fill(spot, place, key, draft);
    Inserted::Yes
}

/// Makes a free place ours.
#[inline(always)]
fn claim<F: Family>(bucket: Entry<Bucket<F>>) -> Option<Spot<F>> {
    let mut tries = 0;
    while tries < TRIES {
        let words = words(bucket);
        let free = Hits::free(words);
        if free.is_empty() {
            return None;
        }
        let spot = Spot {
            bucket,
            at: free.lowest(),
        };
        let (word, unit) = spot.word();
        // SAFETY: a word of a bucket.
        let old = unsafe { atomic::load(word) };
        // It is free as it was, or somebody was faster.
        if tags::lane(old, unit) == 0 {
            // SAFETY: as above.
            let was = unsafe { atomic::exchange(word, old, tags::claimed(old, unit)) };
            if was == old {
                return Some(spot);
            }
        }
        tries += 1;
    }
    None
}

/// Takes a key's flow out. Whether it was there, and it was us who took it out.
#[inline(always)]
pub fn remove<F: Family, B: Buckets<F>>(buckets: &B, table: Table, key: &Tuple<F>) -> bool {
    let place = Place::of(key, buckets.secret());
    let Some(found) = search(buckets, table, place, key) else {
        return false;
    };
    let (word, unit) = found.spot.word();
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: a word of a bucket.
        let old = unsafe { atomic::load(word) };
        if tags::lane(old, unit) != place.tag().wrapping_mul(unit) {
            return false;
        }
        // SAFETY: as above.
        let was = unsafe { atomic::exchange(word, old, old ^ tags::lane(old, unit)) };
        if was == old {
            went(buckets, table, place, found.step, LESS);
            return true;
        }
        tries += 1;
    }
    false
}

/// Puts a copy of a flow, whose key is known to have none, in the place of the one that ends first, of those of one of its
/// buckets.
///
/// The other direction of that one stays until the sweep finds that it is alone, which also puts right what was counted.
#[inline(always)]
pub fn replace<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
    draft: Entry<Flow<F>>,
    now: Tick,
) -> Inserted {
    let place = Place::of(key, buckets.secret());
    let step = place.yielding(buckets, table);
    let Some(bucket) = place.bucket(buckets, table, step) else {
        return Inserted::Full;
    };
    let spot = Spot {
        bucket,
        at: oldest(bucket, now),
    };
    let (word, unit) = spot.word();
    // SAFETY: a word of a bucket.
    let old = unsafe { atomic::load(word) };
    if !tags::is_taken(old, unit) {
        return Inserted::Full;
    }
    // SAFETY: as above.
    let was = unsafe { atomic::exchange(word, old, tags::retaken(old, unit)) };
    if was != old {
        return Inserted::Full;
    }
    if step != NEAR {
        let slot = spot.slot();
        let other = Place::of(&get!(slot.key), buckets.secret());
        let index = place.index(buckets, table, step);
        let its = if other.index(buckets, table, FIRST) == index {
            FIRST
        } else {
            SECOND
        };
        went(buckets, table, other, its, LESS);
        went(buckets, table, place, step, MORE);
    }
    fill(spot, place, key, draft);
    Inserted::Yes
}

/// The place of a bucket whose flow ends first.
#[inline(always)]
fn oldest<F: Family>(bucket: Entry<Bucket<F>>, now: Tick) -> Hits {
    let mut least = i32::MAX;
    let mut oldest = 0;
    let mut n = 0;
    while n < LANES {
        let flow = flow(slot(bucket, Hits::nth(n).slot()));
        let left = get!(flow.expires).wrapping_sub(now.0) as i32;
        if left < least {
            least = left;
            // Which one it is must not make each way through the loop a case of its own.
            oldest = merge(n);
        }
        n += 1;
    }
    Hits::nth(oldest)
}

impl Place {
    /// In which of its buckets another gives way to it. Over all keys each bucket comes as often: else flows in some would
    /// not live as long as in others.
    #[inline(always)]
    fn yielding<F: Family, B: Buckets<F>>(self, buckets: &B, table: Table) -> usize {
        let random = self.0 >> 16 & 0xffff;
        if (random * u64::from(buckets.count(table))) >> 16 < u64::from(buckets.near(table)) {
            return NEAR;
        }
        // If both are one, it is the first, here as where keys are added.
        let index = |step| self.index(buckets, table, step);
        if self.0 & 1 == 0 || index(SECOND) == index(FIRST) {
            FIRST
        } else {
            SECOND
        }
    }
}

/// Fills a place that is ours, and has it found.
#[inline(always)]
fn fill<F: Family>(spot: Spot<F>, place: Place, key: &Tuple<F>, draft: Entry<Flow<F>>) {
    let slot = spot.slot();
    put!(slot.key = *key);
    copy(draft, flow(slot));
    let (word, unit) = spot.word();
    // SAFETY: a word of a bucket.
    unsafe { atomic::add(word, tags::published(place.tag(), unit)) };
}
