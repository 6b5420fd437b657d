//! What happens in a world: to servers, by operators, to the configuration, and at a hand-over.

use std::{net::IpAddr, sync::Arc};

use control::{
    engine::{Engine, Event, Operation, PassiveSample, ProbeFailure, ProbeResult},
    name::BackendKey,
    plan::{Duty, Plan},
    spec::Spec,
    status::Saved,
};

use super::{LOOK, World};
use crate::{
    oracle::{Verdict, Violation, ensure},
    wire::Wire,
};

/// What is going to happen.
#[derive(Debug)]
pub(super) enum Happening {
    Probed(BackendKey, usize, u64, ProbeResult),
    AgentSaid(BackendKey, u64, Result<String, ProbeFailure>),
    Drained(BackendKey),
    DrainedInKernel(BackendKey),
    ServerChanges(IpAddr),
    AgentChangesMind(IpAddr),
    Partition,
    Heal,
    Traffic,
    Edit,
    Operate,
    HandOver,
    Look,
}

impl World {
    pub(super) fn happen(&mut self, happening: Happening) -> Verdict {
        match happening {
            Happening::Probed(backend, check, id, result) => {
                let _awaited = self.probes.remove(&(backend.clone(), check));
                self.event(Event::Probed {
                    backend,
                    check,
                    id,
                    result,
                })
            }
            Happening::AgentSaid(backend, id, reply) => {
                self.event(Event::Agent { backend, id, reply })
            }
            Happening::Drained(key) => self.event(Event::Drained(key)),
            Happening::DrainedInKernel(key) => self.event(Event::DrainedInKernel(key)),
            Happening::ServerChanges(host) => {
                if let Some(server) = self.servers.get_mut(&host) {
                    let again = server.change(&mut self.dice, self.now);
                    server.grey = self.dice.percent(15);
                    self.plan_for(again, Happening::ServerChanges(host));
                }
                Ok(())
            }
            Happening::AgentChangesMind(host) => {
                if let Some(server) = self.servers.get_mut(&host) {
                    server.say(&mut self.dice, self.now);
                }
                let again = self.dice.millis(3_000, 20_000);
                self.plan_for(again, Happening::AgentChangesMind(host));
                Ok(())
            }
            Happening::Partition => {
                for server in self.servers.values_mut() {
                    if self.dice.percent(40) {
                        server.cut(true, self.now);
                    }
                }
                let lasting = self.dice.millis(500, 10_000);
                self.plan_for(lasting, Happening::Heal);
                Ok(())
            }
            Happening::Heal => {
                self.servers
                    .values_mut()
                    .for_each(|server| server.cut(false, self.now));
                let again = self.dice.millis(5_000, 30_000);
                self.plan_for(again, Happening::Partition);
                Ok(())
            }
            Happening::Traffic => self.traffic(),
            Happening::Edit => self.edit(),
            Happening::Operate => self.operate(),
            Happening::HandOver => self.hand_over(),
            Happening::Look => {
                self.plan_for(LOOK, Happening::Look);
                self.look()
            }
        }
    }

    fn edit(&mut self) -> Verdict {
        let again = self.dice.millis(1_000, 12_000);
        self.plan_for(again, Happening::Edit);
        self.config.edit(&mut self.dice);
        self.apply(self.config.spec())
    }

    fn operate(&mut self) -> Verdict {
        let again = self.dice.millis(300, 4_000);
        self.plan_for(again, Happening::Operate);
        let nobody: BackendKey = "web/192.0.2.1:1".parse().map_err(|_| Violation {
            oracle: "world",
            detail: "a key that is none".into(),
        })?;
        let there = self
            .config
            .any_backend(&mut self.dice)
            .filter(|_| self.dice.percent(80));
        let key = there.clone().unwrap_or(nobody);
        let operation = match self.dice.below(8) {
            0 => Operation::Drain(key, Some(self.dice.millis(0, 5_000))),
            1 => Operation::Drain(key, None),
            2 => Operation::Disable(key),
            3 => Operation::Weight(key, Some(self.dice.pick(&[0, 1, 1000]))),
            4 => Operation::Weight(key, None),
            _ => Operation::Enable(key),
        };
        if there.is_some() {
            self.watch.note_operation(&operation, self.now);
            self.probes.retain(|(key, _), _| key != operation.backend());
        }
        let before = Arc::clone(&self.plan);
        self.event(Event::Operate(operation))?;
        let answer = self.answers.pop();
        let refused = matches!(answer, Some(Err(_)));
        ensure(refused == there.is_none(), "answer", || {
            format!("{there:?}: {answer:?}")
        })?;
        let untouched = Arc::ptr_eq(&before, &self.plan);
        ensure(!refused || untouched, "refusal", || {
            "a refused operation changed the plan".into()
        })
    }

    fn traffic(&mut self) -> Verdict {
        let again = self.dice.millis(20, 200);
        self.plan_for(again, Happening::Traffic);
        let Some(pool) = self.spec.pools.get(self.dice.below(self.spec.pools.len())) else {
            return Ok(());
        };
        let Some(planned) = self.plan.pools.get(&pool.name).cloned() else {
            return Ok(());
        };
        let usable: Vec<&BackendKey> = planned.usable().map(|member| &member.key).collect();
        if usable.is_empty() {
            return Ok(());
        }
        let key = self.dice.pick(&usable).clone();
        let server = &self.servers[&key.address.ip()];
        let well = server.is_alive() && !server.grey;
        let requests = 1 + self.dice.below(8) as u32;
        let (passed, failed) = if well { (requests, 0) } else { (0, requests) };
        self.event(Event::Traffic(PassiveSample {
            backend: key,
            passed,
            failed,
            failed_in_a_row: failed,
        }))
    }

    /// A new process takes over, on another seed, with nothing but what the old one tells it.
    fn hand_over(&mut self) -> Verdict {
        let broken = |e: serde_json::Error| Violation {
            oracle: "hand-over",
            detail: e.to_string(),
        };
        let text = serde_json::to_string(&self.wire.engine().export(self.now)).map_err(broken)?;
        let saved: Saved = serde_json::from_str(&text).map_err(broken)?;
        let engine = Engine::restore(self.dice.next(), self.now, saved);
        self.wire = Wire::new(engine, self.sabotage);
        let gone = |h: &Happening| matches!(h, Happening::Probed(..) | Happening::AgentSaid(..));
        self.queue.retain(|_, happening| !gone(happening));
        self.watch.disturb_all(self.now);

        let before = std::mem::take(&mut self.plan);
        let spec = Spec::clone(&self.spec);
        self.apply(spec)?;
        for pool in &self.spec.pools {
            let duties = |plan: &Plan| -> Vec<String> {
                let members = plan.pools.get(&pool.name).map(|p| p.members.iter());
                let members = members.into_iter().flatten().take(pool.backends.len());
                members
                    .map(|m| format!("{} {}", m.weight, duty(m.duty)))
                    .collect()
            };
            let (old, new) = (duties(&before), duties(&self.plan));
            ensure(old == new, "hand-over", || {
                format!("{}: {old:?}, then {new:?}", pool.name)
            })?;
        }
        Ok(())
    }
}

fn duty(duty: Duty) -> &'static str {
    match duty {
        Duty::Take => "take",
        Duty::Finish { .. } => "finish",
        Duty::Avoid => "avoid",
    }
}
