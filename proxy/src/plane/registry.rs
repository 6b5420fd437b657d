//! What outlives plans: counters and loads by name, forgotten when neither a plan nor a connection uses them.

use std::{collections::BTreeMap, sync::Arc};

use control::{
    name::{BackendKey, Name},
    plan::{Plan, PoolPlan},
};

use super::update::{PoolPart, ServicePart};
use crate::{
    shared::{SharedBackend, SharedPool, SharedService},
    stats::{PoolStats, Stats},
};

/// Services, pools and backends by name, and the parts of the present plan.
pub(super) struct Registry {
    workers: usize,
    services: BTreeMap<Name, Arc<SharedService>>,
    pools: BTreeMap<Name, Arc<SharedPool>>,
    backends: BTreeMap<BackendKey, Arc<SharedBackend>>,
    pub(super) service_parts: BTreeMap<Name, Arc<ServicePart>>,
    pub(super) pool_parts: BTreeMap<Name, Arc<PoolPart>>,
}

impl Registry {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            services: BTreeMap::new(),
            pools: BTreeMap::new(),
            backends: BTreeMap::new(),
            service_parts: BTreeMap::new(),
            pool_parts: BTreeMap::new(),
        }
    }

    /// Becomes what a plan says. Parts that did not change stay the same.
    pub(super) fn follow(&mut self, plan: &Plan) {
        for (name, pool) in &plan.pools {
            let before = self.pool_parts.get(name);
            if !before.is_some_and(|before| Arc::ptr_eq(&before.plan, pool)) {
                let part = self.pool_part(name, pool);
                self.pool_parts.insert(name.clone(), Arc::new(part));
            }
        }
        self.pool_parts
            .retain(|name, _| plan.pools.contains_key(name));
        for (name, service) in &plan.services {
            let before = self.service_parts.get(name);
            if !before.is_some_and(|before| Arc::ptr_eq(&before.plan, service)) {
                let shared = entry(&mut self.services, name, |name| {
                    SharedService::new(name.clone(), self.workers)
                });
                let part = ServicePart::new(service, shared);
                self.service_parts.insert(name.clone(), Arc::new(part));
            }
        }
        self.service_parts
            .retain(|name, _| plan.services.contains_key(name));
        self.forget();
    }

    fn pool_part(&mut self, name: &Name, plan: &Arc<PoolPlan>) -> PoolPart {
        let workers = self.workers;
        let shared = entry(&mut self.pools, name, |name| {
            SharedPool::new(name.clone(), workers)
        });
        let backends = plan.members.iter().map(|member| {
            entry(&mut self.backends, &member.key, |key| {
                SharedBackend::new(key.clone(), workers)
            })
        });
        let backends = backends.collect();
        let previous = self.pool_parts.get(name).map(|part| &*part.members);
        PoolPart::new(plan, shared, backends, previous)
    }

    /// Forgets what nobody but the registry holds.
    fn forget(&mut self) {
        self.services
            .retain(|_, service| Arc::strong_count(service) > 1);
        self.pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        self.backends
            .retain(|_, backend| Arc::strong_count(backend) > 1);
    }

    /// The sums of services, pools and backends.
    pub(super) fn stats(&self) -> Stats {
        let services = self.services.iter();
        let backends = self.backends.iter();
        let pools = self.pools.iter();
        Stats {
            services: services
                .map(|(name, s)| (name.clone(), s.stats()))
                .collect(),
            backends: backends
                .map(|(key, b)| (key.clone(), b.summary()))
                .collect(),
            pools: pools
                .map(|(name, p)| (name.clone(), pool_stats(p)))
                .collect(),
            ..Stats::default()
        }
    }
}

fn pool_stats(pool: &SharedPool) -> PoolStats {
    PoolStats {
        queued: pool.waiting.load(std::sync::atomic::Ordering::Relaxed),
    }
}

/// What is known by that name, or a new one.
fn entry<K: Ord + Clone, V>(
    known: &mut BTreeMap<K, Arc<V>>,
    key: &K,
    new: impl FnOnce(&K) -> V,
) -> Arc<V> {
    if let Some(known) = known.get(key) {
        return Arc::clone(known);
    }
    let made = Arc::new(new(key));
    known.insert(key.clone(), Arc::clone(&made));
    made
}
