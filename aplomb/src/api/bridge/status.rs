//! What the daemon knows of itself, as `status` says it.

use std::time::{SystemTime, UNIX_EPOCH};

use control::{
    spec::{Balance, HashKey, PoolSpec, ServiceKind, ServiceSpec},
    status::{BackendStatus as Known, CheckStatus as KnownCheck},
};

use super::super::model::{
    BackendStatus, CheckStatus, ConfigStatus, Phase, PoolStatus, ServiceStatus, Status,
};
use crate::daemon::handle;

/// The status, but for what only the counters know.
pub(super) fn of(known: &handle::Status, workers: usize) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: known.pid,
        uptime_seconds: known.uptime.as_secs_f64(),
        phase: match known.phase {
            handle::Phase::Starting => Phase::Starting,
            handle::Phase::Serving => Phase::Serving,
            handle::Phase::HandingOver => Phase::HandingOver,
            handle::Phase::Draining => Phase::Leaving,
        },
        generation: known.plan.generation,
        config: ConfigStatus {
            path: known.config.display().to_string(),
            applied_at: seconds_since_1970(known.reloads.last_success.unwrap_or(known.started)),
            last_refused: known.reloads.last_error.clone(),
        },
        workers,
        services: known.spec.services.iter().map(|s| service(s)).collect(),
        pools: known
            .spec
            .pools
            .iter()
            .map(|spec| pool(spec, known))
            .collect(),
        l4: None,
        vips: Vec::new(),
    }
}

pub(super) fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

fn service(spec: &ServiceSpec) -> ServiceStatus {
    ServiceStatus {
        name: spec.name.to_string(),
        kind: kind(&spec.kind).into(),
        listen: spec.listen.iter().map(ToString::to_string).collect(),
        pools: spec.pools().iter().map(ToString::to_string).collect(),
        ..ServiceStatus::default()
    }
}

fn kind(kind: &ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Http(_) => "http",
        ServiceKind::Tcp(_) => "tcp",
        ServiceKind::Udp(_) => "udp",
        ServiceKind::Kernel(kernel) => kernel.forward.word(),
    }
}

fn pool(spec: &PoolSpec, known: &handle::Status) -> PoolStatus {
    let plan = known.plan.pools.get(&spec.name);
    PoolStatus {
        name: spec.name.to_string(),
        balance: balance(&spec.balance),
        panic: plan.is_some_and(|plan| plan.panic),
        queued: 0,
        backends: known
            .backends
            .iter()
            .filter(|backend| backend.pool == spec.name)
            .map(|backend| self::backend(backend, spec))
            .collect(),
    }
}

/// The algorithm as the configuration writes it.
pub(super) fn balance(balance: &Balance) -> String {
    let key = |word: &str, key: &HashKey| match key {
        HashKey::Source => format!("{word} of source"),
        HashKey::SourceNet { v4, v6 } => format!("{word} of source:{v4}/{v6}"),
        HashKey::Uri => format!("{word} of uri"),
        HashKey::Path => format!("{word} of path"),
        HashKey::Host => format!("{word} of host"),
        HashKey::Header(name) => format!("{word} of header:{name}"),
        HashKey::Cookie(name) => format!("{word} of cookie:{name}"),
        HashKey::Query(name) => format!("{word} of query:{name}"),
    };
    match balance {
        Balance::RoundRobin => "rr",
        Balance::WeightedRoundRobin => "wrr",
        Balance::LeastConnections => "lc",
        Balance::WeightedLeastConnections => "wlc",
        Balance::ShortestExpectedDelay => "sed",
        Balance::NeverQueue => "nq",
        Balance::Random => "random",
        Balance::LeastOfTwo => "p2c",
        Balance::First => "first",
        Balance::LeastTime => "least-time",
        Balance::DestinationHash => "dh",
        Balance::LocalityLeastConnections => "lblc",
        Balance::ReplicatedLocality => "lblcr",
        Balance::Failover => "fo",
        Balance::Overflow => "ovf",
        Balance::Hash(of) => return key("hash", of),
        Balance::Maglev(of) => return key("maglev", of),
    }
    .into()
}

fn backend(known: &Known, spec: &PoolSpec) -> BackendStatus {
    BackendStatus {
        address: known.address.to_string(),
        state: known.state.into(),
        since_seconds: known.since.0.as_secs_f64(),
        why: known.why.clone(),
        weight: known.weight.effective,
        configured_weight: known.weight.configured,
        backup: known.backup,
        max_connections: known.max_connections,
        ejected: known.traffic.ejected.is_some(),
        removed: known.removed,
        checks: known
            .checks
            .iter()
            .zip(check_names(spec))
            .map(|(check, name)| self::check(check, name))
            .collect(),
        ..BackendStatus::default()
    }
}

/// What checks are called: by their kind, and by their place where there are several of a kind.
pub(super) fn check_names(spec: &PoolSpec) -> Vec<String> {
    let kinds: Vec<&str> = spec.checks.iter().map(|c| c.probe.kind()).collect();
    let name = |(place, kind): (usize, &&str)| {
        if kinds.iter().filter(|k| *k == kind).count() > 1 {
            format!("{kind}-{}", place + 1)
        } else {
            (*kind).to_owned()
        }
    };
    kinds.iter().enumerate().map(name).collect()
}

fn check(known: &KnownCheck, name: String) -> CheckStatus {
    let last = known.last.as_ref();
    let failure = last.and_then(|last| last.failure.as_ref());
    CheckStatus {
        name,
        passing: known.passing,
        detail: failure.map(|f| f.detail.clone()).unwrap_or_default(),
        took_seconds: last.map(|last| last.took.0.as_secs_f64()),
    }
}
