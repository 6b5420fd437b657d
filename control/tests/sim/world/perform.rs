//! What the engine wants done, done: plans adopted, probes and questions sent over a network that loses some.

use std::sync::Arc;

use control::{
    engine::{Action, Failure},
    health::PROBE_GRACE,
    name::BackendKey,
    plan::{Duty, Plan},
    spec::{AgentSpec, CheckSpec},
};

use super::{World, happen::Happening};
use crate::{
    oracle::{Verdict, check_succession, ensure},
    servers::failure,
};

impl World {
    /// Carries out what the engine wants done.
    pub(super) fn perform(&mut self) -> Verdict {
        while let Some(action) = self.wire.poll_action() {
            self.trace.note(self.now, &action);
            match action {
                Action::Plan(plan) => self.adopt(plan)?,
                Action::Transition(_) => self.story.transitions += 1,
                Action::Answer(answer) => self.answers.push(answer),
                Action::Probe {
                    backend,
                    check,
                    id,
                    spec,
                    ..
                } => self.probe(backend, check, id, &spec)?,
                Action::AskAgent {
                    backend, id, spec, ..
                } => self.ask(backend, id, &spec),
            }
        }
        Ok(())
    }

    fn adopt(&mut self, plan: Arc<Plan>) -> Verdict {
        self.story.plans += 1;
        check_succession(&self.plan, &plan)?;
        for member in plan.pools.values().flat_map(|pool| &pool.members) {
            let finishes = matches!(member.duty, Duty::Finish { .. });
            // A plane that never says so is no worse than a drain without end; the end of the world says it.
            let says: [fn(BackendKey) -> Happening; 2] =
                [Happening::Drained, Happening::DrainedInKernel];
            for says in says {
                if finishes && self.dice.percent(70) {
                    let after = self.dice.millis(0, 3_000);
                    self.plan_for(after, says(member.key.clone()));
                }
            }
        }
        self.plan = plan;
        Ok(())
    }

    fn probe(&mut self, backend: BackendKey, check: usize, id: u64, spec: &CheckSpec) -> Verdict {
        self.story.probes += 1;
        let given_up = spec.timeout + PROBE_GRACE;
        let stage = (backend.clone(), check);
        let before = self.probes.insert(stage, self.now + given_up);
        ensure(
            before.is_none_or(|until| until <= self.now),
            "one-probe",
            || format!("{backend} check {check}: another is on its way until {before:?}"),
        )?;
        let mut result = self.servers[&backend.address.ip()].probe(spec.timeout, &mut self.dice);
        let mut after = result.took;
        if self.dice.percent(self.foul) {
            self.watch.disturb(&backend, self.now + given_up);
            match self.dice.below(3) {
                0 => return Ok(()),
                1 => after = given_up + self.dice.millis(0, 500),
                _ => result.outcome = Err(failure(Failure::Local)),
            }
        }
        if self.dice.percent(self.foul) {
            let again = after + self.dice.millis(0, 500);
            self.plan_for(
                again,
                Happening::Probed(backend.clone(), check, id, result.clone()),
            );
        }
        self.plan_for(after, Happening::Probed(backend, check, id, result));
        Ok(())
    }

    fn ask(&mut self, backend: BackendKey, id: u64, spec: &AgentSpec) {
        let server = &self.servers[&backend.address.ip()];
        let result = server.probe(spec.timeout, &mut self.dice);
        let reply = result.outcome.map(|()| server.says.to_owned());
        self.plan_for(result.took, Happening::AgentSaid(backend, id, reply));
    }
}
