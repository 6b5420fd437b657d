//! The plan after what happened: new where it differs, the very same parts where it does not.

use std::{collections::BTreeMap, sync::Arc};

use super::Engine;
use crate::{
    name::Name,
    plan::{Plan, PoolPlan, ServicePlan, VipPlan, plan_pool, plan_vip},
    spec::ServiceSpec,
};

impl Engine {
    /// The next plan, if it differs from the last.
    pub(super) fn replan(&mut self) -> Option<Arc<Plan>> {
        if self.dirty.is_empty() && !self.services_changed {
            return None;
        }
        let pools = self.changed_pool_plans();
        let services = self.changed_services();
        let vips = self.changed_vips();
        let proxy =
            (*self.plan.proxy != self.spec.proxy).then(|| Arc::new(self.spec.proxy.clone()));
        let l4 = (*self.plan.l4 != self.spec.l4).then(|| Arc::new(self.spec.l4.clone()));
        self.check_invariants();
        let shared = proxy.is_some() || l4.is_some();
        if pools.is_empty() && services.is_none() && vips.is_none() && !shared {
            return None;
        }

        let mut next = Plan::clone(&self.plan);
        next.generation += 1;
        for (name, pool) in pools {
            match pool {
                Some(pool) => next.pools.insert(name, Arc::new(pool)),
                None => next.pools.remove(&name),
            };
        }
        if let Some(services) = services {
            next.services = services;
        }
        if let Some(proxy) = proxy {
            next.proxy = proxy;
        }
        if let Some(l4) = l4 {
            next.l4 = l4;
        }
        if let Some(vips) = vips {
            next.vips = vips;
        }
        self.plan = Arc::new(next);
        Some(Arc::clone(&self.plan))
    }

    /// Plans of pools that differ from the last plan's; none: the pool is gone.
    fn changed_pool_plans(&mut self) -> Vec<(Name, Option<PoolPlan>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let planned = dirty.into_iter().map(|name| {
            let pool = self.plan_of(&name);
            (name, pool)
        });
        let last = &self.plan.pools;
        planned
            .filter(|(name, pool)| pool.as_ref() != last.get(name).map(Arc::as_ref))
            .collect()
    }

    fn plan_of(&self, name: &Name) -> Option<PoolPlan> {
        let pool = self.ward.pools.get(name)?;
        let beds = pool
            .members
            .iter()
            .filter_map(|id| self.ward.beds.get(id.0));
        let members: Vec<_> = beds.map(|bed| (&bed.backend.key, bed.fact)).collect();
        Some(plan_pool(&pool.regime.pool, &members, self.now))
    }

    /// All vips, if any differs from the last plan's.
    fn changed_vips(&self) -> Option<Arc<[Arc<VipPlan>]>> {
        let fit = |pool: &Name| self.ward.pools.get(pool).map_or(0, |pool| pool.tally.fit);
        let last = &self.plan.vips;
        let plan_of = |spec| {
            let plan = plan_vip(spec, &self.spec.services, fit);
            let kept = last.iter().find(|old| ***old == plan);
            kept.cloned().unwrap_or_else(|| Arc::new(plan))
        };
        let vips: Arc<[_]> = self.spec.vips.iter().map(plan_of).collect();
        (vips != *last).then_some(vips)
    }

    /// All services, if any differs from the last plan's.
    fn changed_services(&mut self) -> Option<BTreeMap<Name, Arc<ServicePlan>>> {
        if !std::mem::take(&mut self.services_changed) {
            return None;
        }
        let last = &self.plan.services;
        let plan_of = |spec: &Arc<ServiceSpec>| {
            let kept = last.get(&spec.name).filter(|old| old.spec == *spec);
            let plan = kept.cloned().unwrap_or_else(|| {
                Arc::new(ServicePlan {
                    spec: Arc::clone(spec),
                })
            });
            (spec.name.clone(), plan)
        };
        let services: BTreeMap<_, _> = self.spec.services.iter().map(plan_of).collect();
        let unchanged = services.len() == last.len()
            && services
                .values()
                .zip(last.values())
                .all(|(a, b)| Arc::ptr_eq(a, b));
        (!unchanged).then_some(services)
    }
}
