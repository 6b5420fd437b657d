//! The algorithms that draw: `random` and `p2c` by lot, `hash` and `maglev` by a key.

use super::{
    balancer::{Balancer, Pick},
    hash::{below, mix64},
    members::{Member, Tables},
};
use crate::time::Instant;

impl Balancer {
    /// A usable member at random, by weight.
    pub(super) fn at_random(&mut self, pick: &Pick<'_>) -> Option<usize> {
        /// With half of the pool unusable, one in 256 choices is left to the scan.
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let index = self.draw(pick.now)?;
            if self.is_usable(index, pick) {
                return Some(index);
            }
        }
        let number = self.rng.next();
        self.by_weight(number, pick)
    }

    /// The usable member that an evenly spread `number` falls on, by weight. O(n): the last resort where most
    /// are unusable.
    fn by_weight(&self, number: u64, pick: &Pick<'_>) -> Option<usize> {
        let weight = |i: usize| self.members.list()[i].weight_at(pick.now);
        let total: u64 = self.usable(pick).map(weight).sum();
        let mut at = below(number, total);
        self.usable(pick).find(|&i| {
            let found = at < weight(i);
            at = at.saturating_sub(weight(i));
            found
        })
    }

    /// An active member at random, by its weight at `now`, usable or not.
    pub(super) fn draw(&mut self, now: Instant) -> Option<usize> {
        /// Slow-starting members are drawn by their whole weight and then refused by what is missing of it.
        const TRIES: usize = 32;
        let Tables::Alias(table) = self.members.tables() else {
            return None;
        };
        let settled = self.members.is_settled(now);
        let mut last = None;
        for _ in 0..TRIES {
            let index = table.0[table.1.at(self.rng.next())?] as usize;
            last = Some(index);
            if settled {
                break;
            }
            let member = &self.members.list()[index];
            let whole = u64::from(member.weight) * Member::WHOLE;
            let random = below(self.rng.next(), whole);
            if random < member.weight_at(now) {
                break;
            }
        }
        last
    }

    /// Power of two choices (Mitzenmacher 2001): the less loaded for its weight, of two drawn by weight. Of
    /// equals the first drawn, so that an idle pool is used by weight too.
    pub(super) fn less_of_two(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let first = self.at_random(pick)?;
        let Some(second) = self.another(first, pick) else {
            return Some(first);
        };
        let ratio = |i: usize| self.ratio(&self.members.list()[i], pick.now);
        Some(if ratio(second).cmp(ratio(first)).is_lt() {
            second
        } else {
            first
        })
    }

    /// A usable member other than `first`: drawn by weight, or by lot if `first` outweighs the rest so much
    /// that it comes again and again.
    fn another(&mut self, first: usize, pick: &Pick<'_>) -> Option<usize> {
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let index = self.draw(pick.now)?;
            if index != first && self.is_usable(index, pick) {
                return Some(index);
            }
        }
        let count = self.members.active().len() as u64;
        let place = below(self.rng.next(), count) as usize;
        let (before, after) = self.members.active().split_at(place);
        let mut rest = after.iter().chain(before).map(|&i| i as usize);
        rest.find(|&i| i != first && self.is_usable(i, pick))
    }

    /// The member that the key leads to, or its next choice that is usable.
    pub(super) fn by_key(&mut self, pick: &Pick<'_>) -> Option<usize> {
        const ATTEMPTS: u64 = 8;
        let key = pick.key.unwrap_or_else(|| self.rng.next());
        for attempt in 0..ATTEMPTS {
            let index = match self.members.tables() {
                Tables::Maglev(table) => table.of_key(key, attempt)?,
                Tables::Alias(table) => table.0[table.1.of_key(key, attempt)?] as usize,
                Tables::None | Tables::Sequence(_) => return None,
            };
            if self.is_usable(index, pick) {
                return Some(index);
            }
        }
        self.by_weight(mix64(key.wrapping_add(ATTEMPTS)), pick)
    }
}
