//! The engine: events in, actions out, and the plan between them.
//!
//! Sans I/O: [`Event`] is all that can happen to a node, [`Action`] all that it can do. The daemon turns
//! sockets and timers into events and carries actions out; the simulator (`control/tests/sim`) does the same in
//! virtual time. The loop around it is always the same:
//!
//! ```text
//! loop {
//!     while let Some(action) = engine.poll_action() { carry it out (that is: queue it to who does) }
//!     wait for an event until engine.next_deadline()
//!     engine.handle(event, now)  or  engine.handle_timeout(now)
//! }
//! ```
//!
//! However many events came in between, one plan follows, and only of the pools they touched; if nothing
//! differs, none.

mod apply;
mod event;
mod invariants;
mod operate;
mod replan;
#[cfg(test)]
mod tests;
mod timers;
mod ward;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

pub use self::event::{
    Action, Answer, Event, Failure, Operation, PassiveSample, ProbeFailure, ProbeResult, Refusal,
};
use self::ward::Ward;
use crate::{
    health::{
        backend::{Means, Plane},
        chance::Chance,
    },
    name::{BackendKey, Name},
    plan::Plan,
    role::{Role, RoleChange},
    spec::Spec,
    status::{BackendStatus, Saved, SavedBackend},
    time::Instant,
};

/// Names a backend for as long as it lives; another may have it after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BackendId(usize);

/// The state of a node and what follows from it.
#[derive(Debug)]
pub struct Engine {
    spec: Arc<Spec>,
    ward: Ward,
    plan: Arc<Plan>,
    /// Pools whose plan may differ.
    dirty: BTreeSet<Name>,
    /// Whether services or what they share may differ.
    services_changed: bool,
    actions: VecDeque<Action>,
    /// They follow the plan that carries out what was asked.
    answers: VecDeque<Answer>,
    chance: Chance,
    last_probe_id: u64,
    now: Instant,
    /// What the process before this one knew, until the first configuration.
    saved: BTreeMap<BackendKey, SavedBackend>,
    /// What the network made of this node.
    roles: BTreeMap<Name, Role>,
}

