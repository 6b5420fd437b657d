//! From facts to a plan. Pure: the same facts give the same plan, and what did not change is the same `Arc`.

use std::sync::Arc;

use super::{Duty, KernelMember, MemberPlan, PoolPlan};
use crate::{health::State, name::BackendKey, spec::PoolSpec, time::Instant};

/// What planning needs to know of a backend: what was asked of it and how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberFact {
    /// Its state.
    pub state: State,
    /// Whether it takes work while its state is still [`State::Checking`].
    pub trusted: bool,
    /// The configuration no longer has it.
    pub removed: bool,
    /// Its weight as it counts now.
    pub weight: u32,
    /// Takes work only when no other can.
    pub backup: bool,
    /// The most requests or connections at a time.
    pub max_connections: Option<u32>,
    /// What kernel services need to know of it.
    pub kernel: KernelMember,
    /// When its drain ends, if it drains and has an end.
    pub until: Option<Instant>,
    /// When it came up, if not at once with its whole weight.
    pub rising_since: Option<Instant>,
}

impl MemberFact {
    /// Whether it may ever be given work as things are: configured, and neither draining nor disabled nor
    /// without weight.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        let wanted = matches!(self.state, State::Up | State::Checking | State::Down);
        wanted && !self.removed && self.weight > 0
    }

    /// Whether it is to be given work on its own merits.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        let fit = self.state == State::Up || (self.state == State::Checking && self.trusted);
        fit && self.is_eligible()
    }
}

/// What a pool shall be. `members` are in config order, those that were removed last.
///
/// Who takes work is decided in this order:
/// 1. Who is up, or was there from the pool's start and has not been checked yet.
/// 2. If that is nobody: who was added since and has not been checked yet.
/// 3. If that is less than `panic_below` of those that could be, and no backup among them is up: everybody who
///    is neither draining nor disabled.
#[must_use]
pub fn plan_pool(
    spec: &Arc<PoolSpec>,
    members: &[(&BackendKey, MemberFact)],
    now: Instant,
) -> PoolPlan {
    let census = Census::of(members);
    let panic = census.calls_for_panic(spec);
    let desperate = census.fit == 0;
    let members = members.iter().map(|(key, fact)| MemberPlan {
        key: BackendKey::clone(key),
        weight: fact.weight,
        backup: fact.backup,
        max_connections: fact.max_connections,
        kernel: fact.kernel,
        duty: duty(fact, panic, desperate),
        rising_since: fact
            .rising_since
            .filter(|since| now.saturating_since(*since) < spec.slow_start),
    });
    PoolPlan {
        spec: Arc::clone(spec),
        members: members.collect(),
        panic,
    }
}

fn duty(fact: &MemberFact, panic: bool, desperate: bool) -> Duty {
    match fact.state {
        State::Draining => Duty::Finish { until: fact.until },
        State::Disabled => Duty::Avoid,
        State::Up => Duty::Take,
        State::Checking if fact.trusted || desperate || panic => Duty::Take,
        State::Down if panic => Duty::Take,
        State::Checking | State::Down => Duty::Avoid,
    }
}

/// How many of a pool's members could work, and how many do.
struct Census {
    eligible: usize,
    fit: usize,
    fit_backups: usize,
}

impl Census {
    fn of(members: &[(&BackendKey, MemberFact)]) -> Self {
        let count =
            |which: fn(&MemberFact) -> bool| members.iter().filter(|(_, f)| which(f)).count();
        Self {
            eligible: count(MemberFact::is_eligible),
            fit: count(MemberFact::is_fit),
            fit_backups: count(|f| f.is_fit() && f.backup),
        }
    }

    /// A backup that is up is what the pool's owner wants used instead.
    fn calls_for_panic(&self, spec: &PoolSpec) -> bool {
        let least = self.eligible * usize::from(spec.panic_below.thousandths());
        self.fit_backups == 0 && self.fit * 1000 < least
    }
}
