//! One backend: its checks, agent, traffic and operator together, the state that follows, and when to look again.
//!
//! Whoever changes a part calls [`Backend::settle`] afterwards: it alone derives the state, says what changed,
//! and stops or starts probes accordingly.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    State, Transition,
    active::Stage,
    agent::{Agent, AgentWish, AgentWord},
    chance::Chance,
    judge::{Reason, describe, judge},
    operator::{Operator, Override},
    passive::Passive,
};
use crate::{
    engine::{Action, PassiveSample, ProbeFailure, ProbeResult},
    name::BackendKey,
    plan::MemberFact,
    spec::{AgentSpec, BackendSpec, CheckSpec, PoolSpec},
    time::Instant,
};

/// What all backends of a pool are held to, shared by them.
#[derive(Debug)]
pub(crate) struct Regime {
    pub(crate) pool: Arc<PoolSpec>,
    checks: Vec<Arc<CheckSpec>>,
    agent: Option<Arc<AgentSpec>>,
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
    /// A plane said that nothing goes on any more.
    pub(super) drained: bool,
    reason: Reason,
    pub(super) why: String,
    pub(super) since: Instant,
    /// Whether it takes work before its first check: in a new pool, not when added to one at work.
    pub(super) trusted: bool,
    pub(super) rising_since: Option<Instant>,
    /// When a drain that its agent asked for ends.
    agent_drain_until: Option<Instant>,
    pub(super) flaps: u64,
}

