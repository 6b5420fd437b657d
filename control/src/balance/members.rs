//! The members of a pool that may be used, and the tables that choose among them: immutable, shared by
//! workers.

use std::{sync::Arc, time::Duration};

use super::{alias::Alias, balancer::Pick, hash::hash64, load::Load, maglev, smooth};
use crate::{spec::Balance, time::Instant};

/// How a member is chosen: [`Balance`] without what a key is taken of, which the caller sees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Each in turn.
    RoundRobin,
    /// Each in turn, as often as its weight says, interleaved.
    WeightedRoundRobin,
    /// The fewest in flight.
    LeastConnections,
    /// The fewest in flight for its weight.
    WeightedLeastConnections,
    /// The shortest expected delay: (in flight + 1) / weight.
    ShortestExpectedDelay,
    /// An idle one at once, else as the one before.
    NeverQueue,
    /// By weight.
    Random,
    /// The less loaded of two random ones.
    LeastOfTwo,
    /// The first that is not full.
    First,
    /// By a key.
    Hash,
    /// By a key, consistently.
    Maglev,
    /// The lowest latency times in flight.
    LeastTime,
}

impl From<&Balance> for Algorithm {
    fn from(balance: &Balance) -> Self {
        match balance {
            Balance::RoundRobin => Self::RoundRobin,
            Balance::WeightedRoundRobin => Self::WeightedRoundRobin,
            Balance::LeastConnections => Self::LeastConnections,
            Balance::WeightedLeastConnections => Self::WeightedLeastConnections,
            Balance::ShortestExpectedDelay => Self::ShortestExpectedDelay,
            Balance::NeverQueue => Self::NeverQueue,
            Balance::Random => Self::Random,
            Balance::LeastOfTwo => Self::LeastOfTwo,
            Balance::First => Self::First,
            Balance::Hash(_) => Self::Hash,
            Balance::Maglev(_) => Self::Maglev,
            Balance::LeastTime => Self::LeastTime,
            // Pools of kernel services: no worker ever chooses of them, so that what is nearest will do.
            Balance::DestinationHash => Self::Hash,
            Balance::LocalityLeastConnections | Balance::ReplicatedLocality => {
                Self::WeightedLeastConnections
            }
            Balance::Failover | Balance::Overflow => Self::First,
        }
    }
}

/// A backend's identity, the same on every node and in every plan: a hash of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(u64);

impl BackendId {
    /// The identity of what has this name (for a backend of a pool, its address as text).
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(hash64(name.as_bytes()))
    }

    /// The identity with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// A backend that has just come up gets its weight little by little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    /// When it came up.
    pub since: Instant,
    /// How long until it has its whole weight.
    pub over: Duration,
}

impl SlowStart {
    /// The share of the weight at `now`, of [`Member::WHOLE`]: from a tenth at the start, linearly.
    fn share(self, now: Instant) -> u64 {
        const START: u64 = Member::WHOLE / 10;
        let passed = now.saturating_since(self.since);
        if passed >= self.over {
            return Member::WHOLE;
        }
        let part = passed.as_nanos() * u128::from(Member::WHOLE - START) / self.over.as_nanos();
        START + part as u64
    }
}

/// One backend that may be used.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who it is.
    pub id: BackendId,
    /// Its share of new work; 0: none.
    pub weight: u32,
    /// Takes work only when no other member has a weight.
    pub backup: bool,
    /// The most that may be in flight on it, over all workers.
    pub max_connections: Option<u32>,
    /// Its slow start, if it has one.
    pub slow_start: Option<SlowStart>,
    /// Its load, which outlives this list.
    pub load: Arc<Load>,
}

impl Member {
    /// What effective weights are multiples of: a weight of 1 that is not slow-starting.
    pub(super) const WHOLE: u64 = 1024;

    /// The weight at `now`, times [`Self::WHOLE`].
    pub(super) fn weight_at(&self, now: Instant) -> u64 {
        let share = self.slow_start.map_or(Self::WHOLE, |s| s.share(now));
        u64::from(self.weight) * share
    }

    /// Whether it could take this request now.
    pub(super) fn is_usable(&self, pick: &Pick<'_>) -> bool {
        !pick.avoid.contains(&self.id) && !self.is_full()
    }

    pub(super) fn is_full(&self) -> bool {
        self.load.is_full(self.max_connections)
    }
}

/// A pool's usable members in config order, with the tables that its algorithm needs.
#[derive(Debug)]
pub struct Members {
    algorithm: Algorithm,
    list: Box<[Member]>,
    /// Indices of those that get work: primaries with a weight, or if there are none, backups with one.
    active: Box<[u32]>,
    tables: Tables,
    /// From when on no active member is in slow start.
    settled: Instant,
    /// Mean weight of the active, as [`Member::weight_at`] gives it when they are settled.
    mean_weight: f32,
}

