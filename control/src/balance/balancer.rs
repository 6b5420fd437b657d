//! One worker's place in the schedule over a pool's members.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{
    hash::below,
    least_time::Explorer,
    load::Slot,
    members::{Algorithm, BackendId, Member, Members, Tables},
    rng::Rng,
    scan::{Ratio, Turns},
    smooth,
};
use crate::time::Instant;

/// What is known of the request that a backend is chosen for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick<'a> {
    /// Now.
    pub now: Instant,
    /// The key that `hash` and `maglev` go by; without one, they choose at random.
    pub key: Option<u64>,
    /// Backends that this request has tried already.
    pub avoid: &'a [BackendId],
}

/// A backend was chosen and one place on it taken.
#[derive(Debug)]
pub struct Picked {
    /// Its index in [`Members::list`].
    pub index: usize,
    /// The place.
    pub slot: Slot,
}

/// No backend could be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackend {
    /// None may be used: 503 at once.
    Empty,
    /// All that may be used are at their `max_connections`: wait for a place, or 503.
    Full,
    /// All that may be used were tried by this request already: its last error stands.
    Tried,
}

impl fmt::Display for NoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no backend may be used",
            Self::Full => "every backend is at its max_connections",
            Self::Tried => "every backend was tried",
        })
    }
}

impl std::error::Error for NoBackend {}

/// One worker's scheduler over a pool. Cloning it copies the place in the schedule, not the loads.
#[derive(Clone, Debug)]
pub struct Balancer {
    pub(super) members: Arc<Members>,
    pub(super) rng: Rng,
    /// Where the next turn is: a place among the active members (rr), or in the sequence (wrr).
    next: usize,
    /// Balances of the smooth schedule, by member (wrr).
    pub(super) balances: Vec<i64>,
    /// Who is next among equals, by member (lc, wlc, sed, nq).
    pub(super) turns: Turns,
    pub(super) explorer: Explorer,
}

/// A member that the algorithm leads to; no place is taken yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) index: usize,
    /// It was chosen to find out how it does, whatever its score.
    pub(super) explores: bool,
}

impl From<usize> for Choice {
    fn from(index: usize) -> Self {
        Self {
            index,
            explores: false,
        }
    }
}

impl Balancer {
    /// A scheduler over `members`. The seed sets its randomness, and also where in turns it begins: with the worker's
    /// number as seed, workers do not begin at the same backend, and number 0 begins at the first.
    #[must_use]
    pub fn new(members: Arc<Members>, seed: u64) -> Self {
        let count = members.list().len();
        let mut balancer = Self {
            rng: Rng::new(seed),
            next: 0,
            balances: vec![0; count],
            turns: Turns::new(count),
            explorer: Explorer::default(),
            members,
        };
        balancer.skip_turns(seed);
        balancer
    }

    /// The members that are chosen from.
    #[must_use]
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// Goes on with other members, at the same place in the schedule as far as they are the same backends:
    /// however often lists change, turns do not start over.
    pub fn replace(&mut self, members: Arc<Members>) {
        let places: HashMap<BackendId, usize> = (0..)
            .zip(self.members.list())
            .map(|(i, m)| (m.id, i))
            .collect();
        let origin = |i: usize| places.get(&members.list()[i].id).copied();
        let count = members.list().len();
        self.next = self.next_in(&members);
        self.balances = self.carried_balances(&members, origin);
        self.turns = self.turns.carried(count, origin);
        self.members = members;
    }

