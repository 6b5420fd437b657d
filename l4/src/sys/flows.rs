//! A table of flows ([`xdp::flows`]), shared with the program: user space finds, puts in and takes out in the same memory,
//! by the same code.

use std::{io, os::fd::BorrowedFd, ptr::NonNull};

use xdp::{
    abi::{Bucket, Family, Flow, LANES, Slot, Tick, Tuple, held, near},
    decide::{Entry, Inserted, Table},
    flows::{self, Buckets, Hits, Place},
};

use super::shared::Shared;

/// One table of flows.
#[derive(Debug)]
pub(crate) struct Flows<F: Family> {
    buckets: Shared<Bucket<F>>,
    secret: u64,
}

/// Code of both sides names tables; here there is one.
const ONE: Table = Table::Established;

impl<F: Family> Buckets<F> for Flows<F> {
    fn secret(&self) -> u64 {
        self.secret
    }

    fn count(&self, _: Table) -> u32 {
        self.buckets.entries()
    }

    fn near(&self, _: Table) -> u32 {
        near(self.buckets.entries())
    }

    fn bucket(&self, _: Table, index: u32) -> Option<Entry<Bucket<F>>> {
        self.buckets.entry(index)
    }
}

impl<F: Family> Flows<F> {
    /// The table behind a descriptor, whose hashes depend on `secret`.
    ///
    /// # Errors
    /// It is no such table, or cannot be mapped.
    pub(crate) fn new(map: BorrowedFd<'_>, secret: u64) -> io::Result<Self> {
        Ok(Self {
            buckets: Shared::new(map)?,
            secret,
        })
    }

    fn place_of(&self, key: &Tuple<F>) -> Place {
        Place::of(key, self.secret)
    }

    /// How many flows it is meant to hold.
    pub(crate) fn size(&self) -> u32 {
        held(self.buckets.entries())
    }

    /// The flow of a key.
    pub(crate) fn get(&self, key: &Tuple<F>) -> Option<Flow<F>> {
        let flow = flows::find(self, ONE, self.place_of(key), key)?;
        // SAFETY: an entry is readable while the table is there. Volatile: the program may change it meanwhile.
        Some(unsafe { flow.as_ptr().read_volatile() })
    }

    /// Puts a flow in, if its key has none. Whether it is in now.
    pub(crate) fn insert(&self, key: &Tuple<F>, flow: &Flow<F>, now: Tick) -> bool {
        let mut flow = *flow;
        // SAFETY: the copy outlives the call.
        let draft = unsafe { Entry::new(NonNull::from(&mut flow)) };
        let done = match flows::insert(self, ONE, key, draft) {
            Inserted::Full => flows::replace(self, ONE, key, draft, now),
            other => other,
        };
        done == Inserted::Yes
    }

    /// Puts a flow in whose key has none, if there is room: nobody gives way. Whether it is in now.
    pub(crate) fn add(&self, key: &Tuple<F>, flow: &Flow<F>) -> bool {
        let mut flow = *flow;
        // SAFETY: the copy outlives the call.
        let draft = unsafe { Entry::new(NonNull::from(&mut flow)) };
        flows::add(self, ONE, self.place_of(key), key, draft) == Inserted::Yes
    }

    /// Changes time, state and flags of a key's flow, if it has one.
    pub(crate) fn change(&self, key: &Tuple<F>, change: impl FnOnce(&mut Flow<F>)) {
        let Some(entry) = flows::find(self, ONE, self.place_of(key), key) else {
            return;
        };
        let at = entry.as_ptr();
        // SAFETY: as in `get`.
        let mut flow = unsafe { at.read_volatile() };
        change(&mut flow);
        // SAFETY: numbers of an entry, each written by itself: the program may write its other parts meanwhile.
        unsafe {
            (&raw mut (*at).expires).write_volatile(flow.expires);
            (&raw mut (*at).state).write_volatile(flow.state);
            (&raw mut (*at).flags).write_volatile(flow.flags);
        }
    }

    /// How many buckets it has, of [`LANES`] places each.
    pub(crate) fn buckets(&self) -> u32 {
        self.buckets.entries()
    }

    /// A bucket's tags, by the numbers of its places; none past the end.
    pub(crate) fn tags(&self, bucket: u32) -> Option<[u16; LANES]> {
        let words = flows::words(self.buckets.entry(bucket)?);
        let mut tags = [0; LANES];
        for n in 0..LANES {
            let tag = words[n >> 2 & 1] >> (16 * (n & 3));
            tags[Hits::nth(n).slot()] = tag as u16;
        }
        Some(tags)
    }

    /// What lies at a place, or lay there last.
    pub(crate) fn at(&self, bucket: u32, place: usize) -> Option<Slot<F>> {
        let slot = flows::slot(self.buckets.entry(bucket)?, place);
        // SAFETY: as in `get`.
        Some(unsafe { slot.as_ptr().read_volatile() })
    }

    /// Where a key is: its bucket, and the place there.
    pub(crate) fn place(&self, key: &Tuple<F>) -> Option<(u32, usize)> {
        flows::place(self, ONE, key).map(|(bucket, place)| (bucket, place as usize))
    }

    /// Takes a key out. Whether it was in.
    pub(crate) fn remove(&self, key: &Tuple<F>) -> bool {
        flows::remove(self, ONE, key)
    }

    /// Adds the flows of the buckets from `at` on to `into`, until they are about `most` more, and moves `at` on. Whether
    /// that was the last bucket.
    ///
    /// Flows that come or go meanwhile may be seen or not.
    pub(crate) fn walk(
        &self,
        at: &mut u32,
        most: usize,
        into: &mut Vec<(Tuple<F>, Flow<F>)>,
    ) -> bool {
        // Empty buckets cost time too.
        let last = at.saturating_add(u32::try_from(most).unwrap_or(u32::MAX));
        let enough = into.len().saturating_add(most);
        while *at < last && into.len() < enough {
            let Some(bucket) = self.buckets.entry(*at) else {
                return true;
            };
            *at += 1;
            let mut taken = Hits::taken(flows::words(bucket));
            while !taken.is_empty() {
                let one = taken.lowest();
                taken = taken.without(one);
                let slot = flows::slot(bucket, one.slot());
                // SAFETY: as in `get`.
                let slot = unsafe { slot.as_ptr().read_volatile() };
                into.push((slot.key, slot.flow));
            }
        }
        *at >= self.buckets.entries()
    }

    /// All flows, at most `most`.
    pub(crate) fn all(&self, most: usize) -> Vec<(Tuple<F>, Flow<F>)> {
        let (mut at, mut entries) = (0, Vec::new());
        while entries.len() < most && !self.walk(&mut at, 4096, &mut entries) {}
        entries.truncate(most);
        entries
    }
}
