//! What may be expected of a backend, from what the world itself did to it, and by when.

use std::{collections::BTreeMap, time::Duration};

use control::{
    engine::Operation,
    health::{MIN_INTERVAL, PROBE_GRACE},
    name::BackendKey,
    spec::{AgentSpec, CheckSpec, PoolSpec, Spec},
    time::Instant,
};

/// What the world did to the backends, beyond what became of their servers.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// When something last happened that lets a check's counts start anew, or that no count can foresee.
    disturbed: BTreeMap<BackendKey, Instant>,
    pub(crate) orders: BTreeMap<BackendKey, Order>,
}

/// What operators have said of a backend, as long as it is configured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    pub(crate) state: Option<Stand>,
    pub(crate) weight: Option<u32>,
    /// It was enabled at some time: the configuration's `disabled` and the agent may be overruled.
    pub(crate) enabled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Drain,
    Disable,
}

impl Watch {
    pub(crate) fn disturb(&mut self, key: &BackendKey, now: Instant) {
        self.disturbed.insert(key.clone(), now);
    }

    pub(crate) fn disturb_all(&mut self, now: Instant) {
        self.disturbed.values_mut().for_each(|at| *at = now);
    }

    pub(crate) fn disturbed(&self, key: &BackendKey) -> Instant {
        self.disturbed.get(key).copied().unwrap_or_default()
    }

    /// An operation that was answered with yes.
    pub(crate) fn note_operation(&mut self, operation: &Operation, now: Instant) {
        let key = operation.backend();
        let order = self.orders.entry(key.clone()).or_default();
        match operation {
            Operation::Drain(..) => order.state = Some(Stand::Drain),
            Operation::Disable(_) => order.state = Some(Stand::Disable),
            Operation::Enable(_) => {
                order.state = None;
                order.enabled = true;
            }
            Operation::Weight(_, weight) => order.weight = *weight,
        }
        if !matches!(operation, Operation::Weight(..)) {
            self.disturb(&key.clone(), now);
        }
    }

    /// A new configuration: orders end with their backends; changed checks count anew.
    pub(crate) fn note_spec(&mut self, old: &Spec, new: &Spec, now: Instant) {
        let has = |spec: &Spec, key: &BackendKey| {
            let pool = spec.pool(&key.pool);
            pool.is_some_and(|pool| pool.backends.iter().any(|b| b.address == key.address))
        };
        self.orders.retain(|key, _| has(new, key));
        for pool in &new.pools {
            let recheck = old
                .pool(&pool.name)
                .is_none_or(|old| old.checks != pool.checks || old.agent != pool.agent);
            for backend in &pool.backends {
                let key = BackendKey {
                    pool: pool.name.clone(),
                    address: backend.address,
                };
                if recheck || !has(old, &key) {
                    self.disturb(&key, now);
                }
            }
        }
    }
}

/// The longest that one probe may keep a check waiting: its timeout and the engine's grace.
fn answer(check: &CheckSpec) -> Duration {
    check.timeout + PROBE_GRACE
}

/// The longest between the end of a probe and the start of the next.
fn pause(check: &CheckSpec) -> Duration {
    let longest = check.interval.max(check.interval_down);
    let jitter = longest * u32::from(check.jitter.thousandths()) / 1000;
    (longest + jitter).max(MIN_INTERVAL)
}

/// After this time a server that stays dead has been taken down: a probe on its way when it died may still pass,
/// then `fall` probes fail, each up to a pause and an unanswered probe after the one before. One check that
/// fails is enough, so the quickest counts.
pub(crate) fn detection_bound(pool: &PoolSpec) -> Option<Duration> {
    let bound = |c: &CheckSpec| answer(c) + (pause(c) + answer(c)) * u32::from(c.fall);
    pool.checks.iter().map(bound).min()
}

/// After this time a server that stays alive has been taken up: a probe on its way when it came back may still
/// fail, then `rise` probes pass. All checks must pass, so the slowest counts.
pub(crate) fn recovery_bound(pool: &PoolSpec) -> Duration {
    let bound = |c: &CheckSpec| answer(c) + (pause(c) + answer(c)) * u32::from(c.rise);
    pool.checks.iter().map(bound).max().unwrap_or_default()
}

/// After this time the engine knows what an agent says that keeps saying it.
pub(crate) fn agent_bound(agent: &AgentSpec) -> Duration {
    (agent.timeout + PROBE_GRACE) * 2 + agent.interval
}
