//! What must hold of every plan, whatever happened. Each oracle knows only what the world did, not how the
//! engine came to its answer.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use control::{
    health::{AgentWish, State},
    name::BackendKey,
    plan::{Duty, MemberPlan, Plan, PoolPlan},
    spec::{BackendSpec, PoolSpec, Share, Spec},
    status::BackendStatus,
    time::Instant,
};

use crate::{
    servers::Server,
    watch::{Stand, Watch, agent_bound, detection_bound, recovery_bound},
};

/// An oracle that was contradicted.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) oracle: &'static str,
    pub(crate) detail: String,
}

pub(crate) type Verdict = Result<(), Violation>;

pub(crate) fn ensure(
    holds: bool,
    oracle: &'static str,
    detail: impl FnOnce() -> String,
) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(Violation {
        oracle,
        detail: detail(),
    })
}

/// How often the oracles that wait for a bound had something to say; a world in which they never do proves
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) dead: u64,
    pub(crate) live: u64,
    pub(crate) ejected: u64,
    pub(crate) ordered: u64,
}

/// What a plan must be after another: later, different, and with the same parts where they are equal.
pub(crate) fn check_succession(before: &Plan, after: &Plan) -> Verdict {
    ensure(
        after.generation == before.generation + 1,
        "generation",
        || format!("{} after {}", after.generation, before.generation),
    )?;
    let mut differs = !Arc::ptr_eq(&before.proxy, &after.proxy);
    differs |= !before.pools.keys().eq(after.pools.keys());
    differs |= !before.services.keys().eq(after.services.keys());
    for (name, new) in &after.pools {
        let Some(old) = before.pools.get(name) else {
            continue;
        };
        let same = Arc::ptr_eq(old, new);
        differs |= !same;
        ensure(same || old != new, "parts", || {
            format!("pool {name} was made anew, but is equal")
        })?;
    }
    for (name, new) in &after.services {
        let Some(old) = before.services.get(name) else {
            continue;
        };
        let same = Arc::ptr_eq(old, new);
        differs |= !same;
        ensure(same || old != new, "parts", || {
            format!("service {name} was made anew, but is equal")
        })?;
    }
    ensure(differs, "no-change", || {
        "a plan that changes nothing".into()
    })
}

/// What a plan must say of what was asked.
pub(crate) fn check_plan(plan: &Plan, spec: &Spec, watch: &Watch) -> Verdict {
    let asked: BTreeMap<_, _> = spec.services.iter().map(|s| (&s.name, s)).collect();
    let services_match = plan.services.len() == asked.len()
        && plan
            .services
            .iter()
            .all(|(name, plan)| asked.get(name) == Some(&&plan.spec));
    ensure(services_match, "services", || {
        format!("{:?}", plan.services.keys())
    })?;

    for pool in &spec.pools {
        let planned = plan.pools.get(&pool.name);
        ensure(planned.is_some(), "pools", || {
            format!("no plan for pool {}", pool.name)
        })?;
        if let Some(planned) = planned {
            check_members(pool, planned, watch)?;
        }
    }
    for (name, planned) in plan
        .pools
        .iter()
        .filter(|(name, _)| spec.pool(name).is_none())
    {
        let finish = planned
            .members
            .iter()
            .all(|m| matches!(m.duty, Duty::Finish { .. }));
        ensure(finish && !planned.members.is_empty(), "removed", || {
            format!("pool {name}: {planned:?}")
        })?;
    }
    Ok(())
}

fn check_members(pool: &PoolSpec, planned: &PoolPlan, watch: &Watch) -> Verdict {
    ensure(*planned.spec == *pool, "pools", || {
        format!("{}: not what was asked", pool.name)
    })?;
    let configured = pool.backends.len();
    let in_order = planned.members.len() >= configured
        && pool
            .backends
            .iter()
            .zip(&planned.members)
            .all(|(b, m)| b.address == m.address());
    ensure(in_order, "members", || {
        format!("{}: {:?}", pool.name, planned.members)
    })?;
    for trailing in &planned.members[configured..] {
        let finishes = matches!(trailing.duty, Duty::Finish { .. });
        ensure(finishes, "removed", || format!("{trailing:?}"))?;
    }
    ensure(
        !planned.panic || pool.panic_below > Share::NONE,
        "panic",
        || format!("{} panics, though it never should", pool.name),
    )?;
    for (backend, member) in pool.backends.iter().zip(&planned.members) {
        check_orders(pool, backend, member, watch)?;
    }
    Ok(())
}