#[derive(Clone, Debug)]
pub(super) enum Tables {
    None,
    /// Indices in order of identity, and a table over that order.
    Alias(Arc<(Box<[u32]>, Alias)>),
    Maglev(Arc<maglev::Table>),
    /// One period of the smooth schedule; none if it is short to scan or long to store.
    Sequence(Option<Arc<[u32]>>),
}

impl Members {
    /// Pools up to this size are scanned for `wrr`: as quick as a table, and exact across changes.
    const SCANNED: usize = 32;

    /// The members `list`. Tables are taken over from `previous` where nothing that they depend on has
    /// changed: most changes are to something else, and a Maglev table takes milliseconds to build.
    #[must_use]
    pub fn new(algorithm: Algorithm, list: Vec<Member>, previous: Option<&Self>) -> Self {
        let active = active(&list);
        let settled = active
            .iter()
            .filter_map(|&i| list[i as usize].slow_start)
            .map(|s| s.since + s.over)
            .max()
            .unwrap_or(Instant::ZERO);
        let weights = active.iter().map(|&i| f64::from(list[i as usize].weight));
        let mean_weight = weights.sum::<f64>() / active.len().max(1) as f64;
        let mut members = Self {
            algorithm,
            mean_weight: (mean_weight * Member::WHOLE as f64) as f32,
            list: list.into(),
            active,
            tables: Tables::None,
            settled,
        };
        members.tables = match previous {
            Some(previous) if members.has_tables_of(previous) => previous.tables.clone(),
            _ => members.build_tables(),
        };
        members
    }

    /// How a member is chosen.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The members, in config order.
    #[must_use]
    pub fn list(&self) -> &[Member] {
        &self.list
    }

    /// The Maglev table, if that is how members are chosen.
    #[must_use]
    pub fn maglev(&self) -> Option<&maglev::Table> {
        match &self.tables {
            Tables::Maglev(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn active(&self) -> &[u32] {
        &self.active
    }

    /// Whether all active members have their whole weight at `now`.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        now >= self.settled
    }

    pub(super) fn mean_weight(&self) -> f32 {
        self.mean_weight
    }

    pub(super) fn has_sequence(&self) -> bool {
        matches!(self.tables, Tables::Sequence(Some(_)))
    }

    fn has_tables_of(&self, other: &Self) -> bool {
        let same = |(a, b): (&Member, &Member)| a.id == b.id && a.weight == b.weight;
        self.algorithm == other.algorithm
            && self.active == other.active
            && self.list.len() == other.list.len()
            && self.list.iter().zip(&other.list).all(same)
    }

    fn build_tables(&self) -> Tables {
        match self.algorithm {
            Algorithm::RoundRobin
            | Algorithm::LeastConnections
            | Algorithm::WeightedLeastConnections
            | Algorithm::ShortestExpectedDelay
            | Algorithm::NeverQueue
            | Algorithm::First => Tables::None,
            Algorithm::WeightedRoundRobin => Tables::Sequence(self.sequence()),
            Algorithm::Random | Algorithm::LeastOfTwo | Algorithm::Hash | Algorithm::LeastTime => {
                Tables::Alias(Arc::new(self.alias()))
            }
            Algorithm::Maglev => Tables::Maglev(Arc::new(self.build_maglev())),
        }
    }

    fn sequence(&self) -> Option<Arc<[u32]>> {
        if self.active.len() <= Self::SCANNED {
            return None;
        }
        let weights: Vec<u32> = self.active().iter().map(|&i| self.weight(i)).collect();
        let places = smooth::sequence(&weights)?;
        Some(places.iter().map(|&p| self.active[p as usize]).collect())
    }

    fn alias(&self) -> (Box<[u32]>, Alias) {
        let mut order = self.active.clone();
        order.sort_by_key(|&i| self.list[i as usize].id);
        let weights: Vec<u64> = order.iter().map(|&i| self.weight(i).into()).collect();
        (order, Alias::new(&weights))
    }

    fn build_maglev(&self) -> maglev::Table {
        let mut weights: Vec<(BackendId, u32)> = self.list.iter().map(|m| (m.id, 0)).collect();
        for &i in &self.active {
            weights[i as usize].1 = self.weight(i);
        }
        maglev::Table::new(&weights)
    }

    fn weight(&self, index: u32) -> u32 {
        self.list[index as usize].weight
    }
}

fn active(list: &[Member]) -> Box<[u32]> {
    let with_weight = |backup: bool| -> Box<[u32]> {
        let takes_work = |&i: &u32| {
            let member = &list[i as usize];
            member.weight > 0 && member.backup == backup
        };
        (0..list.len() as u32).filter(takes_work).collect()
    };
    let primaries = with_weight(false);
    if primaries.is_empty() {
        with_weight(true)
    } else {
        primaries
    }
}
