//! Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a table that leads keys to backends evenly, and
//! changes little more than it must when backends come and go.
//!
//! Every backend has its own permutation of the table's slots, made from its identity alone. In turn, each takes the first
//! slot of its permutation that is still free, until none is. A heavier one takes turns more often. Turns go
//! by identity, not by config order, so nodes that know the same backends and weights have the same table.

use super::{
    hash::{below, hash64, mix64},
    members::BackendId,
};

/// Slots of a table: a prime, so that every step visits every slot. A hundred slots for each of 650 backends keep shares
/// within a percent; the table is 256 KiB. Part of the outward behaviour, as the hash is: never changes.
pub const SLOTS: usize = 65_537;

/// A lookup table: slot to index of a member.
#[derive(Debug, PartialEq)]
pub struct Table {
    slots: Box<[u32]>,
}

/// A backend's walk over the slots.
struct Walk {
    index: u32,
    weight: u64,
    credit: u64,
    slot: usize,
    skip: usize,
}

impl Table {
    /// The table for members given as `(identity, weight)`; slots hold indices into `members`. Members of weight zero get no
    /// slot; none at all make an empty table.
    #[must_use]
    pub fn new(members: &[(BackendId, u32)]) -> Self {
        let mut walks = walks(members);
        let Some(heaviest) = walks.iter().map(|w| w.weight).max() else {
            return Self {
                slots: Box::default(),
            };
        };
        const FREE: u32 = u32::MAX;
        let mut slots = vec![FREE; SLOTS];
        let mut free = SLOTS;
        loop {
            for walk in &mut walks {
                walk.credit += walk.weight;
                if walk.credit < heaviest {
                    continue;
                }
                walk.credit -= heaviest;
                while slots[walk.slot] != FREE {
                    walk.slot = (walk.slot + walk.skip) % SLOTS;
                }
                slots[walk.slot] = walk.index;
                free -= 1;
                if free == 0 {
                    return Self {
                        slots: slots.into(),
                    };
                }
            }
        }
    }

    /// The member that a key leads to, and with other values of `attempt` its further choices. None in an empty table.
    #[must_use]
    pub fn of_key(&self, key: u64, attempt: u64) -> Option<usize> {
        let hash = mix64(key.wrapping_add(attempt));
        let slot = below(hash, self.slots.len() as u64) as usize;
        self.slots.get(slot).map(|&index| index as usize)
    }

    /// All slots, for planes that look up by themselves (and must map keys to slots as [`Self::of_key`] does).
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }
}

fn walks(members: &[(BackendId, u32)]) -> Vec<Walk> {
    let mut order: Vec<usize> = (0..members.len()).filter(|&i| members[i].1 > 0).collect();
    order.sort_by_key(|&i| members[i].0);
    let walk = |i: usize| {
        let (id, weight) = members[i];
        let start = hash64(&id.bits().to_le_bytes());
        let skip = mix64(start);
        Walk {
            index: i as u32,
            weight: u64::from(weight),
            credit: 0,
            slot: (start % SLOTS as u64) as usize,
            skip: (skip % (SLOTS as u64 - 1)) as usize + 1,
        }
    };
    order.into_iter().map(walk).collect()
}
