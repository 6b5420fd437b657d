//! One worker's place in the schedule over a pool's members.

use std::{fmt, sync::Arc};

use super::{
    least_time::Explorer,
    load::Slot,
    members::{Algorithm, BackendId, Members},
    scan::Turns,
};
use crate::{rng::Rng, time::Instant};

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
    pub(super) next: usize,
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
    /// A scheduler over `members`. The seed sets its randomness, and also where in turns it begins: with the
    /// worker's number as seed, workers do not begin at the same backend, and number 0 begins at the first.
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
        self.carry_turns(&members);
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
        self.members.list()[index].is_usable(pick)
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

    fn take(&self, index: usize) -> Option<Picked> {
        let member = &self.members.list()[index];
        let slot = member.load.try_begin(member.id, member.max_connections)?;
        Some(Picked { index, slot })
    }
}
