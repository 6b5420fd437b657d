//! Plans, as short as a test wants them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use control::{
    name::BackendKey,
    plan::{Duty, KernelMember, MemberPlan, Plan, PoolPlan, ServicePlan},
    spec::{
        BackendSpec, Balance, Forward, KernelSpec, Listen, PoolSpec, Scheme, ServiceKind,
        ServiceSpec, Share,
        check::PassiveSpec,
        pool::{ConnectSpec, QueueSpec},
    },
};

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A pool of these backends, each with its weight.
pub(crate) fn pool(name: &str, balance: Balance, members: &[(&str, u32)]) -> Arc<PoolPlan> {
    let member = |(address, weight): &(&str, u32)| MemberPlan {
        key: BackendKey {
            pool: name.parse().unwrap(),
            address: at(address),
        },
        weight: *weight,
        backup: false,
        max_connections: None,
        kernel: KernelMember::default(),
        duty: Duty::Take,
        rising_since: None,
    };
    let spec = PoolSpec {
        name: name.parse().unwrap(),
        balance,
        checks: Vec::new(),
        agent: None,
        passive: PassiveSpec::default(),
        panic_below: Share::NONE,
        slow_start: Duration::ZERO,
        queue: QueueSpec::default(),
        drain: None,
        connect: ConnectSpec::default(),
        backends: members
            .iter()
            .map(|(a, _)| BackendSpec::at(at(a)))
            .collect(),
    };
    Arc::new(PoolPlan {
        spec: Arc::new(spec),
        members: members.iter().map(member).collect(),
        panic: false,
    })
}

/// A service named after its pool.
pub(crate) fn service(
    scheme: Scheme,
    listen: &str,
    forward: Forward,
    pool: &str,
) -> Arc<ServicePlan> {
    let kernel = KernelSpec::new(forward, pool.parse().unwrap());
    Arc::new(ServicePlan {
        spec: Arc::new(ServiceSpec {
            name: pool.parse().unwrap(),
            listen: vec![Listen::new(scheme, at(listen))],
            kind: ServiceKind::Kernel(Box::new(kernel)),
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None,
        }),
    })
}

pub(crate) fn plan(services: &[Arc<ServicePlan>], pools: &[Arc<PoolPlan>]) -> Plan {
    Plan {
        services: services
            .iter()
            .map(|s| (s.spec.name.clone(), Arc::clone(s)))
            .collect(),
        pools: pools
            .iter()
            .map(|p| (p.spec.name.clone(), Arc::clone(p)))
            .collect(),
        ..Plan::default()
    }
}
