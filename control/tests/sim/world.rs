//! A world in virtual time: servers that come and go, a network that loses answers, operators, edits of the
//! configuration, and the engine in the midst of it.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use control::{
    engine::{Action, Answer, Engine, Event, Operation, PassiveSample, ProbeResult},
    health::PROBE_GRACE,
    name::BackendKey,
    plan::{Duty, Plan},
    spec::{AgentSpec, CheckSpec, Spec},
    status::Saved,
    time::Instant,
};

use crate::{
    config::Config,
    dice::Dice,
    oracle::{Judged, Look, Verdict, Violation, check_plan, check_succession, ensure},
    servers::{self, Server, failure},
    trace::Trace,
    watch::Watch,
    wire::{Sabotage, Wire},
};

/// How long a world lasts.
const LIFE: Duration = Duration::from_secs(45);

/// How often all backends are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A world that ended well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Story {
    /// Of all actions and when they came.
    pub(crate) trace: u64,
    pub(crate) probes: u64,
    pub(crate) plans: u64,
    pub(crate) transitions: u64,
    pub(crate) wakeups: u64,
    pub(crate) judged: Judged,
}

/// What is going to happen.
#[derive(Debug)]
enum Happening {
    Probed(BackendKey, usize, u64, ProbeResult),
    AgentSaid(
        BackendKey,
        u64,
        Result<String, control::engine::ProbeFailure>,
    ),
    Drained(BackendKey),
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

pub(crate) struct World {
    wire: Wire,
    sabotage: Sabotage,
    dice: Dice,
    now: Instant,
    queue: BTreeMap<(Instant, u64), Happening>,
    queued: u64,
    servers: BTreeMap<IpAddr, Server>,
    config: Config,
    spec: Arc<Spec>,
    plan: Arc<Plan>,
    watch: Watch,
    /// Probes on their way, and when the engine gives them up.
    probes: BTreeMap<(BackendKey, usize), Instant>,
    /// Percent of probes that something goes wrong with on our side.
    foul: u64,
    answers: Vec<Answer>,
    second: (u64, u64),
    trace: Trace,
    story: Story,
}

/// Runs the world of that seed to its end.
pub(crate) fn run(seed: u64, sabotage: Sabotage) -> Result<Story, Violation> {
    let mut world = World::new(seed, sabotage);
    let outcome = world.live().and_then(|()| world.end());
    let at = world.now;
    outcome.map_err(|v| Violation {
        detail: format!("at {at:?}: {}", v.detail),
        ..v
    })?;
    world.story.trace = world.trace.finish();
    Ok(world.story)
}

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut dice = Dice::new(seed);
        let now = Instant::at(Duration::from_secs(1_000));
        let mut world = Self {
            wire: Wire::new(Engine::new(dice.next(), now), sabotage),
            sabotage,
            now,
            queue: BTreeMap::new(),
            queued: 0,
            servers: servers::all(&mut dice, now),
            config: Config::initial(&mut dice),
            spec: Arc::default(),
            plan: Arc::default(),
            watch: Watch::default(),
            probes: BTreeMap::new(),
            foul: dice.pick(&[0, 0, 2, 5]),
            answers: Vec::new(),
            second: (0, 0),
            trace: Trace::default(),
            story: Story::default(),
            dice,
        };
        let hosts: Vec<IpAddr> = world.servers.keys().copied().collect();
        for host in hosts {
            let after = world.servers[&host].next_change(&mut world.dice);
            world.plan_for(after, Happening::ServerChanges(host));
            let after = world.dice.millis(5_000, 60_000);
            world.plan_for(after, Happening::AgentChangesMind(host));
        }
        world.plan_for(Duration::from_secs(20), Happening::Partition);
        for regular in [
            Happening::Traffic,
            Happening::Edit,
            Happening::Operate,
            Happening::Look,
        ] {
            world.plan_for(LOOK, regular);
        }
        let hand_over = world.dice.millis(5_000, 120_000);
        world.plan_for(hand_over, Happening::HandOver);
        world
    }

    fn plan_for(&mut self, after: Duration, happening: Happening) {
        self.queued += 1;
        self.queue
            .insert((self.now + after, self.queued), happening);
    }

    fn live(&mut self) -> Verdict {
        let end = self.now + LIFE;
        self.apply(self.config.spec())?;
        loop {
            let due = self.wire.next_deadline(self.now);
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let Some(at) = due.into_iter().chain(next).min().filter(|at| *at < end) else {
                return Ok(());
            };
            self.now = at.max(self.now);
            match self.queue.first_entry() {
                // What has happened is told before what is due is done.
                Some(entry) if entry.key().0 <= self.now => {
                    let happening = entry.remove();
                    self.happen(happening)?;
                }
                _ => self.wake()?,
            }
        }
    }

    /// Lets the engine do what is due; neither it nor its timers may spin.
    fn wake(&mut self) -> Verdict {
        let second = self.now.nanos() / 1_000_000_000;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        self.story.wakeups += 1;
        // A check may be due as often as its jitter lets it: on average five times a second here, ten with jitter.
        let waiting: usize = self
            .plan
            .pools
            .values()
            .map(|p| p.members.len() * (p.spec.checks.len() + 1))
            .sum();
        let most = 100 + 20 * waiting as u64;
        let count = self.second.1;
        ensure(count <= most, "wakeups", || {
            format!("{count} within a second, {waiting} waiting")
        })?;

        self.wire.handle_timeout(self.now);
        let due = self.wire.engine().next_deadline();
        ensure(due.is_none_or(|due| due > self.now), "deadline", || {
            format!("{due:?} is past")
        })?;
        self.perform()
    }

    /// At the end all is removed and finished: nothing may be left.
    fn end(&mut self) -> Verdict {
        self.queue.clear();
        self.apply(Spec::default())?;
        let finishing: Vec<BackendKey> = self
            .plan
            .pools
            .values()
            .flat_map(|p| &p.members)
            .map(|m| m.key.clone())
            .collect();
        for key in finishing {
            self.event(Event::Drained(key))?;
        }
        let engine = self.wire.engine();
        let left = engine.backends(self.now).count();
        let deadline = engine.next_deadline();
        let clean = self.plan.pools.is_empty()
            && self.plan.services.is_empty()
            && left == 0
            && deadline.is_none();
        ensure(clean, "leak", || {
            format!("{left} backends, {deadline:?}, {:?}", self.plan)
        })
    }

    fn happen(&mut self, happening: Happening) -> Verdict {
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

    fn event(&mut self, event: Event) -> Verdict {
        self.wire.handle(event, self.now);
        self.perform()
    }

    fn apply(&mut self, spec: Spec) -> Verdict {
        let spec = Arc::new(spec);
        self.watch.note_spec(&self.spec, &spec, self.now);
        self.spec = Arc::clone(&spec);
        // A check that changed may be probed anew while a probe of the old one is on its way.
        self.probes.clear();
        self.event(Event::Apply(spec))?;
        let answer = self.answers.pop();
        ensure(answer == Some(Ok(())), "answer", || {
            format!("to an apply: {answer:?}")
        })?;
        check_plan(&self.plan, &self.spec, &self.watch)
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

    fn look(&mut self) -> Verdict {
        check_plan(&self.plan, &self.spec, &self.watch)?;
        let statuses: Vec<_> = self.wire.engine().backends(self.now).collect();
        let mut look = Look {
            now: self.now,
            spec: &self.spec,
            plan: &self.plan,
            servers: &self.servers,
            watch: &mut self.watch,
            judged: &mut self.story.judged,
        };
        look.check(&statuses)
    }

    /// Carries out what the engine wants done.
    fn perform(&mut self) -> Verdict {
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
            if finishes && self.dice.percent(70) {
                let after = self.dice.millis(0, 3_000);
                self.plan_for(after, Happening::Drained(member.key.clone()));
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
                _ => result.outcome = Err(failure(control::engine::Failure::Local)),
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

pub(crate) fn duty(duty: Duty) -> &'static str {
    match duty {
        Duty::Take => "take",
        Duty::Finish { .. } => "finish",
        Duty::Avoid => "avoid",
    }
}
