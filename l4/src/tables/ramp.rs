//! Slow start: a member that came up is given its share in steps, and how many services take a step at a time.
//!
//! A step is another weight in the tables and nothing else: flows stay where they are. Members of a pool step together,
//! on a grid of the clock, so that a pool is looked at once a step however many of its members rise. Keys of hash tables
//! stay where they belong, and schedulers that go by the weight as a number of connections (`fo`, `ovf`) or pay no heed
//! to it are left alone.

use std::time::Duration;

use control::{
    plan::{MemberPlan, PoolPlan},
    spec::Balance,
    time::Instant,
};
use xdp::abi::Scheduler;

use super::record;

/// A member begins with one part of so many of its weight.
const PARTS: u32 = 10;
/// Steps are at least this long.
const LEAST_STEP: Duration = Duration::from_millis(100);

/// Between two turns in which services take steps.
pub(super) const TURN: Duration = Duration::from_millis(100);
/// How long the steps of one turn may take together: a tenth of it.
const BUDGET: Duration = Duration::from_millis(10);
/// What a step of a service takes about, and for each of its members.
const STEP: Duration = Duration::from_micros(200);
const STEP_OF_MEMBER: Duration = Duration::from_micros(3);

/// What a scheduler takes weights for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// Nothing that may rise.
    Nothing,
    /// Entries in its ring, and nothing else.
    Ring,
    /// A ratio, in lists and in records.
    Ratio,
    /// A ratio, and a number of connections too: there are no parts of one.
    Connections,
}

impl Means {
    fn of(pool: &PoolPlan) -> Self {
        if pool.spec.slow_start.is_zero() || pool.spec.balance == Balance::RoundRobin {
            return Self::Nothing;
        }
        match record::scheduler(&pool.spec.balance) {
            Scheduler::Ring => Self::Ring,
            Scheduler::Twos | Scheduler::Wlc | Scheduler::Sed | Scheduler::Nq => Self::Ratio,
            Scheduler::Lblc | Scheduler::Lblcr => Self::Connections,
            _ => Self::Nothing,
        }
    }
}

/// What weights are multiplied by in the records of a pool's members.
pub(super) fn scale_of_records(pool: &PoolPlan) -> u32 {
    match Means::of(pool) {
        Means::Ratio => PARTS,
        _ => 1,
    }
}

/// The weights of a pool's members at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    means: Means,
    over: Duration,
    now: Instant,
}

impl Ramp {
    pub(super) fn of(pool: &PoolPlan, now: Instant) -> Self {
        Self {
            means: Means::of(pool),
            over: pool.spec.slow_start,
            now,
        }
    }

    /// What weights are multiplied by in lists, so that there are parts of a weight of 1. It is the same whether somebody
    /// rises or not: otherwise all members' records were another when one begins and ends.
    fn scale(&self) -> u32 {
        match self.means {
            Means::Ring | Means::Ratio => PARTS,
            Means::Nothing | Means::Connections => 1,
        }
    }

    /// What a member's record says.
    pub(super) fn recorded(&self, member: &MemberPlan) -> u32 {
        match self.means {
            Means::Ring => member.weight,
            _ => self.listed(member),
        }
    }

    /// What a member weighs in lists: 0 only if it does without a ramp.
    pub(super) fn listed(&self, member: &MemberPlan) -> u32 {
        let rises = self.means != Means::Nothing;
        let since = member.rising_since.filter(|_| rises);
        let parts = since.map_or(PARTS, |since| self.parts(since));
        let scaled = u64::from(member.weight) * u64::from(self.scale()) * u64::from(parts);
        u32::try_from(scaled.div_ceil(u64::from(PARTS))).unwrap_or(u32::MAX)
    }

    /// How many parts of its weight a member has that came up `since`.
    fn parts(&self, since: Instant) -> u32 {
        let since = Instant::at(self.on_grid(since));
        let passed = Instant::at(self.on_grid(self.now)).saturating_since(since);
        if passed >= self.over {
            return PARTS;
        }
        let more = passed.as_nanos() * u128::from(PARTS - 1) / self.over.as_nanos();
        1 + more as u32
    }

    /// When there is a step to take; none if nobody rises.
    pub(super) fn next(&self, pool: &PoolPlan) -> Option<Instant> {
        if self.means == Means::Nothing {
            return None;
        }
        let mut rising = pool.members.iter().filter_map(|m| m.rising_since);
        let _ = rising.find(|since| self.parts(*since) < PARTS)?;
        Some(Instant::at(self.on_grid(self.now) + self.step()))
    }

    fn step(&self) -> Duration {
        (self.over / (PARTS - 1)).max(LEAST_STEP)
    }

    /// The time of the last step at or before `at`, since the clock's start.
    fn on_grid(&self, at: Instant) -> Duration {
        let step = self.step().as_nanos();
        let nanos = u128::from(at.nanos()) / step * step;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Those of `due` services (by when their step is due, and how many members they have) that take it in one turn: the
/// longest overdue first, one at least.
pub(super) fn turn<T: Ord>(mut due: Vec<(Instant, usize, T)>) -> Vec<T> {
    due.sort_unstable();
    let mut spent = Duration::ZERO;
    let in_time = |(_, members, _): &(Instant, usize, T)| {
        let first = spent.is_zero();
        let members = u32::try_from(*members).unwrap_or(u32::MAX);
        spent = spent
            .saturating_add(STEP)
            .saturating_add(STEP_OF_MEMBER.saturating_mul(members));
        first || spent <= BUDGET
    };
    let taken = due.into_iter().take_while(in_time);
    taken.map(|(_, _, who)| who).collect()
}
