//! Metrics of pools, their backends and their checks.

use super::text::{Family, Kind, Text};
use crate::api::model::{BackendState, BackendStats, Histogram, PoolStats, Stats};

/// A metric that is one number of a backend.
type Number = (Kind, &'static str, &'static str, fn(&BackendStats) -> u64);

const NUMBERS: [Number; 11] = [
    (
        Kind::Gauge,
        "aplomb_backend_weight",
        "The weight as it counts now.",
        |b| b.weight.into(),
    ),
    (
        Kind::Gauge,
        "aplomb_backend_in_flight",
        "Requests, connections or flows in flight.",
        |b| b.in_flight,
    ),
    (
        Kind::Gauge,
        "aplomb_backend_connections",
        "Connections open, in use or idle.",
        |b| b.connections_open,
    ),
    (
        Kind::Gauge,
        "aplomb_backend_connections_idle",
        "Connections kept for the next request.",
        |b| b.connections_idle,
    ),
    (
        Kind::Counter,
        "aplomb_backend_connections_total",
        "Connections made.",
        |b| b.connections,
    ),
    (
        Kind::Counter,
        "aplomb_backend_connections_reused_total",
        "Requests that went over a kept connection.",
        |b| b.connections_reused,
    ),
    (
        Kind::Counter,
        "aplomb_backend_retries_total",
        "Times that it was tried because another had failed.",
        |b| b.retries,
    ),
    (
        Kind::Counter,
        "aplomb_backend_sent_bytes_total",
        "Bytes to it.",
        |b| b.sent_bytes,
    ),
    (
        Kind::Counter,
        "aplomb_backend_received_bytes_total",
        "Bytes from it.",
        |b| b.received_bytes,
    ),
    (
        Kind::Counter,
        "aplomb_backend_ejections_total",
        "Times that traffic had it ejected.",
        |b| b.ejections,
    ),
    (
        Kind::Counter,
        "aplomb_backend_flaps_total",
        "Times that it went from up to down.",
        |b| b.flaps,
    ),
];

/// All of them.
pub(super) fn encode(text: &mut Text, stats: &Stats) {
    pools(text, stats);
    states(text, stats);
    for (kind, name, help, value) in NUMBERS {
        let mut family = text.family(kind, name, help);
        each(stats, |pool, backend| {
            family.count(&labels(pool, backend), value(backend));
        });
    }
    let mut latency = text.family(
        Kind::Gauge,
        "aplomb_backend_latency_seconds",
        "The moving average of its latency, once known.",
    );
    each(stats, |pool, backend| {
        if let Some(seconds) = backend.latency_seconds {
            latency.sample(&labels(pool, backend), seconds);
        }
    });
    requests(text, stats);
    durations(text, stats);
    checks(text, stats);
}

fn labels<'a>(pool: &'a PoolStats, backend: &'a BackendStats) -> [(&'a str, &'a str); 2] {
    [("pool", &pool.name), ("backend", &backend.address)]
}

fn each(stats: &Stats, mut work: impl FnMut(&PoolStats, &BackendStats)) {
    for pool in &stats.pools {
        for backend in &pool.backends {
            work(pool, backend);
        }
    }
}

fn pools(text: &mut Text, stats: &Stats) {
    let mut family = text.family(
        Kind::Gauge,
        "aplomb_pool_queue_length",
        "Requests and connections that wait for a backend with room.",
    );
    for pool in &stats.pools {
        family.count(&[("pool", &pool.name)], pool.queued);
    }
    let mut family = text.family(
        Kind::Gauge,
        "aplomb_pool_panic",
        "Whether all backends are tried because too few are up.",
    );
    for pool in &stats.pools {
        family.count(&[("pool", &pool.name)], pool.panic.into());
    }
    let mut family = text.family(Kind::Gauge, "aplomb_pool_backends", "Backends by state.");
    for pool in &stats.pools {
        for state in BackendState::ALL {
            let number = pool.backends.iter().filter(|b| b.state == state).count();
            let labels = [("pool", pool.name.as_str()), ("state", state.as_str())];
            family.sample(&labels, number as f64);
        }
    }
}

fn states(text: &mut Text, stats: &Stats) {
    let mut family = text.family(
        Kind::Gauge,
        "aplomb_backend_state",
        "1 for the state it is in, 0 for the others.",
    );
    each(stats, |pool, backend| {
        for state in BackendState::ALL {
            let [pool, address] = labels(pool, backend);
            let is = backend.state == state;
            family.count(&[pool, address, ("state", state.as_str())], is.into());
        }
    });
}

fn requests(text: &mut Text, stats: &Stats) {
    let mut family = text.family(
        Kind::Counter,
        "aplomb_backend_requests_total",
        "Requests by class of its response's status; none: it never came.",
    );
    each(stats, |pool, backend| {
        // With thousands of backends, series that say nothing yet would be most of the text.
        for response in backend.responses.iter().filter(|r| r.count > 0) {
            let [pool, address] = labels(pool, backend);
            family.count(&[pool, address, ("class", &response.class)], response.count);
        }
    });
    let mut family = text.family(
        Kind::Counter,
        "aplomb_backend_errors_total",
        "Errors by whose fault they were and why.",
    );
    each(stats, |pool, backend| {
        for error in &backend.errors {
            let [pool, address] = labels(pool, backend);
            let labels = [
                pool,
                address,
                ("side", &error.side),
                ("reason", &error.reason),
            ];
            family.count(&labels, error.count);
        }
    });
}

fn durations(text: &mut Text, stats: &Stats) {
    let encode = |mut family: Family<'_>, of: fn(&BackendStats) -> &Histogram| {
        each(stats, |pool, backend| {
            if of(backend).count() > 0 {
                family.histogram(&labels(pool, backend), of(backend));
            }
        });
    };
    encode(
        text.family(
            Kind::Histogram,
            "aplomb_backend_connect_duration_seconds",
            "How long connections to it took to be made.",
        ),
        |b| &b.connect_time,
    );
    encode(
        text.family(
            Kind::Histogram,
            "aplomb_backend_response_duration_seconds",
            "From the end of a request to the first byte of its response.",
        ),
        |b| &b.response_time,
    );
}

fn checks(text: &mut Text, stats: &Stats) {
    let mut results = text.family(
        Kind::Counter,
        "aplomb_backend_checks_total",
        "Probes made, by what came of them.",
    );
    each(stats, |pool, backend| {
        for check in &backend.checks {
            let [pool, address] = labels(pool, backend);
            let name = ("check", check.name.as_str());
            results.count(&[pool, address, name, ("result", "passed")], check.passed);
            results.count(&[pool, address, name, ("result", "failed")], check.failed);
        }
    });
    let mut took = text.family(
        Kind::Gauge,
        "aplomb_backend_check_duration_seconds",
        "How long the last probe took.",
    );
    each(stats, |pool, backend| {
        for check in &backend.checks {
            let [pool, address] = labels(pool, backend);
            if let Some(seconds) = check.took_seconds {
                took.sample(&[pool, address, ("check", &check.name)], seconds);
            }
        }
    });
}