    /// Chooses a backend and takes a place on it, within its `max_connections`.
    ///
    /// # Errors
    /// [`NoBackend`] says what the caller can do.
    pub fn pick(&mut self, pick: &Pick<'_>) -> Result<Picked, NoBackend> {
        /// Between the choice and taking the place, another worker may have taken the last one.
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let choice = self.choose(pick).ok_or_else(|| self.why_none(pick))?;
            let member = &self.members.list()[choice.index];
            if choice.explores && !member.load.claim_exploring(pick.now) {
                continue;
            }
            if let Some(picked) = self.take(choice.index) {
                return Ok(picked);
            }
        }
        let usable = self.usable(pick).find_map(|index| self.take(index));
        usable.ok_or_else(|| self.why_none(pick))
    }

    /// The algorithm's choice among the usable. Turns advance, but no place is taken.
    pub(super) fn choose(&mut self, pick: &Pick<'_>) -> Option<Choice> {
        match self.members.algorithm() {
            Algorithm::RoundRobin => self.in_turn(pick).map(Choice::from),
            Algorithm::WeightedRoundRobin => self.in_weighted_turn(pick).map(Choice::from),
            Algorithm::LeastConnections
            | Algorithm::WeightedLeastConnections
            | Algorithm::ShortestExpectedDelay
            | Algorithm::NeverQueue => self.least_loaded(pick).map(Choice::from),
            Algorithm::First => self.usable(pick).next().map(Choice::from),
            Algorithm::Random => self.at_random(pick).map(Choice::from),
            Algorithm::LeastOfTwo => self.less_of_two(pick).map(Choice::from),
            Algorithm::Hash | Algorithm::Maglev => self.by_key(pick).map(Choice::from),
            Algorithm::LeastTime => self.least_time(pick),
        }
    }

    pub(super) fn is_usable(&self, index: usize, pick: &Pick<'_>) -> bool {
        let member = &self.members.list()[index];
        !pick.avoid.contains(&member.id) && !member.is_full()
    }

    /// The active members that could take this request now, by index, in config order.
    pub(super) fn usable<'a>(&'a self, pick: &'a Pick<'_>) -> impl Iterator<Item = usize> + 'a {
        self.active().filter(|&i| self.is_usable(i, pick))
    }

    pub(super) fn active(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.active().iter().map(|&i| i as usize)
    }

    pub(super) fn why_none(&self, pick: &Pick<'_>) -> NoBackend {
        let tried = |i: usize| pick.avoid.contains(&self.members.list()[i].id);
        if self.members.active().is_empty() {
            NoBackend::Empty
        } else if self.active().all(tried) {
            NoBackend::Tried
        } else {
            NoBackend::Full
        }
    }

    /// What a member is compared by where load decides; less is better.
    pub(super) fn ratio(&self, member: &Member, now: Instant) -> Ratio {
        let load = u64::from(member.load.in_flight());
        let weight = member.weight_at(now).max(1);
        match self.members.algorithm() {
            Algorithm::LeastConnections => Ratio {
                load,
                weight: Member::WHOLE,
            },
            Algorithm::ShortestExpectedDelay => Ratio {
                load: load + 1,
                weight,
            },
            Algorithm::NeverQueue if load > 0 => Ratio {
                load: load + 1,
                weight,
            },
            _ => Ratio { load, weight },
        }
    }

    fn take(&self, index: usize) -> Option<Picked> {
        let member = &self.members.list()[index];
        let slot = member.load.try_begin(member.id, member.max_connections)?;
        Some(Picked { index, slot })
    }

    /// Round robin: the next usable one.
    fn in_turn(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let active = self.members.active();
        let (before, after) = active.split_at(self.next.min(active.len()));
        let places = (before.len()..active.len()).chain(0..before.len());
        let (place, &index) = places
            .zip(after.iter().chain(before))
            .find(|&(_, &i)| self.is_usable(i as usize, pick))?;
        self.next = place + 1;
        Some(index as usize)
    }

    /// Smooth weighted round robin: from the table if there is one that holds now, else by a scan.
    fn in_weighted_turn(&mut self, pick: &Pick<'_>) -> Option<usize> {
        /// After so many turns of unusable members, scanning is quicker.
        const TURNS: usize = 64;
        let members = Arc::clone(&self.members);
        if let Tables::Sequence(Some(sequence)) = members.tables()
            && members.is_settled(pick.now)
        {
            for _ in 0..sequence.len().min(TURNS) {
                let index = sequence[self.next % sequence.len()] as usize;
                self.next = (self.next + 1) % sequence.len();
                if self.is_usable(index, pick) {
                    return Some(index);
                }
            }
        }
        let mut balances = std::mem::take(&mut self.balances);
        let weights = self
            .usable(pick)
            .map(|i| (i, members.list()[i].weight_at(pick.now)));
        let chosen = smooth::step(&mut balances, weights);
        self.balances = balances;
        chosen
    }

    /// Least loaded by [`Self::ratio`]; equals take turns.
    fn least_loaded(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let key = |i: usize| {
            (
                self.ratio(&self.members.list()[i], pick.now),
                self.turns.wait(i),
            )
        };
        let (before, after) = self
            .members
            .active()
            .split_at(self.next.min(self.members.active().len()));
        let least = after
            .iter()
            .chain(before)
            .map(|&i| i as usize)
            .filter(|&i| self.is_usable(i, pick))
            .map(|i| (i, key(i)))
            .reduce(|best, other| {
                let order = other.1.0.cmp(best.1.0).then(other.1.1.cmp(&best.1.1));
                if order.is_lt() { other } else { best }
            });
        let (index, _) = least?;
        let weight = match self.members.algorithm() {
            Algorithm::LeastConnections => Member::WHOLE,
            _ => self.members.list()[index].weight_at(pick.now),
        };
        self.turns.take(index, weight);
        // Active indices are sorted: config order.
        self.next = self
            .members
            .active()
            .partition_point(|&i| i as usize <= index);
        Some(index)
    }

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
        let random = self.rng.next();
        let weight = |i: usize| self.members.list()[i].weight_at(pick.now);
        let total: u64 = self.usable(pick).map(weight).sum();
        let mut at = below(random, total);
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
    fn less_of_two(&mut self, pick: &Pick<'_>) -> Option<usize> {
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

    /// A usable member other than `first`: drawn by weight, or by lot if `first` outweighs the rest so much that it comes again and again.
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
    fn by_key(&mut self, pick: &Pick<'_>) -> Option<usize> {
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
        self.usable(pick).next()
    }

    fn skip_turns(&mut self, seed: u64) {
        let members = Arc::clone(&self.members);
        let Some(count) = std::num::NonZeroU64::new(members.active().len() as u64) else {
            return;
        };
        let skipped = (seed % count) as usize;
        match members.tables() {
            Tables::Sequence(Some(sequence)) => self.next = (seed % sequence.len() as u64) as usize,
            Tables::Sequence(None) => {
                let weights = || {
                    let weight = |i: usize| u64::from(members.list()[i].weight) * Member::WHOLE;
                    members
                        .active()
                        .iter()
                        .map(move |&i| (i as usize, weight(i as usize)))
                };
                // Scanned pools are small, unless a table would be too long: then a few turns will do.
                for _ in 0..skipped.min(64) {
                    let _ = smooth::step(&mut self.balances, weights());
                }
            }
            _ => self.next = skipped,
        }
    }

    /// Where the turn goes on in other members: at the backend that would have been next, or the first after it
    /// that is still there.
    fn next_in(&self, members: &Members) -> usize {
        let (old, new) = (self.order(), members);
        let new_order = Self::order_of(new);
        if old.is_empty() || new_order.is_empty() {
            return 0;
        }
        let start = self.next % old.len();
        let place_of: HashMap<BackendId, Vec<usize>> = {
            let mut places: HashMap<BackendId, Vec<usize>> = HashMap::new();
            for (place, &i) in new_order.iter().enumerate() {
                places
                    .entry(new.list()[i as usize].id)
                    .or_default()
                    .push(place);
            }
            places
        };
        // In a sequence, a backend comes more than once: at the place that is as far along as now.
        let along = start * new_order.len() / old.len();
        (0..old.len())
            .map(|step| old[(start + step) % old.len()] as usize)
            .find_map(|i| place_of.get(&self.members.list()[i].id))
            .and_then(|places| places.iter().copied().min_by_key(|p| p.abs_diff(along)))
            .unwrap_or(0)
    }

    fn order(&self) -> &[u32] {
        Self::order_of(&self.members)
    }

    /// What `next` is a place in.
    fn order_of(members: &Members) -> &[u32] {
        match members.tables() {
            Tables::Sequence(Some(sequence)) => sequence,
            _ => members.active(),
        }
    }

    /// Balances for other members: those of the same backends, taken relative to their mean, which is where new ones begin, and
    /// within what the new weights can have made.
    fn carried_balances(
        &self,
        members: &Members,
        origin: impl Fn(usize) -> Option<usize>,
    ) -> Vec<i64> {
        let old: Vec<Option<i64>> = (0..members.list().len())
            .map(|i| origin(i).map(|old| self.balances[old]))
            .collect();
        let kept = old.iter().flatten();
        let mean = kept.clone().sum::<i64>() / (kept.count().max(1) as i64);
        let weight = |&i: &u32| u64::from(members.list()[i as usize].weight) * Member::WHOLE;
        let most = members
            .active()
            .iter()
            .map(weight)
            .sum::<u64>()
            .cast_signed();
        let carried = |balance: Option<i64>| balance.map_or(0, |b| (b - mean).clamp(-most, most));
        old.into_iter().map(carried).collect()
    }
}
