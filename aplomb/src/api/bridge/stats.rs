//! What was counted, as `stats` and the metrics say it.

use std::{collections::HashMap, time::Duration};

use control::{name::BackendKey, status::BackendStatus as Known};
use proxy::stats::{self as counted, Fault, HistogramStats};

use super::{
    super::model::{
        BackendStats, CheckStats, DaemonStats, ErrorCount, Histogram, PoolStats, ResponseCount,
        ServiceStats, Stats,
    },
    status::{check_names, seconds_since_1970},
};
use crate::daemon::handle;

/// Classes of responses, in the order of the plane's table.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What the plane counted until `at`.
pub(super) fn of(counted: &counted::Stats, at: Duration) -> Stats {
    let mut pools: Vec<PoolStats> = counted
        .pools
        .iter()
        .map(|(name, pool)| PoolStats {
            name: name.to_string(),
            queued: pool.queued.into(),
            ..PoolStats::default()
        })
        .collect();
    for (key, summary) in &counted.backends {
        let place = pools.binary_search_by(|p| p.name.as_str().cmp(key.pool.as_str()));
        if let Ok(place) = place {
            pools[place].backends.push(backend(key, summary));
        }
    }
    Stats {
        at_seconds: at.as_secs_f64(),
        daemon: DaemonStats {
            worker_connections: counted.worker_connections.clone(),
            accept_errors: counted.workers.accept_errors,
            connections_cut: counted.workers.cut,
            log_lines_dropped: counted.workers.log_lines_dropped,
            ..DaemonStats::default()
        },
        services: counted
            .services
            .iter()
            .map(|(name, stats)| service(name.to_string(), stats))
            .collect(),
        pools,
        l4: None,
    }
}

fn service(name: String, stats: &counted::ServiceStats) -> ServiceStats {
    ServiceStats {
        name,
        connections_open: stats.connections_open,
        connections: stats.connections,
        requests_open: stats.requests_open,
        received_bytes: stats.bytes_in,
        sent_bytes: stats.bytes_out,
        responses: responses(&stats.responses),
        errors: errors(&stats.errors),
        retries: stats.retries,
        retries_over_budget: stats.retries_over_budget,
        datagrams_dropped: stats.datagrams_dropped,
        duration: histogram(&stats.duration),
    }
}

fn backend(key: &BackendKey, summary: &counted::BackendSummary) -> BackendStats {
    let stats = &summary.counted;
    BackendStats {
        address: key.address.to_string(),
        in_flight: summary.in_flight.into(),
        latency_seconds: summary.latency.map(|latency| latency.as_secs_f64()),
        connections_open: stats.connections_open,
        connections_idle: stats.connections_idle,
        connections: stats.connections,
        connections_reused: stats.connections_reused,
        requests: stats.requests,
        retries: stats.retries,
        sent_bytes: stats.bytes_out,
        received_bytes: stats.bytes_in,
        responses: responses(&stats.responses),
        errors: errors(&stats.errors),
        connect_time: histogram(&stats.connect_time),
        response_time: histogram(&stats.response_time),
        ..BackendStats::default()
    }
}

fn responses(table: &[u64; CLASSES.len()]) -> Vec<ResponseCount> {
    let pairs = CLASSES.iter().zip(table);
    pairs
        .map(|(class, count)| ResponseCount {
            class: (*class).into(),
            count: *count,
        })
        .collect()
}

/// Only what has happened: most kinds of errors never do.
fn errors(table: &[u64; Fault::COUNT]) -> Vec<ErrorCount> {
    let happened = table.iter().enumerate().filter(|(_, count)| **count > 0);
    happened
        .filter_map(|(index, count)| {
            let fault = Fault::at(index)?;
            Some(ErrorCount {
                side: fault.side.to_string(),
                reason: fault.reason.to_string(),
                count: *count,
            })
        })
        .collect()
}

fn histogram(stats: &HistogramStats) -> Histogram {
    let bounds = counted::Histogram::BOUNDS.iter();
    Histogram {
        bounds: bounds.map(|micros| *micros as f64 / 1e6).collect(),
        counts: stats.buckets.to_vec(),
        sum_seconds: stats.micros as f64 / 1e6,
    }
}

/// Adds what the daemon knows: states, weights, checks, reloads. Backends that never had traffic are there too.
pub(super) fn complete(stats: &mut Stats, known: &handle::Status) {
    let daemon = &mut stats.daemon;
    daemon.generation = known.plan.generation;
    daemon.reloads_applied = known.reloads.succeeded;
    daemon.reloads_refused = known.reloads.failed;
    daemon.samples_dropped = known.samples_dropped;
    daemon.started_at = seconds_since_1970(known.started);
    let applied = known.reloads.last_success.unwrap_or(known.started);
    daemon.config_applied_at = seconds_since_1970(applied);

    let mut by_pool: HashMap<&str, Vec<&Known>> = HashMap::new();
    for backend in &known.backends {
        by_pool
            .entry(backend.pool.as_str())
            .or_default()
            .push(backend);
    }
    for spec in &known.spec.pools {
        let name = spec.name.as_str();
        if !stats.pools.iter().any(|pool| pool.name == name) {
            stats.pools.push(PoolStats {
                name: name.into(),
                ..PoolStats::default()
            });
        }
        let Some(pool) = stats.pools.iter_mut().find(|pool| pool.name == name) else {
            continue;
        };
        pool.panic = known.plan.pools.get(&spec.name).is_some_and(|p| p.panic);
        let names = check_names(spec);
        let mut counted: HashMap<String, BackendStats> = pool
            .backends
            .drain(..)
            .map(|backend| (backend.address.clone(), backend))
            .collect();
        for backend in by_pool.remove(name).unwrap_or_default() {
            let address = backend.address.to_string();
            let stats = counted.remove(&address).unwrap_or_else(|| BackendStats {
                address,
                ..BackendStats::default()
            });
            pool.backends.push(with_health(stats, backend, &names));
        }
    }
    stats.pools.retain(|pool| {
        let specs = known.spec.pools.iter();
        specs.map(|spec| spec.name.as_str()).any(|n| n == pool.name)
    });
}

fn with_health(stats: BackendStats, known: &Known, names: &[String]) -> BackendStats {
    let check = |(check, name): (&control::status::CheckStatus, &String)| CheckStats {
        name: name.clone(),
        passed: check.passed,
        failed: check.failed,
        took_seconds: check.last.as_ref().map(|last| last.took.0.as_secs_f64()),
    };
    BackendStats {
        state: known.state.into(),
        weight: known.weight.effective,
        ejections: known.traffic.ejections,
        flaps: known.flaps,
        checks: known.checks.iter().zip(names).map(check).collect(),
        ..stats
    }
}
