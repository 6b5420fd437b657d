//! The parts of a plan as workers take them: what is the same for all workers is made once, here.

use std::{collections::BTreeMap, os::fd::OwnedFd, sync::Arc, time::Duration};

use control::{
    balance::{Algorithm, Member, Members, SlowStart},
    name::Name,
    plan::{Duty, MemberPlan, PoolPlan, ServicePlan},
};

use super::sockets::SocketKey;
use crate::{
    http,
    shared::{SharedBackend, SharedPool, SharedService},
};

/// The sockets of one address: for each worker its own.
pub(crate) type PerWorkerSockets = Vec<Vec<Arc<OwnedFd>>>;

/// What every worker shall be. Parts that a change did not touch are the same `Arc` as before.
pub(crate) struct Update {
    pub(crate) generation: u64,
    pub(crate) services: BTreeMap<Name, Arc<ServicePart>>,
    pub(crate) pools: BTreeMap<Name, Arc<PoolPart>>,
    pub(crate) listening: BTreeMap<SocketKey, Listening>,
    /// The most connections of one worker.
    pub(crate) max_connections: u32,
    /// How long connections of a service that goes may go on.
    pub(crate) drain: Duration,
}

/// An address that is listened on.
#[derive(Clone)]
pub(crate) struct Listening {
    /// The service that it leads to.
    pub(crate) service: Name,
    pub(crate) sockets: PerWorkerSockets,
}

/// A service's part of the plan.
pub(crate) struct ServicePart {
    pub(crate) plan: Arc<ServicePlan>,
    pub(crate) shared: Arc<SharedService>,
    /// What HTTP makes of its configuration.
    pub(crate) http: Option<Arc<http::Rules>>,
}

impl ServicePart {
    pub(super) fn new(plan: &Arc<ServicePlan>, shared: Arc<SharedService>) -> Self {
        let http = http::compile(&plan.spec);
        Self {
            plan: Arc::clone(plan),
            shared,
            http,
        }
    }
}

/// A pool's part of the plan.
pub(crate) struct PoolPart {
    pub(crate) plan: Arc<PoolPlan>,
    pub(crate) shared: Arc<SharedPool>,
    /// Beside the plan's members.
    pub(crate) backends: Vec<Arc<SharedBackend>>,
    /// Those of them that may be chosen, with the tables to choose by.
    pub(crate) members: Arc<Members>,
    /// Beside the list of `members`.
    pub(crate) chosen: Vec<Arc<SharedBackend>>,
}

impl PoolPart {
    /// The part of `plan`, whose members are `backends`; `previous` lends its tables if they still hold.
    pub(super) fn new(
        plan: &Arc<PoolPlan>,
        shared: Arc<SharedPool>,
        backends: Vec<Arc<SharedBackend>>,
        previous: Option<&Members>,
    ) -> Self {
        let pairs = plan.members.iter().zip(&backends);
        let takers: Vec<_> = pairs.filter(|(m, _)| m.duty == Duty::Take).collect();
        let list = takers.iter().map(|(m, b)| member(plan, m, b)).collect();
        let algorithm = Algorithm::from(&plan.spec.balance);
        let chosen = takers.iter().map(|(_, b)| Arc::clone(b)).collect();
        Self {
            plan: Arc::clone(plan),
            shared,
            members: Arc::new(Members::new(algorithm, list, previous)),
            chosen,
            backends,
        }
    }

    /// Whether a backend has a limit, so that somebody may have to wait.
    pub(crate) fn is_limited(&self) -> bool {
        self.plan
            .members
            .iter()
            .any(|m| m.max_connections.is_some())
    }
}

/// The largest weight that counts in user space: tables are as long as all weights together, and `ipvsadm` may set
/// two thousand million.
const HEAVIEST: u32 = 65_535;

fn member(plan: &PoolPlan, member: &MemberPlan, backend: &SharedBackend) -> Member {
    let over = plan.spec.slow_start;
    let since = member.rising_since.filter(|_| !over.is_zero());
    Member {
        id: backend.id,
        weight: member.weight.min(HEAVIEST),
        backup: member.backup,
        max_connections: member.max_connections,
        slow_start: since.map(|since| SlowStart { since, over }),
        load: Arc::clone(&backend.load),
    }
}