/// Operators win over the configuration, and the configuration over health.
fn check_orders(
    pool: &PoolSpec,
    backend: &BackendSpec,
    member: &MemberPlan,
    watch: &Watch,
) -> Verdict {
    let order = watch.orders.get(&member.key).copied().unwrap_or_default();
    let obeyed = match order.state {
        Some(Stand::Drain) => matches!(member.duty, Duty::Finish { .. }),
        Some(Stand::Disable) => member.duty == Duty::Avoid,
        None if backend.disabled && !order.enabled => member.duty == Duty::Avoid,
        // Nobody but an agent could have asked for a drain.
        None => pool.agent.is_some() || !matches!(member.duty, Duty::Finish { .. }),
    };
    ensure(obeyed, "orders", || format!("{order:?} but {member:?}"))?;
    let weight = match order.weight {
        Some(weight) => Some(weight),
        None if pool.agent.is_none() => Some(backend.weight),
        None => None,
    };
    ensure(
        weight.is_none_or(|weight| weight == member.weight),
        "weight",
        || format!("{weight:?} asked, but {member:?}"),
    )
}

/// What the world knows when it looks at all backends.
pub(crate) struct Look<'a> {
    pub(crate) now: Instant,
    pub(crate) spec: &'a Spec,
    pub(crate) plan: &'a Plan,
    pub(crate) servers: &'a BTreeMap<IpAddr, Server>,
    pub(crate) watch: &'a mut Watch,
    pub(crate) judged: &'a mut Judged,
}

impl Look<'_> {
    /// What must hold of the backends' health by now.
    pub(crate) fn check(&mut self, statuses: &[BackendStatus]) -> Verdict {
        for pool in &self.spec.pools {
            let members = statuses
                .iter()
                .filter(|s| s.pool == pool.name && !s.removed);
            let members: Vec<&BackendStatus> = members.collect();
            self.check_ejections(pool, &members)?;
            let Some(planned) = self.plan.pools.get(&pool.name) else {
                continue;
            };
            for (status, member) in members.iter().zip(&planned.members) {
                self.check_member(pool, planned.panic, status, member)?;
            }
        }
        Ok(())
    }

    fn check_ejections(&mut self, pool: &PoolSpec, members: &[&BackendStatus]) -> Verdict {
        let ejected = members
            .iter()
            .filter(|s| s.traffic.ejected.is_some())
            .count();
        let share = pool.passive.max_ejected;
        let least = usize::from(share > Share::NONE && members.len() >= 2);
        let most = (members.len() * usize::from(share.thousandths()) / 1000).max(least);
        self.judged.ejected += ejected as u64;
        ensure(ejected <= most, "ejections", || {
            format!("{}: {ejected} of {} ejected", pool.name, members.len())
        })
    }

    fn check_member(
        &mut self,
        pool: &PoolSpec,
        panic: bool,
        status: &BackendStatus,
        member: &MemberPlan,
    ) -> Verdict {
        let key = &member.key;
        self.judged.ordered += u64::from(self.watch.orders.contains_key(key));
        let held = status.checks.iter().any(|check| check.held.is_some());
        if held || matches!(status.state, State::Disabled | State::Draining) {
            self.watch.disturb(key, self.now);
        }
        let Some(server) = self.servers.get(&key.address.ip()) else {
            return Ok(());
        };
        let calm = self
            .now
            .saturating_since(server.since.max(self.watch.disturbed(key)));
        let described = || format!("{key} {calm:?}: {member:?}, {status:?}");

        if !server.is_alive() {
            if detection_bound(pool).is_some_and(|bound| calm > bound) && !panic {
                self.judged.dead += 1;
                return ensure(member.duty != Duty::Take, "dead-avoided", described);
            }
            return Ok(());
        }
        self.check_agent(pool, status, server, key)?;
        let agent = status.agent.as_ref().map(|agent| &agent.word);
        let spoken_against = agent.is_some_and(|w| w.down.is_some() || w.wish != AgentWish::Ready);
        let kept_out = spoken_against
            || status.traffic.ejected.is_some()
            || matches!(status.state, State::Disabled | State::Draining);
        if !kept_out && calm > recovery_bound(pool) {
            self.judged.live += 1;
            return ensure(member.duty == Duty::Take, "live-used", described);
        }
        Ok(())
    }

    /// What an agent goes on saying is known in time, unless it is not asked.
    fn check_agent(
        &self,
        pool: &PoolSpec,
        status: &BackendStatus,
        server: &Server,
        key: &BackendKey,
    ) -> Verdict {
        let (Some(spec), Some(agent)) = (&pool.agent, &status.agent) else {
            return Ok(());
        };
        let asked_since = server
            .since
            .max(server.says_since)
            .max(self.watch.disturbed(key));
        let known = self.now.saturating_since(asked_since) > agent_bound(spec);
        if !known || server.says != Server::WELL || status.state == State::Disabled {
            return Ok(());
        }
        let heard = agent.word.down.is_none() && agent.word.wish == AgentWish::Ready;
        ensure(heard, "agent-heard", || format!("{key}: {agent:?}"))
    }
}
