//! A backend through changes of the configuration: what it keeps, what starts anew, and its end.

use std::sync::Arc;

use super::{
    active::Stage,
    agent::{Agent, AgentWord},
    backend::{Backend, Drained, Regime, Removed},
    operator::Operator,
};
use crate::{spec::BackendSpec, time::Instant};

impl Backend {
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
            self.drained = Drained::default();
            self.stages.iter_mut().for_each(Stage::forget);
        }
    }

    /// Makes `stages` what the regime says. A check that did not change goes on undisturbed; one that took
    /// another's place keeps its verdict; a new one begins with `verdict`.
    pub(super) fn adopt_checks(&mut self, verdict: Option<bool>, due: Instant) {
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

    pub(super) fn adopt_agent(&mut self, due: Instant) {
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
}
