//! Slots of the arrays of services and backends: who has which, and which are free.

use std::{collections::BTreeSet, fmt};

/// The numbers below a limit that are given out, lowest first.
pub struct Slots {
    /// Those below `next` that are free.
    free: BTreeSet<u32>,
    next: u32,
    limit: u32,
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} slots", self.used(), self.limit)
    }
}

impl Slots {
    /// All below `limit` are free but those in use.
    #[must_use]
    pub fn new(limit: u32, used: &BTreeSet<u32>) -> Self {
        let next = used.last().map_or(0, |last| last + 1);
        Self {
            free: (0..next).filter(|slot| !used.contains(slot)).collect(),
            next,
            limit,
        }
    }

    /// Takes a slot; none if all are given out.
    pub fn take(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop_first() {
            return Some(slot);
        }
        let slot = (self.next < self.limit).then_some(self.next)?;
        self.next += 1;
        Some(slot)
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, slot: u32) {
        debug_assert!(slot < self.next, "slot {slot} was never given out");
        self.free.insert(slot);
    }

    /// How many are given out.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.next - self.free.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_out_lowest_first() {
        let mut slots = Slots::new(4, &BTreeSet::from([1]));
        assert_eq!(slots.take(), Some(0));
        assert_eq!(slots.take(), Some(2));
        slots.give_back(1);
        assert_eq!(slots.take(), Some(1));
        assert_eq!(slots.take(), Some(3));
        assert_eq!(slots.take(), None);
        assert_eq!(slots.used(), 4);
    }
}
