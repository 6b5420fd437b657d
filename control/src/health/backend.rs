//! One backend: its checks, agent, traffic and operator together, the state that follows, and when to look again.
//!
//! Whoever changes a part calls [`Backend::settle`] afterwards, which alone derives the state. What a new
//! configuration does to a backend is in [`super::configure`], what it tells of itself in [`super::report`].

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    State,
    active::Stage,
    agent::{Agent, AgentWish},
    chance::Chance,
    judge::Reason,
    operator::{Operator, Override},
    passive::Passive,
};
use crate::{
    engine::{Action, PassiveSample, ProbeFailure, ProbeResult},
    name::BackendKey,
    plan::{KernelMember, MemberFact},
    spec::{AgentSpec, BackendSpec, CheckSpec, PoolSpec},
    time::Instant,
};

/// What all backends of a pool are held to, shared by them.
#[derive(Debug)]
pub(crate) struct Regime {
    pub(crate) pool: Arc<PoolSpec>,
    pub(super) checks: Vec<Arc<CheckSpec>>,
    pub(super) agent: Option<Arc<AgentSpec>>,
}

impl Regime {
    pub(crate) fn new(pool: Arc<PoolSpec>) -> Arc<Self> {
        Arc::new(Self {
            checks: pool.checks.iter().cloned().map(Arc::new).collect(),
            agent: pool.agent.clone().map(Arc::new),
            pool,
        })
    }
}

/// What a backend needs of the engine to act: chance, names for its probes, and where its actions go.
pub(crate) struct Means<'a> {
    pub(crate) chance: &'a mut Chance,
    pub(crate) last_id: &'a mut u64,
    pub(crate) actions: &'a mut VecDeque<Action>,
}

/// One backend.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) key: BackendKey,
    pub(super) spec: BackendSpec,
    pub(crate) regime: Arc<Regime>,
    pub(super) stages: Vec<Stage>,
    pub(super) agent: Option<Agent>,
    pub(super) passive: Passive,
    pub(super) operator: Operator,
    pub(super) removed: Option<Removed>,
    /// Which planes said that nothing goes on any more.
    pub(super) drained: Drained,
    /// Whether a service that the kernel forwards leads to it.
    pub(crate) forwarded: bool,
    pub(super) reason: Reason,
    pub(super) why: String,
    pub(super) since: Instant,
    /// Whether it takes work before its first check: in a new pool, not when added to one at work.
    pub(super) trusted: bool,
    pub(super) rising_since: Option<Instant>,
    /// When a drain that its agent asked for ends.
    pub(super) agent_drain_until: Option<Instant>,
    pub(super) flaps: u64,
}

/// What carries traffic to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plane {
    /// The proxy.
    UserSpace,
    /// The kernel data plane.
    Kernel,
}

/// Which planes said that nothing goes on any more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drained {
    user_space: bool,
    kernel: bool,
}

/// A backend that the configuration no longer has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    /// When what still goes on is cut; none: never.
    pub(super) until: Option<Instant>,
}

impl Backend {
    /// A backend that nothing is known of; its checks begin at `due`.
    pub(crate) fn new(
        spec: BackendSpec,
        regime: Arc<Regime>,
        trusted: bool,
        due: Instant,
        now: Instant,
    ) -> Self {
        let key = BackendKey {
            pool: regime.pool.name.clone(),
            address: spec.address,
        };
        let mut backend = Self {
            key,
            spec,
            stages: Vec::new(),
            agent: None,
            passive: Passive::default(),
            operator: Operator::default(),
            removed: None,
            drained: Drained::default(),
            forwarded: false,
            reason: Reason::Unchecked,
            why: String::new(),
            since: now,
            trusted,
            rising_since: None,
            agent_drain_until: None,
            flaps: 0,
            regime,
        };
        backend.adopt_checks(None, due);
        backend.adopt_agent(due);
        backend.take_first_verdict(now);
        backend
    }

    pub(crate) fn state(&self) -> State {
        self.reason.state()
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.is_some()
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.passive.ejection().is_some()
    }

    /// A plane says that nothing goes on any more.
    pub(crate) fn handle_drained(&mut self, plane: Plane) {
        let drains = self.state() == State::Draining;
        match plane {
            Plane::UserSpace => self.drained.user_space |= drains,
            Plane::Kernel => self.drained.kernel |= drains,
        }
    }

    /// Whether nothing goes on any more in any plane that carries something for it.
    pub(super) fn is_drained(&self) -> bool {
        self.drained.user_space && (self.drained.kernel || !self.forwarded)
    }

    /// Whether it can be forgotten: removed, and finished or out of time.
    pub(crate) fn is_gone(&self, now: Instant) -> bool {
        self.removed
            .is_some_and(|r| self.is_drained() || r.until.is_some_and(|until| until <= now))
    }

    /// An operator's wish for its state; `drain_for` bounds a drain, else the pool's own bound does.
    pub(crate) fn override_state(
        &mut self,
        state: Override,
        drain_for: Option<Duration>,
        now: Instant,
    ) {
        self.operator.state = Some(state);
        self.operator.drain_until = match state {
            Override::Drain => drain_for
                .or(self.regime.pool.drain)
                .map(|drain| now + drain),
            Override::Disable | Override::Enable => None,
        };
        if state == Override::Enable {
            self.passive.end_ejection(&self.regime.pool.passive, now);
        }
    }

