//! Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a table that leads keys to backends evenly, and
//! changes little more than it must when backends come and go.
//!
//! Every backend has its own permutation of the table's slots, made from its identity alone. In turn, each
//! takes the first slot of its permutation that is still free, until none is. A heavier one takes turns more
//! often. Turns go by identity, not by config order, so nodes that know the same backends and weights have
//! the same table.

use super::{
    hash::{below, hash64, mix64},
    members::BackendId,
};

/// Slots of a table: a prime, so that every step visits every slot. A hundred slots for each of 650 backends
/// keep shares within a percent; the table is 256 KiB. Part of the outward behaviour, as the hash is: never
/// changes.
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
    /// The table for members given as `(identity, weight)`; slots hold indices into `members`. Members of
    /// weight zero get no slot; none at all make an empty table.
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

    /// The member that a key leads to, and with other values of `attempt` its further choices. None in an
    /// empty table.
    #[must_use]
    pub fn of_key(&self, key: u64, attempt: u64) -> Option<usize> {
        let hash = mix64(key.wrapping_add(attempt));
        let slot = below(hash, self.slots.len() as u64) as usize;
        self.slots.get(slot).map(|&index| index as usize)
    }

    /// All slots, for planes that look up by themselves (and must map keys to slots as [`Self::of_key`]
    /// does).
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

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u32) -> Vec<(BackendId, u32)> {
        (0..count)
            .map(|i| {
                (
                    BackendId::of(&format!("10.1.{}.{}:80", i / 256, i % 256)),
                    1,
                )
            })
            .collect()
    }

    fn owners<'m>(members: &'m [(BackendId, u32)], table: &Table) -> Vec<&'m (BackendId, u32)> {
        table
            .slots()
            .iter()
            .map(|&i| &members[i as usize])
            .collect()
    }

    /// Shares of slots that change owner although their owner before is still there.
    fn moved(before: &[(BackendId, u32)], after: &[(BackendId, u32)]) -> f64 {
        let (old, new) = (Table::new(before), Table::new(after));
        let (old, new) = (owners(before, &old), owners(after, &new));
        let stays = |id: BackendId| after.iter().any(|m| m.0 == id && m.1 > 0);
        let moved = old
            .iter()
            .zip(&new)
            .filter(|(a, b)| a.0 != b.0 && stays(a.0));
        moved.count() as f64 / SLOTS as f64
    }

    #[test]
    fn is_prime() {
        assert!(
            (2..SLOTS)
                .take_while(|d| d * d <= SLOTS)
                .all(|d| !SLOTS.is_multiple_of(d))
        );
    }

    #[test]
    fn a_thousand_are_balanced() {
        let members = members(1000);
        let mut counts = vec![0_u32; 1000];
        for &slot in Table::new(&members).slots() {
            counts[slot as usize] += 1;
        }
        assert_eq!(counts.iter().min(), Some(&65));
        assert_eq!(counts.iter().max(), Some(&66));
    }

    #[test]
    fn slots_follow_weights() {
        let weights = [1, 2, 3, 10, 100, 0, 50];
        let members: Vec<_> = members(7)
            .iter()
            .zip(weights)
            .map(|(m, w)| (m.0, w))
            .collect();
        let mut counts = [0_u32; 7];
        for &slot in Table::new(&members).slots() {
            counts[slot as usize] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            let wanted = f64::from(weight) / 166.0 * SLOTS as f64;
            assert!((f64::from(*count) - wanted).abs() <= 2.0, "{counts:?}");
        }
    }

    #[test]
    fn removing_one_of_a_thousand_moves_little_else() {
        let all = members(1000);
        let mut sum = 0.0;
        const TRIED: [usize; 8] = [0, 123, 250, 377, 500, 621, 750, 999];
        for gone in TRIED {
            let mut rest = all.clone();
            let _ = rest.remove(gone);
            let moved = moved(&all, &rest);
            assert!(moved <= 0.009, "{gone}: {moved}");
            sum += moved;
        }
        let mean = sum / TRIED.len() as f64;
        assert!(mean <= 0.0065, "{mean}");
    }

    #[test]
    fn adding_one_moves_little_else() {
        let (before, after) = (members(100), members(101));
        let moved = moved(&before, &after);
        // A hundredth must move to the new one; `moved` counts that, too.
        assert!((0.0099..0.03).contains(&moved), "{moved}");
    }

    #[test]
    fn config_order_does_not_matter() {
        let all = members(300);
        let reversed: Vec<_> = all.iter().rev().copied().collect();
        let (a, b) = (Table::new(&all), Table::new(&reversed));
        assert_eq!(owners(&all, &a), owners(&reversed, &b));
    }

    #[test]
    fn a_weight_of_zero_is_like_absence() {
        let all = members(10);
        let mut quiesced = all.clone();
        quiesced[3].1 = 0;
        let mut without = all.clone();
        let _ = without.remove(3);
        let (a, b) = (Table::new(&quiesced), Table::new(&without));
        assert_eq!(owners(&quiesced, &a), owners(&without, &b));
        assert!(Table::new(&[]).of_key(1, 0).is_none());
    }

    /// Written down, so that a change that would move every key of a site is noticed.
    #[test]
    fn the_table_never_changes() {
        let table = Table::new(&members(5));
        let sum = table
            .slots()
            .iter()
            .fold(0, |h, &s| mix64(h ^ u64::from(s)));
        assert_eq!(table.slots()[..12], [3, 2, 0, 2, 1, 1, 1, 1, 1, 0, 2, 2]);
        assert_eq!(sum, 15_368_782_206_636_674_103);
    }
}
