//! All backends by pool, and what must be kept in step with each: its deadline, its pool's tally, its pool's plan.

use std::{collections::BTreeMap, sync::Arc};

use slab::Slab;

use super::{BackendId, timers::Timers};
use crate::{
    health::{
        Transition,
        backend::{Backend, Regime},
    },
    name::{BackendKey, Name},
    plan::MemberFact,
    time::Instant,
};

/// All backends that are configured or still drain.
#[derive(Debug, Default)]
pub(super) struct Ward {
    pub(super) beds: Slab<Bed>,
    pub(super) ids: BTreeMap<BackendKey, BackendId>,
    pub(super) pools: BTreeMap<Name, Pool>,
    pub(super) timers: Timers,
}

/// One backend and what was last made known of it.
#[derive(Debug)]
pub(super) struct Bed {
    pub(super) backend: Backend,
    pub(super) fact: MemberFact,
    pub(super) ejected: bool,
    pub(super) deadline: Option<Instant>,
}

/// One pool: its backends, and counts of them that its rules ask for.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) regime: Arc<Regime>,
    /// The configuration no longer has it; its backends drain.
    pub(super) removed: bool,
    /// In config order, then those that were removed.
    pub(super) members: Vec<BackendId>,
    pub(super) tally: Tally,
}

/// How many of a pool's members are …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// … in the configuration.
    pub(super) configured: usize,
    /// … ejected.
    pub(super) ejected: usize,
    /// … fit for work: up, or trusted to be.
    pub(super) fit: usize,
}

impl Tally {
    fn change(&mut self, fact: &MemberFact, ejected: bool, step: fn(usize, usize) -> usize) {
        self.configured = step(self.configured, usize::from(!fact.removed));
        self.ejected = step(self.ejected, usize::from(ejected));
        self.fit = step(self.fit, usize::from(fact.is_fit()));
    }

    pub(super) fn count_in(&mut self, fact: &MemberFact, ejected: bool) {
        self.change(fact, ejected, |a, b| a + b);
    }

    fn count_out(&mut self, fact: &MemberFact, ejected: bool) {
        self.change(fact, ejected, |a, b| a - b);
    }
}

impl Ward {
    /// Takes a new backend in; the caller puts its id where it belongs among its pool's members.
    pub(super) fn admit(&mut self, backend: Backend) -> BackendId {
        let fact = backend.fact();
        let deadline = backend.deadline();
        let ejected = backend.is_ejected();
        if let Some(pool) = self.pools.get_mut(&backend.key.pool) {
            pool.tally.count_in(&fact, ejected);
        }
        let key = backend.key.clone();
        let id = BackendId(self.beds.insert(Bed {
            backend,
            fact,
            ejected,
            deadline,
        }));
        self.timers.replace(id, None, deadline);
        self.ids.insert(key, id);
        id
    }

    /// Lets a backend go; its pool too, if that was removed and has none left.
    pub(super) fn discharge(&mut self, id: BackendId) {
        let Some(bed) = self.beds.try_remove(id.0) else {
            return;
        };
        self.timers.replace(id, bed.deadline, None);
        let key = bed.backend.key;
        self.ids.remove(&key);
        let Some(pool) = self.pools.get_mut(&key.pool) else {
            return;
        };
        pool.tally.count_out(&bed.fact, bed.ejected);
        pool.members.retain(|member| *member != id);
        if pool.removed && pool.members.is_empty() {
            self.pools.remove(&key.pool);
        }
    }

    /// The backend of that key.
    pub(super) fn find(&self, key: &BackendKey) -> Option<BackendId> {
        self.ids.get(key).copied()
    }

    pub(super) fn backend(&self, id: BackendId) -> Option<&Backend> {
        self.beds.get(id.0).map(|bed| &bed.backend)
    }

    pub(super) fn backend_mut(&mut self, id: BackendId) -> Option<&mut Backend> {
        self.beds.get_mut(id.0).map(|bed| &mut bed.backend)
    }

    pub(super) fn pool_of(&self, id: BackendId) -> Option<&Pool> {
        self.pools.get(&self.backend(id)?.key.pool)
    }

    /// Draws the conclusions from whatever was done to a backend.
    pub(super) fn settle(&mut self, id: BackendId, now: Instant) -> Settled {
        let Some(bed) = self.beds.get_mut(id.0) else {
            return Settled::default();
        };
        let transition = bed.backend.settle(now);
        let deadline = bed.backend.deadline();
        self.timers.replace(id, bed.deadline, deadline);
        bed.deadline = deadline;
        let (fact, ejected) = (bed.backend.fact(), bed.backend.is_ejected());
        let replan = fact != bed.fact;
        if (replan || ejected != bed.ejected)
            && let Some(pool) = self.pools.get_mut(&bed.backend.key.pool)
        {
            pool.tally.count_out(&bed.fact, bed.ejected);
            pool.tally.count_in(&fact, ejected);
            (bed.fact, bed.ejected) = (fact, ejected);
        }
        Settled {
            replan: replan.then(|| bed.backend.key.pool.clone()),
            transition,
        }
    }

    /// The deadline of `id` was taken out of the timers.
    pub(super) fn forget_deadline(&mut self, id: BackendId) {
        if let Some(bed) = self.beds.get_mut(id.0) {
            bed.deadline = None;
        }
    }
}

/// What followed from a change of a backend.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The pool whose plan may differ now.
    pub(super) replan: Option<Name>,
    pub(super) transition: Option<Transition>,
}