impl Engine {
    /// An engine with an empty configuration and plan. `seed` moves its probes within their jitter.
    #[must_use]
    pub fn new(seed: u64, now: Instant) -> Self {
        Self {
            spec: Arc::default(),
            ward: Ward::default(),
            plan: Arc::default(),
            dirty: BTreeSet::new(),
            services_changed: false,
            actions: VecDeque::new(),
            answers: VecDeque::new(),
            chance: Chance::new(seed),
            last_probe_id: 0,
            now,
            saved: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }

    /// An engine that goes on from what another process had [exported](Self::export): backends of its first
    /// configuration begin as they were there; what is saved of others is dropped.
    #[must_use]
    pub fn restore(seed: u64, now: Instant, saved: Saved) -> Self {
        let saved = saved
            .backends
            .into_iter()
            .map(|backend| (backend.key.clone(), backend));
        Self {
            saved: saved.collect(),
            ..Self::new(seed, now)
        }
    }

    /// Takes in what happened. Time does not go back: a `now` before that of an earlier call counts as that.
    pub fn handle(&mut self, event: Event, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        match event {
            Event::Apply(spec) => {
                self.apply(spec, now);
                self.answers.push_back(Ok(()));
            }
            Event::Operate(operation) => {
                let answer = self.operate(operation, now);
                self.answers.push_back(answer);
            }
            Event::Probed {
                backend,
                check,
                id,
                result,
            } => self.handle_probed(&backend, check, id, result, now),
            Event::Agent { backend, id, reply } => self.handle_agent(&backend, id, reply, now),
            Event::Traffic(sample) => self.handle_traffic(&sample, now),
            Event::Drained(backend) => self.handle_drained(&backend, Plane::UserSpace, now),
            Event::DrainedInKernel(backend) => self.handle_drained(&backend, Plane::Kernel, now),
            Event::Role(change) => self.handle_role(change),
        }
        self.check_invariants();
    }

    /// Does what is due. To be called when [`Self::next_deadline`] has come; calling it early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        while let Some(id) = self.ward.timers.pop_due(now) {
            self.ward.forget_deadline(id);
            let Some(bed) = self.ward.beds.get_mut(id.0) else {
                continue;
            };
            bed.backend.handle_timeout(
                now,
                &mut Means {
                    chance: &mut self.chance,
                    last_id: &mut self.last_probe_id,
                    actions: &mut self.actions,
                },
            );
            self.settle(id, now);
            self.discharge_if_gone(id, now);
        }
        self.check_invariants();
    }

    /// When [`Self::handle_timeout`] is to be called; none: only after another event.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ward.timers.next()
    }

    /// What is to be done next; none: nothing until the next event or deadline. Transitions and probes come
    /// first, then one plan for all that happened, then the answers to what was asked.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if let Some(plan) = self.replan() {
            return Some(Action::Plan(plan));
        }
        self.answers.pop_front().map(Action::Answer)
    }

    /// The plan last handed out by [`Self::poll_action`].
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The configuration in force.
    #[must_use]
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// All backends, by pool name and then in config order, those that were removed and still drain last.
    pub fn backends(&self, now: Instant) -> impl Iterator<Item = BackendStatus> + '_ {
        let ids = self.ward.pools.values().flat_map(|pool| &pool.members);
        ids.filter_map(move |id| Some(self.ward.backend(*id)?.status(now)))
    }

    /// One backend.
    #[must_use]
    pub fn backend(&self, key: &BackendKey, now: Instant) -> Option<BackendStatus> {
        let id = self.ward.find(key)?;
        Some(self.ward.backend(id)?.status(now))
    }

    /// What a process that takes over must know: health and operators' words, not the configuration.
    #[must_use]
    pub fn export(&self, now: Instant) -> Saved {
        let backends = self.ward.beds.iter().map(|(_, bed)| &bed.backend);
        let kept = backends.filter(|backend| !backend.is_removed());
        Saved {
            backends: kept.map(|backend| backend.save(now)).collect(),
        }
    }

    /// What this node is for a vip; none: nothing was heard of it yet.
    #[must_use]
    pub fn role(&self, vip: &Name) -> Option<Role> {
        self.roles.get(vip).copied()
    }

    /// No plane's part depends on the role today: a backup is armed like a master.
    fn handle_role(&mut self, change: RoleChange) {
        match change.role {
            Some(role) => drop(self.roles.insert(change.vip, role)),
            None => drop(self.roles.remove(&change.vip)),
        }
    }

    fn handle_probed(
        &mut self,
        key: &BackendKey,
        check: usize,
        id: u64,
        result: ProbeResult,
        now: Instant,
    ) {
        let Some(backend_id) = self.ward.find(key) else {
            return;
        };
        if let Some(backend) = self.ward.backend_mut(backend_id) {
            backend.handle_probed(check, id, result, now, &mut self.chance);
        }
        self.settle(backend_id, now);
    }

    fn handle_agent(
        &mut self,
        key: &BackendKey,
        id: u64,
        reply: Result<String, ProbeFailure>,
        now: Instant,
    ) {
        let Some(backend_id) = self.ward.find(key) else {
            return;
        };
        if let Some(backend) = self.ward.backend_mut(backend_id) {
            backend.handle_agent(id, reply, now);
        }
        self.settle(backend_id, now);
    }

    fn handle_traffic(&mut self, sample: &PassiveSample, now: Instant) {
        let Some(id) = self.ward.find(&sample.backend) else {
            return;
        };
        let proposal = self
            .ward
            .backend_mut(id)
            .and_then(|b| b.handle_sample(sample, now));
        let Some(why) = proposal.filter(|_| self.can_spare(id)) else {
            return;
        };
        if let Some(backend) = self.ward.backend_mut(id) {
            backend.eject(why, now);
        }
        self.settle(id, now);
    }

    /// Whether a pool can do without a backend: not past its share of ejections, and never without its last one
    /// that is fit, for a bad one is better than none.
    fn can_spare(&self, id: BackendId) -> bool {
        let others = |pool: &ward::Pool| pool.tally.fit >= 2;
        let room = |pool: &ward::Pool| pool.tally.ejected < pool.most_ejected();
        self.ward
            .pool_of(id)
            .is_some_and(|pool| room(pool) && others(pool))
    }

    fn handle_drained(&mut self, key: &BackendKey, plane: Plane, now: Instant) {
        let Some(id) = self.ward.find(key) else {
            return;
        };
        if let Some(backend) = self.ward.backend_mut(id) {
            backend.handle_drained(plane);
        }
        self.discharge_if_gone(id, now);
    }

    fn discharge_if_gone(&mut self, id: BackendId, now: Instant) {
        if let Some(backend) = self.ward.backend(id).filter(|b| b.is_gone(now)) {
            self.dirty.insert(backend.key.pool.clone());
            self.ward.discharge(id);
        }
    }

    /// Draws the conclusions from whatever was done to a backend.
    fn settle(&mut self, id: BackendId, now: Instant) {
        let settled = self.ward.settle(id, now);
        self.dirty.extend(settled.replan);
        self.actions
            .extend(settled.transition.map(Action::Transition));
    }
}
