//! Metrics of the daemon itself.

use super::text::{Kind, Text};
use crate::api::model::{DaemonStats, Phase, Status};

/// All of them.
pub(super) fn encode(text: &mut Text, status: &Status, stats: &DaemonStats) {
    text.family(Kind::Gauge, "aplomb_build_info", "The program; always 1.")
        .sample(&[("version", &status.version)], 1.0);
    let ready = matches!(status.phase, Phase::Serving | Phase::HandingOver);
    text.single(
        Kind::Gauge,
        "aplomb_ready",
        "Whether it takes new work.",
        f64::from(u8::from(ready)),
    );
    config(text, status, stats);
    work(text, stats);
    process(text, stats);
}

fn config(text: &mut Text, status: &Status, stats: &DaemonStats) {
    text.single(
        Kind::Gauge,
        "aplomb_plan_generation",
        "The plan in force; grows with every change of configuration or health.",
        stats.generation as f64,
    );
    let mut reloads = text.family(
        Kind::Counter,
        "aplomb_config_reloads_total",
        "Configurations handed in while running, by what became of them.",
    );
    reloads.count(&[("result", "applied")], stats.reloads_applied);
    reloads.count(&[("result", "refused")], stats.reloads_refused);
    let successful = status.config.last_refused.is_none();
    text.single(
        Kind::Gauge,
        "aplomb_config_last_reload_successful",
        "Whether the last configuration handed in was applied.",
        f64::from(u8::from(successful)),
    );
    text.single(
        Kind::Gauge,
        "aplomb_config_last_applied_timestamp_seconds",
        "When the configuration in force was applied.",
        stats.config_applied_at,
    );
}

fn work(text: &mut Text, stats: &DaemonStats) {
    let mut workers = text.family(
        Kind::Gauge,
        "aplomb_worker_connections",
        "Client connections and UDP flows open, by worker.",
    );
    for (worker, open) in stats.worker_connections.iter().enumerate() {
        workers.count(&[("worker", &worker.to_string())], *open);
    }
    for (name, help, value) in [
        (
            "aplomb_accept_errors_total",
            "Connections that could not be accepted.",
            stats.accept_errors,
        ),
        (
            "aplomb_connections_cut_total",
            "Connections and flows cut because a drain ended.",
            stats.connections_cut,
        ),
        (
            "aplomb_access_log_lines_dropped_total",
            "Access-log lines dropped because writing could not keep up.",
            stats.log_lines_dropped,
        ),
        (
            "aplomb_traffic_samples_dropped_total",
            "Samples of traffic (passive checks) dropped because the engine could not keep up.",
            stats.samples_dropped,
        ),
    ] {
        text.single(Kind::Counter, name, help, value as f64);
    }
}

fn process(text: &mut Text, stats: &DaemonStats) {
    text.single(
        Kind::Counter,
        "process_cpu_seconds_total",
        "User and system CPU time.",
        stats.cpu_seconds,
    );
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Resident memory.",
            stats.resident_bytes as f64,
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory.",
            stats.virtual_bytes as f64,
        ),
        (
            "process_open_fds",
            "Open file descriptors.",
            stats.open_fds as f64,
        ),
        (
            "process_max_fds",
            "The most file descriptors.",
            stats.max_fds as f64,
        ),
        ("process_threads", "Threads.", stats.threads as f64),
        (
            "process_start_time_seconds",
            "When the process began.",
            stats.started_at,
        ),
    ] {
        text.single(Kind::Gauge, name, help, value);
    }
}
