//! A new configuration: which backends and pools come, stay and go.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    BackendId, Engine,
    ward::{Pool, Tally},
};
use crate::{
    health::{
        backend::{Backend, Regime},
        chance::Chance,
    },
    name::{BackendKey, Name},
    spec::{BackendSpec, PoolSpec, ServiceKind, ServiceSpec, Spec},
    time::Instant,
};

/// First probes of new backends come at this pace, unless their interval is over sooner: ten new backends are
/// known within ten milliseconds, ten thousand do not start ten thousand connections at once.
const FIRST_PROBE_PACE: Duration = Duration::from_millis(1);

impl Engine {
    pub(super) fn apply(&mut self, spec: Arc<Spec>, now: Instant) {
        if *self.spec == *spec {
            return;
        }
        let changed = self.changed_pools(&spec);
        let first_probes = FirstProbes::of(self, &changed);
        self.remove_absent_pools(&spec, now);
        for pool in changed {
            self.adopt_pool(&pool, &first_probes, now);
        }
        // What is known of backends that this first configuration does not have is of no more use.
        self.saved.clear();
        self.services_changed = true;
        self.spec = spec;
        self.note_forwarded(now);
    }

    /// Tells backends whether a service that the kernel forwards leads to them; those that waited for the kernel
    /// alone need not wait any longer once none does.
    fn note_forwarded(&mut self, now: Instant) {
        let kernel = |service: &Arc<ServiceSpec>| match &service.kind {
            ServiceKind::Kernel(kernel) => Some(kernel.pool.clone()),
            _ => None,
        };
        let forwarded: BTreeSet<Name> = self.spec.services.iter().filter_map(kernel).collect();
        let mut done = Vec::new();
        for (name, pool) in &self.ward.pools {
            let is_forwarded = forwarded.contains(name);
            for id in &pool.members {
                let Some(bed) = self.ward.beds.get_mut(id.0) else {
                    continue;
                };
                if bed.backend.forwarded != is_forwarded {
                    bed.backend.forwarded = is_forwarded;
                    done.push(*id);
                }
            }
        }
        for id in done {
            self.discharge_if_gone(id, now);
        }
    }

    fn changed_pools(&self, spec: &Spec) -> Vec<Arc<PoolSpec>> {
        let unchanged = |new: &Arc<PoolSpec>| {
            let old = self.ward.pools.get(&new.name);
            old.is_some_and(|old| !old.removed && same(&old.regime.pool, new))
        };
        spec.pools
            .iter()
            .filter(|new| !unchanged(new))
            .cloned()
            .collect()
    }

    fn remove_absent_pools(&mut self, spec: &Spec, now: Instant) {
        let kept: BTreeSet<&Name> = spec.pools.iter().map(|p| &p.name).collect();
        let absent = |(name, pool): &(&Name, &Pool)| !pool.removed && !kept.contains(name);
        let absent = self.ward.pools.iter().filter(absent);
        let absent: Vec<Name> = absent.map(|(name, _)| name.clone()).collect();
        for name in absent {
            self.remove_pool(&name, now);
        }
    }

    fn remove_pool(&mut self, name: &Name, now: Instant) {
        self.dirty.insert(name.clone());
        let Some(pool) = self.ward.pools.get_mut(name) else {
            return;
        };
        pool.removed = true;
        let members = pool.members.clone();
        if members.is_empty() {
            self.ward.pools.remove(name);
        }
        for id in members {
            self.remove_backend(id, now);
        }
    }

    fn remove_backend(&mut self, id: BackendId, now: Instant) {
        if let Some(backend) = self.ward.backend_mut(id).filter(|b| !b.is_removed()) {
            backend.remove(now);
            self.settle(id, now);
            self.discharge_if_gone(id, now);
        }
    }