/// A backend that the configuration no longer has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    /// When what still goes on is cut; none: never.
    until: Option<Instant>,
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
            drained: false,
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

    /// The state that a backend begins with is no change of state.
    pub(super) fn take_first_verdict(&mut self, now: Instant) {
        self.reason = judge(self);
        self.why = describe(self, self.reason, self.reason);
        self.attend(now);
        if self.state() == State::Up && !self.trusted {
            self.rise(now);
        }
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

    /// The configuration has it, with these settings; probes of changed checks begin at `due`.
    pub(crate) fn configure(&mut self, spec: BackendSpec, regime: Arc<Regime>, due: Instant) {
        let retargeted = self.spec.check_address != spec.check_address;
        let returns = self.removed.take().is_some();
        self.spec = spec;
        self.regime = regime;
        let all_pass = self.stages.iter().all(|s| s.verdict == Some(true));
        self.adopt_checks(all_pass.then_some(true), due);
        self.adopt_agent(due);
        if retargeted {
            self.stages
                .iter_mut()
                .for_each(|s| s.respecify(Arc::clone(&s.spec), due));
            if let Some(agent) = &mut self.agent {
                agent.resume(due);
            }
        }
        if returns {
            // Nobody looked while it was gone.
            self.trusted = false;
            self.drained = false;
            self.stages.iter_mut().for_each(Stage::forget);
        }
    }

    /// Makes `stages` what the regime says. A check that did not change goes on undisturbed; one that took
    /// another's place keeps its verdict; a new one begins with `verdict`.
    fn adopt_checks(&mut self, verdict: Option<bool>, due: Instant) {
        let mut old: Vec<Option<Stage>> = self.stages.drain(..).map(Some).collect();
        let mut kept: Vec<Option<Stage>> = Vec::with_capacity(self.regime.checks.len());
        for (place, spec) in self.regime.checks.iter().enumerate() {
            let same = old
                .iter()
                .position(|s| s.as_ref().is_some_and(|s| s.spec == *spec));
            let mut stage = same.and_then(|from| old[from].take());
            if let Some(stage) = stage.as_mut().filter(|_| same != Some(place)) {
                stage.resume(due);
            }
            kept.push(stage);
        }
        for (place, (stage, spec)) in kept.into_iter().zip(&self.regime.checks).enumerate() {
            let stage = stage.unwrap_or_else(|| {
                let replaced = old.get_mut(place).and_then(Option::take);
                let mut stage = replaced.unwrap_or_else(|| Stage::new(Arc::clone(spec), verdict));
                stage.respecify(Arc::clone(spec), due);
                stage
            });
            self.stages.push(stage);
        }
    }

    fn adopt_agent(&mut self, due: Instant) {
        let Some(spec) = &self.regime.agent else {
            self.agent = None;
            return;
        };
        match &mut self.agent {
            Some(agent) if agent.spec == *spec => {}
            Some(agent) => agent.respecify(Arc::clone(spec), due),
            None => {
                let mut agent = Agent::new(Arc::clone(spec), AgentWord::default());
                agent.resume(due);
                self.agent = Some(agent);
            }
        }
    }

    /// The configuration no longer has it: what goes on may finish. An operator's word ends with that; what was
    /// drained already stays so, for no plane would say it twice.
    pub(crate) fn remove(&mut self, now: Instant) {
        let until = self.regime.pool.drain.map(|drain| now + drain);
        self.removed = Some(Removed { until });
        self.operator = Operator::default();
        self.passive.end_ejection(&self.regime.pool.passive, now);
    }

    /// A plane says that nothing goes on any more.
    pub(crate) fn handle_drained(&mut self) {
        self.drained |= self.state() == State::Draining;
    }

    /// Whether it can be forgotten: removed, and finished or out of time.
    pub(crate) fn is_gone(&self, now: Instant) -> bool {
        self.removed
            .is_some_and(|r| self.drained || r.until.is_some_and(|until| until <= now))
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

    pub(crate) fn override_weight(&mut self, weight: Option<u16>) {
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

    /// Derives the state anew; the change, if it did.
    pub(crate) fn settle(&mut self, now: Instant) -> Option<Transition> {
        self.drop_needless_override();
        self.attend(now);
        let before = self.reason;
        self.reason = judge(self);
        if self.reason == before {
            return None;
        }
        self.why = describe(self, self.reason, before);
        if self.reason == Reason::AgentDrains {
            self.agent_drain_until = self.regime.pool.drain.map(|drain| now + drain);
        }
        let (from, to) = (before.state(), self.state());
        if from == to {
            return None;
        }
        self.enter(from, to, now);
        Some(Transition {
            backend: self.key.clone(),
            from,
            to,
            why: self.why.clone(),
        })
    }

    fn enter(&mut self, from: State, to: State, now: Instant) {
        self.since = now;
        self.rising_since = None;
        if from == State::Draining && self.removed.is_none() {
            self.drained = false;
        }
        if from == State::Up && to == State::Down {
            self.flaps += 1;
        }
        if to == State::Up {
            self.passive.forgive();
        }
        let was_out = matches!(from, State::Down | State::Disabled);
        if to == State::Up && (was_out || (from == State::Checking && !self.trusted)) {
            self.rise(now);
        }
    }

    fn rise(&mut self, now: Instant) {
        let slowly = !self.regime.pool.slow_start.is_zero();
        self.rising_since = slowly.then_some(now);
    }

    /// An `enable` lasts while there is something that it holds against.
    fn drop_needless_override(&mut self) {
        let idle = !self.spec.disabled && self.agent_wish() == AgentWish::Ready;
        if self.operator.state == Some(Override::Enable) && idle {
            self.operator.state = None;
        }
    }

    /// Stops the probes of a backend that is out, and starts them anew, knowing nothing, when it is back.
    fn attend(&mut self, now: Instant) {
        let reason = judge(self);
        let out = matches!(
            reason,
            Reason::Removed | Reason::OperatorDisabled | Reason::ConfigDisabled
        );
        let checked = !out && reason != Reason::AgentMaint;
        for stage in &mut self.stages {
            match (checked, stage.is_suspended()) {
                (false, false) => stage.suspend(),
                (true, true) => {
                    self.trusted = false;
                    stage.forget();
                    stage.resume(now);
                }
                (true, false) | (false, true) => {}
            }
        }
        if let Some(agent) = &mut self.agent {
            match (out, agent.is_suspended()) {
                (true, false) => agent.suspend(),
                (false, true) => agent.resume(now),
                (true, true) | (false, false) => {}
            }
        }
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
            until,
            rising_since: self.rising_since,
        }
    }

    /// The weight that counts: an operator's, or else the agent's share of the configured one, at least 1 of it
    /// if the agent asked for any.
    pub(super) fn weight(&self) -> u16 {
        if let Some(weight) = self.operator.weight {
            return weight;
        }
        let percent = self
            .agent
            .as_ref()
            .and_then(|a| a.word.percent)
            .unwrap_or(100);
        let scaled = (u64::from(self.spec.weight) * u64::from(percent)).div_ceil(100);
        u16::try_from(scaled).unwrap_or(u16::MAX)
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
