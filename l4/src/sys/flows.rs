//! A table of flows ([`xdp::flows`]), shared with the program: user space finds, puts in and takes out in the same memory,
//! by the same code.

use std::{io, os::fd::BorrowedFd, ptr::NonNull};

use xdp::{
    abi::{Bucket, Family, Flow, Tick, Tuple, held},
    decide::{Entry, Inserted, Table},
    flows::{self, Buckets, Hits},
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

    /// How many flows it is meant to hold.
    pub(crate) fn size(&self) -> u32 {
        held(self.buckets.entries())
    }

    /// The flow of a key.
    pub(crate) fn get(&self, key: &Tuple<F>) -> Option<Flow<F>> {
        let flow = flows::find(self, ONE, key)?;
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