    fn adopt_pool(&mut self, spec: &Arc<PoolSpec>, first_probes: &FirstProbes, now: Instant) {
        let regime = Regime::new(Arc::clone(spec));
        let pool = self
            .ward
            .pools
            .entry(spec.name.clone())
            .or_insert_with(|| Pool {
                regime: Arc::clone(&regime),
                removed: false,
                members: Vec::new(),
                tally: Tally::default(),
            });
        pool.regime = Arc::clone(&regime);
        pool.removed = false;
        let known = |backend: &BackendSpec| self.saved.contains_key(&key_of(spec, backend));
        let at_work = pool.tally.configured > 0 || spec.backends.iter().any(known);
        let before = std::mem::take(&mut pool.members);
        self.dirty.insert(spec.name.clone());

        let kept: Vec<BackendId> = spec
            .backends
            .iter()
            .map(|backend| self.adopt_backend(backend, &regime, at_work, first_probes, now))
            .collect();
        let wanted: BTreeSet<BackendId> = kept.iter().copied().collect();
        let gone = before.into_iter().filter(|id| !wanted.contains(id));
        let gone: Vec<BackendId> = gone.collect();
        if let Some(pool) = self.ward.pools.get_mut(&spec.name) {
            pool.members = kept.iter().chain(&gone).copied().collect();
        }
        for id in gone {
            self.remove_backend(id, now);
        }
        self.return_surplus_ejections(&spec.name, now);
    }

    fn adopt_backend(
        &mut self,
        spec: &BackendSpec,
        regime: &Arc<Regime>,
        at_work: bool,
        first_probes: &FirstProbes,
        now: Instant,
    ) -> BackendId {
        let key = key_of(&regime.pool, spec);
        let due = first_probes.next(regime, &mut self.chance, now);
        if let Some(id) = self.ward.find(&key) {
            if let Some(backend) = self.ward.backend_mut(id) {
                backend.configure(spec.clone(), Arc::clone(regime), due);
            }
            self.settle(id, now);
            return id;
        }
        let mut backend = Backend::new(spec.clone(), Arc::clone(regime), !at_work, due, now);
        if let Some(saved) = self.saved.remove(&key) {
            let interval = regime.pool.checks.iter().map(|c| c.interval).min();
            let due = now + self.chance.within(interval.unwrap_or_default());
            backend.restore(&saved, due, now);
        }
        self.ward.admit(backend)
    }

    /// A pool that shrank may have more ejected than its share allows: those soonest due come back now.
    fn return_surplus_ejections(&mut self, name: &Name, now: Instant) {
        let Some(pool) = self.ward.pools.get(name) else {
            return;
        };
        let surplus = pool.tally.ejected.saturating_sub(pool.most_ejected());
        if surplus == 0 {
            return;
        }
        let ejected_until = |id: &BackendId| Some((self.ward.backend(*id)?.ejected_until()?, *id));
        let mut ejected: Vec<_> = pool.members.iter().filter_map(ejected_until).collect();
        ejected.sort_unstable();
        for (_, id) in ejected.into_iter().take(surplus) {
            if let Some(backend) = self.ward.backend_mut(id) {
                backend.end_ejection(now);
            }
            self.settle(id, now);
        }
    }
}

impl Pool {
    /// How many of its backends may be ejected at a time: the configured share, or one if there are two.
    pub(super) fn most_ejected(&self) -> usize {
        let share = self.regime.pool.passive.max_ejected;
        let least = usize::from(self.tally.configured >= 2 && share.thousandths() > 0);
        share.of(self.tally.configured).max(least)
    }
}

fn same(old: &Arc<PoolSpec>, new: &Arc<PoolSpec>) -> bool {
    Arc::ptr_eq(old, new) || old == new
}

/// When the first probes of what a configuration brings are made.
struct FirstProbes {
    span: Duration,
}

impl FirstProbes {
    fn of(engine: &Engine, changed: &[Arc<PoolSpec>]) -> Self {
        let count: usize = changed
            .iter()
            .map(|pool| engine.count_first_probes(pool))
            .sum();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            span: FIRST_PROBE_PACE.saturating_mul(count),
        }
    }

    fn next(&self, regime: &Regime, chance: &mut Chance, now: Instant) -> Instant {
        let interval = regime.pool.checks.iter().map(|check| check.interval).min();
        now + chance.within(interval.map_or(self.span, |interval| interval.min(self.span)))
    }
}

impl Engine {
    /// How many backends of a pool are new, or to be checked otherwise than before.
    fn count_first_probes(&self, spec: &PoolSpec) -> usize {
        let old = self
            .ward
            .pools
            .get(&spec.name)
            .map(|pool| &pool.regime.pool);
        if old.is_none_or(|old| old.checks != spec.checks || old.agent != spec.agent) {
            return spec.backends.len();
        }
        let is_new = |backend: &&BackendSpec| self.ward.find(&key_of(spec, backend)).is_none();
        spec.backends.iter().filter(is_new).count()
    }
}

fn key_of(pool: &PoolSpec, backend: &BackendSpec) -> BackendKey {
    BackendKey {
        pool: pool.name.clone(),
        address: backend.address,
    }
}
