//! The tables of flows: hash tables of our own, in arrays that the program and user space have in common.
//!
//! A key has two buckets where it may be ([`Place`]), of eight places each; it is put into the first while that has room,
//! else into the emptier one. A bucket's tags ([`mod@tags`]) say where to look, eight with a few instructions, and are all
//! that is changed atomically: who wants a free place makes its tag that of one that is being filled, fills it, and puts the
//! key's tag there. Nobody waits for anybody. As with the kernel's own tables that throw out the oldest, a value that is
//! taken out while somebody reads it may become another's under his eyes.
//!
//! It is ours since the kernel's (`BPF_MAP_TYPE_LRU_HASH`) costs more: by it, a flow's first packet took 800 instructions
//! more, any other 80, and a flow 141 bytes instead of 106.

mod atomic;
mod tags;
#[cfg(test)]
mod tests;

use core::ptr::NonNull;

pub use self::tags::Hits;
use crate::{
    abi::{Bucket, Family, Flow, LANES, Slot, Tick, Tuple},
    decide::{Entry, Inserted, Table, get, part, put},
};

/// While the first bucket has fewer, the second is not looked at.
const FEW: u64 = 4;
/// How often a bucket is looked at anew if others change it meanwhile.
const TRIES: usize = 4;

/// Where tables of flows lie.
pub trait Buckets<F: Family> {
    /// What hashes depend on, so that nobody outside can fill a bucket on purpose.
    fn secret(&self) -> u64;
    /// How many buckets a table has.
    fn count(&self, table: Table) -> u32;
    /// A bucket.
    fn bucket(&self, table: Table, index: u32) -> Option<Entry<Bucket<F>>>;
}

/// Where a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    tag: u64,
    first: u32,
    second: u32,
}

impl Place {
    /// That of a key, in a table of so many buckets.
    #[inline(always)]
    pub fn of<F: Family>(key: &Tuple<F>, secret: u64, buckets: u32) -> Self {
        let hash = F::mix(key, secret);
        let other = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let scale = |half: u64| ((half * u64::from(buckets)) >> 32) as u32;
        Self {
            tag: (hash ^ hash >> 32) & 0xffff | 0x8000,
            first: scale(hash >> 32),
            second: scale(other >> 32),
        }
    }
}

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

/// Where a key is: the spot, its bucket's index, and its tag.
#[inline(always)]
fn search<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
) -> Option<(Spot<F>, u32, u64)> {
    let place = Place::of(key, buckets.secret(), buckets.count(table));
    let mut index = place.first;
    let mut looked = 0;
    while looked < 2 {
        let bucket = buckets.bucket(table, index)?;
        if let Some(spot) = within(bucket, place.tag, key) {
            return Some((spot, index, place.tag));
        }
        index = place.second;
        looked += 1;
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
    search(buckets, table, key).map(|(spot, index, _)| (index, spot.at.slot() as u32))
}

/// The flow of a key.
#[inline(always)]
pub fn find<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
) -> Option<Entry<Flow<F>>> {
    search(buckets, table, key).map(|(spot, ..)| flow(spot.slot()))
}

/// Puts a copy of a flow in, if its key has none. If there is no room, [`replace`] makes another give way.
#[inline(always)]
pub fn insert<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
    draft: Entry<Flow<F>>,
) -> Inserted {
    if search(buckets, table, key).is_some() {
        return Inserted::Taken;
    }
    add(buckets, table, key, draft)
}

/// Puts a copy of a flow in whose key is known to have none. Nobody gives way.
#[inline(always)]
pub fn add<F: Family, B: Buckets<F>>(
    buckets: &B,
    table: Table,
    key: &Tuple<F>,
    draft: Entry<Flow<F>>,
) -> Inserted {
    let place = Place::of(key, buckets.secret(), buckets.count(table));
    let Some(first) = buckets.bucket(table, place.first) else {
        return Inserted::Full;
    };
    let mut bucket = first;
    let taken = Hits::taken(words(first)).count();
    if taken >= FEW {
        let Some(second) = buckets.bucket(table, place.second) else {
            return Inserted::Full;
        };
        if Hits::taken(words(second)).count() < taken {
            bucket = second;
        }
    }
    let Some(spot) = claim(bucket) else {
        return Inserted::Full;
    };
    fill(spot, place.tag, key, draft);
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
    let Some((spot, _, tag)) = search(buckets, table, key) else {
        return false;
    };
    let (word, unit) = spot.word();
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: a word of a bucket.
        let old = unsafe { atomic::load(word) };
        if tags::lane(old, unit) != tag.wrapping_mul(unit) {
            return false;
        }
        // SAFETY: as above.
        let was = unsafe { atomic::exchange(word, old, old ^ tags::lane(old, unit)) };
        if was == old {
            return true;
        }
        tries += 1;
    }
    false
}

/// Puts a copy of a flow, whose key is known to have none, in the place of the one that ends first, of those where it may
/// be.
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
    let place = Place::of(key, buckets.secret(), buckets.count(table));
    let mut least = i32::MAX;
    let mut oldest = 0;
    let mut n = 0;
    while n < 2 * LANES {
        let Some(spot) = place.nth(buckets, table, n) else {
            return Inserted::Full;
        };
        let flow = flow(spot.slot());
        let left = get!(flow.expires).wrapping_sub(now.0) as i32;
        if left < least {
            least = left;
            oldest = n;
        }
        n += 1;
    }
    let Some(spot) = place.nth(buckets, table, oldest) else {
        return Inserted::Full;
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
    fill(spot, place.tag, key, draft);
    Inserted::Yes
}

impl Place {
    /// Of the places of both buckets, the n-th.
    #[inline(always)]
    fn nth<F: Family, B: Buckets<F>>(self, buckets: &B, table: Table, n: usize) -> Option<Spot<F>> {
        let index = if n < LANES { self.first } else { self.second };
        Some(Spot {
            bucket: buckets.bucket(table, index)?,
            at: Hits::nth(n),
        })
    }
}

/// Fills a place that is ours, and has it found.
#[inline(always)]
fn fill<F: Family>(spot: Spot<F>, tag: u64, key: &Tuple<F>, draft: Entry<Flow<F>>) {
    let slot = spot.slot();
    put!(slot.key = *key);
    copy(draft, flow(slot));
    let (word, unit) = spot.word();
    // SAFETY: a word of a bucket.
    unsafe { atomic::add(word, tags::published(tag, unit)) };
}