    pub(crate) fn override_weight(&mut self, weight: Option<u32>) {
        self.operator.weight = weight;
    }

    pub(crate) fn handle_probed(
        &mut self,
        check: usize,
        id: u64,
        result: ProbeResult,
        now: Instant,
        chance: &mut Chance,
    ) {
        if let Some(stage) = self.stages.get_mut(check) {
            let _counted = stage.handle_answer(id, result, now, chance);
        }
    }

    pub(crate) fn handle_agent(
        &mut self,
        id: u64,
        reply: Result<String, ProbeFailure>,
        now: Instant,
    ) {
        if let Some(agent) = &mut self.agent {
            agent.handle_answer(id, reply, now);
        }
    }

    /// What traffic tells; the answer is why it should be ejected, if it should.
    pub(crate) fn handle_sample(&mut self, sample: &PassiveSample, now: Instant) -> Option<String> {
        let spec = &self.regime.pool.passive;
        self.passive.handle_sample(sample, spec, now);
        match self.state() {
            State::Up | State::Checking => self.passive.verdict(spec),
            State::Down | State::Draining | State::Disabled => None,
        }
    }

    pub(crate) fn eject(&mut self, why: String, now: Instant) {
        let regime = Arc::clone(&self.regime);
        self.passive.eject(why, &regime.pool.passive, now);
    }

    pub(crate) fn end_ejection(&mut self, now: Instant) {
        let regime = Arc::clone(&self.regime);
        self.passive.end_ejection(&regime.pool.passive, now);
    }

    /// When an ejection ends.
    pub(crate) fn ejected_until(&self) -> Option<Instant> {
        self.passive.deadline()
    }

    /// When it next needs [`Self::handle_timeout`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if let Some(removed) = self.removed {
            return removed.until;
        }
        let stages = self.stages.iter().filter_map(Stage::deadline);
        let agent = self.agent.as_ref().and_then(Agent::deadline);
        stages.chain(agent).chain(self.passive.deadline()).min()
    }

    /// Gives up what is overdue and asks for what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, means: &mut Means<'_>) {
        let regime = Arc::clone(&self.regime);
        self.passive.handle_timeout(&regime.pool.passive, now);
        for check in 0..self.stages.len() {
            self.probe_if_due(check, now, means);
        }
        self.ask_agent_if_due(now, means);
    }

    fn probe_if_due(&mut self, check: usize, now: Instant, means: &mut Means<'_>) {
        let stage = &mut self.stages[check];
        let _gave_up = stage.handle_overdue(now, means.chance);
        let Some(id) = stage.poll_probe(now, || next_id(means.last_id)) else {
            return;
        };
        let spec = Arc::clone(&stage.spec);
        let mut target = self.spec.check_address.unwrap_or(self.spec.address);
        if let Some(port) = spec.port {
            target.set_port(port);
        }
        means.actions.push_back(Action::Probe {
            backend: self.key.clone(),
            check,
            id,
            spec,
            target,
            state: self.state(),
        });
    }

    fn ask_agent_if_due(&mut self, now: Instant, means: &mut Means<'_>) {
        let Some(agent) = &mut self.agent else {
            return;
        };
        agent.handle_overdue(now);
        let Some(id) = agent.poll_query(now, || next_id(means.last_id)) else {
            return;
        };
        let spec = Arc::clone(&agent.spec);
        let mut target = self.spec.check_address.unwrap_or(self.spec.address);
        target.set_port(spec.port);
        means.actions.push_back(Action::AskAgent {
            backend: self.key.clone(),
            id,
            spec,
            target,
        });
    }

    pub(super) fn agent_wish(&self) -> AgentWish {
        self.agent
            .as_ref()
            .map_or(AgentWish::Ready, |a| a.word.wish)
    }

    /// What planning needs to know of it.
    pub(crate) fn fact(&self) -> MemberFact {
        let until = match self.reason {
            Reason::Removed => self.removed.and_then(|r| r.until),
            Reason::OperatorDrains => self.operator.drain_until,
            Reason::AgentDrains => self.agent_drain_until,
            _ => None,
        };
        MemberFact {
            state: self.state(),
            trusted: self.trusted,
            removed: self.removed.is_some(),
            weight: self.weight(),
            backup: self.spec.backup,
            max_connections: self.max_connections(),
            kernel: KernelMember::from(&self.spec),
            until,
            rising_since: self.rising_since,
        }
    }

    /// The weight that counts: an operator's, or else the agent's share of the configured one, at least 1 of it
    /// if the agent asked for any.
    pub(super) fn weight(&self) -> u32 {
        if let Some(weight) = self.operator.weight {
            return weight;
        }
        let percent = self
            .agent
            .as_ref()
            .and_then(|a| a.word.percent)
            .unwrap_or(100);
        let scaled = (u64::from(self.spec.weight) * u64::from(percent)).div_ceil(100);
        u32::try_from(scaled).map_or(BackendSpec::MAX_WEIGHT, |w| w.min(BackendSpec::MAX_WEIGHT))
    }

    pub(super) fn max_connections(&self) -> Option<u32> {
        match self.agent.as_ref().and_then(|a| a.word.max_connections) {
            Some(0) => None,
            Some(most) => Some(most),
            None => self.spec.max_connections,
        }
    }
}

fn next_id(last: &mut u64) -> u64 {
    *last += 1;
    *last
}
