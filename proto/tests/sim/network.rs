//! Links between nodes: they delay, lose, double and mix up, and fall apart.

use std::{collections::BTreeMap, time::Duration};

use proto::time::Instant;

use crate::dice::Dice;

/// A link and the nodes at its ends.
type Way = (usize, usize, usize);

#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// By link and node: which part of a link that fell apart it is in.
    parts: BTreeMap<(usize, usize), usize>,
    /// Ways that lose all, in one direction.
    dead_ways: BTreeMap<Way, ()>,
    pub(crate) manners: Manners,
    lost: BTreeMap<Way, u32>,
    /// When the last arrives, on each way.
    last: BTreeMap<Way, Instant>,
}

/// How a network treats what it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Percent that is lost.
    pub(crate) loss: u64,
    /// At most so many in a row, on each way.
    pub(crate) most_lost: u32,
    /// Percent that comes twice.
    pub(crate) double: u64,
    /// Percent that comes once more with a byte that is another.
    pub(crate) garble: u64,
    /// The longest that anything takes.
    pub(crate) delay: Duration,
    /// What was sent later arrives later, as on a link.
    pub(crate) in_order: bool,
}

impl Network {
    pub(crate) const fn new(manners: Manners) -> Self {
        Self {
            parts: BTreeMap::new(),
            dead_ways: BTreeMap::new(),
            manners,
            lost: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// One link in two or three parts.
    pub(crate) fn break_up(&mut self, dice: &mut Dice, link: usize, nodes: usize) {
        let parts = 2 + dice.below(2);
        for node in 0..nodes {
            let _ = self.parts.insert((link, node), dice.below(parts));
        }
    }

    /// Nothing comes through from one node to another, though it does the other way round.
    pub(crate) fn kill_way(&mut self, link: usize, from: usize, to: usize) {
        let _ = self.dead_ways.insert((link, from, to), ());
    }

    /// In one piece, with these manners.
    pub(crate) fn heal(&mut self, manners: Manners) {
        *self = Self::new(manners);
    }

    /// When each copy arrives; none if it is lost.
    pub(crate) fn carry(&mut self, dice: &mut Dice, way: Way, now: Instant) -> Vec<Instant> {
        let (link, from, to) = way;
        let part = |node| self.parts.get(&(link, node)).copied().unwrap_or(0);
        if part(from) != part(to) || self.dead_ways.contains_key(&way) {
            return Vec::new();
        }
        let lost = self.lost.entry(way).or_default();
        if *lost < self.manners.most_lost && dice.percent(self.manners.loss) {
            *lost += 1;
            return Vec::new();
        }
        *lost = 0;
        let copies = 1 + usize::from(dice.percent(self.manners.double));
        let last = self.last.entry(way).or_default();
        let mut arrive = || {
            let at = now + dice.up_to(self.manners.delay);
            *last = at.max(*last);
            if self.manners.in_order { *last } else { at }
        };
        (0..copies).map(|_| arrive()).collect()
    }
}
