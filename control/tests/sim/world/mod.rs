//! A world in virtual time: servers that come and go, a network that loses answers, operators, edits of the
//! configuration, and the engine in the midst of it.

mod happen;
mod perform;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use control::{
    engine::{Answer, Engine, Event},
    name::BackendKey,
    plan::Plan,
    spec::Spec,
    time::Instant,
};

use self::happen::Happening;
use crate::{
    config::Config,
    dice::Dice,
    oracle::{Judged, Look, Verdict, Violation, check_plan, ensure},
    servers::{self, Server},
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
}
