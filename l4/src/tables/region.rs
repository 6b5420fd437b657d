//! Who has which part of the schedule map: a table is built in a new part while the old one is in use.

use std::collections::BTreeMap;

/// A part of the schedule map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Index of its first entry.
    pub start: u32,
    /// How many entries it has.
    pub length: u32,
}

impl Region {
    /// As a service's record has it.
    #[must_use]
    pub fn word(self) -> u64 {
        u64::from(self.length) << 32 | u64::from(self.start)
    }

    /// The reverse of [`Region::word`].
    #[must_use]
    pub fn of_word(word: u64) -> Self {
        Self {
            start: word as u32,
            length: (word >> 32) as u32,
        }
    }
}

/// The free parts, and those given up that packets on their way may still read.
#[derive(Debug)]
pub struct Regions {
    /// Length by start; neighbours are always one.
    free: BTreeMap<u32, u32>,
    given_up: Vec<Region>,
}

impl Regions {
    /// A map of `length` entries, of which `taken` are in use.
    #[must_use]
    pub fn new(length: u32, taken: impl IntoIterator<Item = Region>) -> Self {
        let mut taken: Vec<_> = taken.into_iter().filter(|r| r.length > 0).collect();
        taken.sort_by_key(|r| r.start);
        let mut free = BTreeMap::new();
        let mut at = 0;
        for region in taken {
            if region.start > at {
                free.insert(at, region.start - at);
            }
            at = at.max(region.start.saturating_add(region.length));
        }
        if at < length {
            free.insert(at, length - at);
        }
        Self {
            free,
            given_up: Vec::new(),
        }
    }

    /// Takes a part; none if there is no room for it. The first that is large enough.
    pub fn take(&mut self, length: u32) -> Option<Region> {
        if length == 0 {
            return Some(Region::default());
        }
        let (&start, &room) = self.free.iter().find(|(_, room)| **room >= length)?;
        self.free.remove(&start);
        if room > length {
            self.free.insert(start + length, room - length);
        }
        Some(Region { start, length })
    }

    /// Gives a part up. It is taken again only after [`Regions::settle`].
    pub fn give_up(&mut self, region: Region) {
        if region.length > 0 {
            self.given_up.push(region);
        }
    }

    /// No packet that began before the last [`Regions::give_up`] is on its way any more.
    pub fn settle(&mut self) {
        for region in std::mem::take(&mut self.given_up) {
            self.release(region);
        }
    }

    fn release(
        &mut self,
        Region {
            mut start,
            mut length,
        }: Region,
    ) {
        if let Some((&before, &room)) = self.free.range(..start).next_back()
            && before + room == start
        {
            self.free.remove(&before);
            start = before;
            length += room;
        }
        if let Some(room) = self.free.remove(&(start + length)) {
            length += room;
        }
        self.free.insert(start, length);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn parts_come_and_go_and_grow_together() {
        let mut regions = Regions::new(100, []);
        let a = regions.take(30).unwrap();
        let b = regions.take(30).unwrap();
        let c = regions.take(40).unwrap();
        assert_eq!(regions.take(1), None);
        regions.give_up(b);
        assert_eq!(regions.take(1), None, "packets on their way read it still");
        regions.give_up(a);
        regions.settle();
        assert_eq!(regions.take(60).map(|r| r.start), Some(0));
        regions.give_up(c);
        regions.settle();
        assert_eq!(regions.take(40), Some(c));
    }

    #[test]
    fn what_was_there_before_stays() {
        let there = [
            Region {
                start: 10,
                length: 5,
            },
            Region {
                start: 50,
                length: 50,
            },
        ];
        let mut regions = Regions::new(100, there);
        assert_eq!(regions.take(35).map(|r| r.start), Some(15));
        assert_eq!(regions.take(10).map(|r| r.start), Some(0));
        assert_eq!(regions.take(1), None);
        assert_eq!(Region::of_word(there[1].word()), there[1]);
    }
}
