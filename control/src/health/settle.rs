//! From what is known of a backend to its state, and what a change of state brings with it.

use super::{
    State, Transition,
    agent::AgentWish,
    backend::{Backend, Drained},
    judge::{Reason, describe, judge},
    operator::Override,
};
use crate::time::Instant;

impl Backend {
    /// The state that a backend begins with is no change of state.
    pub(super) fn take_first_verdict(&mut self, now: Instant) {
        self.reason = judge(self);
        self.why = describe(self, self.reason, self.reason);
        self.attend(now);
        if self.state() == State::Up && !self.trusted {
            self.rise(now);
        }
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
            self.drained = Drained::default();
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
}
