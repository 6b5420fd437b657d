//! Metrics of services.

use super::text::{Kind, Text};
use crate::api::model::{ServiceStats, Stats};

/// A metric that is one number of a service.
type Number = (Kind, &'static str, &'static str, fn(&ServiceStats) -> u64);

const NUMBERS: [Number; 8] = [
    (
        Kind::Gauge,
        "aplomb_service_connections",
        "Client connections (UDP: flows) open.",
        |s| s.connections_open,
    ),
    (
        Kind::Counter,
        "aplomb_service_connections_total",
        "Client connections (UDP: flows) taken.",
        |s| s.connections,
    ),
    (
        Kind::Gauge,
        "aplomb_service_requests_in_flight",
        "Requests being served.",
        |s| s.requests_open,
    ),
    (
        Kind::Counter,
        "aplomb_service_received_bytes_total",
        "Bytes from clients.",
        |s| s.received_bytes,
    ),
    (
        Kind::Counter,
        "aplomb_service_sent_bytes_total",
        "Bytes to clients.",
        |s| s.sent_bytes,
    ),
    (
        Kind::Counter,
        "aplomb_service_retries_total",
        "Requests and connections tried again on another backend.",
        |s| s.retries,
    ),
    (
        Kind::Counter,
        "aplomb_service_retries_over_budget_total",
        "Retries not made because the budget was spent.",
        |s| s.retries_over_budget,
    ),
    (
        Kind::Counter,
        "aplomb_service_datagrams_dropped_total",
        "Datagrams from clients that were dropped.",
        |s| s.datagrams_dropped,
    ),
];

/// All of them.
pub(super) fn encode(text: &mut Text, stats: &Stats) {
    for (kind, name, help, value) in NUMBERS {
        let mut family = text.family(kind, name, help);
        for service in &stats.services {
            family.count(&[("service", &service.name)], value(service));
        }
    }
    requests(text, stats);
    errors(text, stats);
    let mut durations = text.family(
        Kind::Histogram,
        "aplomb_service_request_duration_seconds",
        "From a request's first byte to the last one of its response; TCP and UDP: how long it lasted.",
    );
    // The kernel does not measure them.
    let measured = |s: &&ServiceStats| !s.duration.counts.is_empty();
    for service in stats.services.iter().filter(measured) {
        durations.histogram(&[("service", &service.name)], &service.duration);
    }
}

fn requests(text: &mut Text, stats: &Stats) {
    let mut family = text.family(
        Kind::Counter,
        "aplomb_service_requests_total",
        "Requests by class of the response's status; none: never answered.",
    );
    for service in &stats.services {
        for response in &service.responses {
            let labels = [
                ("service", service.name.as_str()),
                ("class", response.class.as_str()),
            ];
            family.count(&labels, response.count);
        }
    }
}

fn errors(text: &mut Text, stats: &Stats) {
    let mut family = text.family(
        Kind::Counter,
        "aplomb_service_errors_total",
        "Errors by whose fault they were and why.",
    );
    for service in &stats.services {
        for error in &service.errors {
            let labels = [
                ("service", service.name.as_str()),
                ("side", error.side.as_str()),
                ("reason", error.reason.as_str()),
            ];
            family.count(&labels, error.count);
        }
    }
}
