//! `aplomb status`: what the daemon does, as tables or as JSON.

mod kernel;

use super::{
    client::{AdminArgs, Client, block_on},
    exit::{Failure, Outcome, print},
    table::{Table, bytes, latency, rate, span},
};
use crate::api::model::{BackendState, BackendStatus, Phase, PoolStatus, ServiceStatus, Status};

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this pool or service
    #[arg(value_name = "POOL|SERVICE")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(super) fn run(admin: &AdminArgs, args: &Args) -> Outcome {
    let client = Client::new(admin)?;
    let mut status: Status = block_on(client.get("/v1/status"))?;
    if let Some(name) = &args.name {
        only(&mut status, name)?;
    }
    if args.json {
        let json = serde_json::to_string_pretty(&status)
            .map_err(|error| Failure::refused("cannot print this", error))?;
        return print(&(json + "\n"));
    }
    print(&render(&status, args.name.is_none()))
}

/// Leaves the service of that name with its pools, or the pool of that name with the services that lead to it.
fn only(status: &mut Status, name: &str) -> Outcome {
    let is_pool = status.pools.iter().any(|p| p.name == name);
    let pools = match status.services.iter().find(|s| s.name == name) {
        Some(service) => service.pools.clone(),
        None => Vec::new(),
    };
    if !is_pool && !status.services.iter().any(|s| s.name == name) {
        return Err(Failure::Refused(format!(
            "there is no service and no pool {name:?}; `aplomb status` shows what there is"
        )));
    }
    status
        .services
        .retain(|s| s.name == name || (is_pool && s.pools.iter().any(|p| p == name)));
    status
        .pools
        .retain(|p| p.name == name || pools.contains(&p.name));
    Ok(())
}

fn render(status: &Status, whole: bool) -> String {
    let mut text = String::new();
    if whole {
        text += &heading(status);
    }
    if !status.services.is_empty() {
        text += &services(&status.services);
    }
    if whole {
        text += &status.l4.as_ref().map(kernel::plane).unwrap_or_default();
        if !status.vips.is_empty() {
            text += &format!("\n{}", super::vrrp::table(&status.vips));
        }
        let sync = status.l4.as_ref().and_then(|l4| l4.sync.as_ref());
        text += &sync.map(super::sync::section).unwrap_or_default();
        let ipvs = status.l4.as_ref().and_then(|l4| l4.ipvs_sync.as_ref());
        if let Some(ipvs) = ipvs {
            text += &format!("\n{}\n", super::ipvs_sync::line(ipvs));
        }
    }
    for service in &status.services {
        text += &kernel::service(service);
    }
    for pool in &status.pools {
        text += "\n";
        text += &pool_table(pool);
    }
    text
}

fn heading(status: &Status) -> String {
    let phase = match status.phase {
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::HandingOver => "handing over to a successor",
        Phase::Leaving => "leaving: no new work, finishing what goes on",
    };
    let mut text = format!(
        "aplomb {}, process {}, {} for {}, {} workers\nconfiguration {}, generation {}\n",
        status.version,
        status.pid,
        phase,
        span(status.uptime_seconds),
        status.workers,
        status.config.path,
        status.generation,
    );
    if let Some(why) = &status.config.last_refused {
        text += &format!("the last configuration was refused:\n{}\n", why.trim_end());
    }
    text + "\n"
}

fn services(services: &[ServiceStatus]) -> String {
    let mut table = Table::new(&[
        "SERVICE", "KIND", "LISTEN", "POOLS", ">CONNS", ">RATE/S", ">ERR/S", ">IN/S", ">OUT/S", "",
    ]);
    for service in services {
        table.row(vec![
            service.name.clone(),
            service.kind.clone(),
            service.listen.join(" "),
            service.pools.join(" "),
            service.connections.to_string(),
            rate(service.rate),
            rate(service.error_rate),
            bytes(service.received_rate),
            bytes(service.sent_rate),
            service.problem.clone().unwrap_or_default(),
        ]);
    }
    table.render("")
}

fn pool_table(pool: &PoolStatus) -> String {
    let up = pool.backends.iter().filter(|b| b.state.is_up()).count();
    let mut text = format!(
        "pool {}: {}, {up} of {} up",
        pool.name,
        pool.balance,
        pool.backends.len()
    );
    if pool.queued > 0 {
        text += &format!(", {} waiting", pool.queued);
    }
    if pool.panic {
        text += ", PANIC: too few are up, so all are tried";
    }
    text += "\n";
    // The kernel knows active and inactive connections, and measures no latencies.
    let kernel = kernel::serves(pool);
    let [busy, more] = if kernel {
        [">ACTIVE", ">INACT"]
    } else {
        [">FLIGHT", ">LATENCY"]
    };
    let mut table = Table::new(&[
        "BACKEND", "STATE", ">SINCE", ">WEIGHT", busy, ">RATE/S", more, "CHECKS", "WHY",
    ]);
    for backend in &pool.backends {
        let load = backend.kernel.unwrap_or_default();
        table.row(vec![
            backend.address.clone(),
            backend.state.as_str().to_owned(),
            span(backend.since_seconds),
            weight(backend),
            if kernel {
                load.active.to_string()
            } else {
                in_flight(backend)
            },
            rate(backend.rate),
            if kernel {
                load.inactive.to_string()
            } else {
                backend.latency_seconds.map_or("-".into(), latency)
            },
            checks(backend),
            why(backend),
        ]);
    }
    text + &table.render("  ")
}

/// Why it is in its state; of one that drains, also how much is left.
fn why(backend: &BackendStatus) -> String {
    let why = backend.whole_why();
    let drains = backend.state == BackendState::Draining || backend.removed;
    match backend.in_flight {
        left if drains && left > 0 && why.is_empty() => format!("{left} left"),
        left if drains && left > 0 => format!("{why}; {left} left"),
        _ => why,
    }
}

fn weight(backend: &BackendStatus) -> String {
    let backup = if backend.backup { " backup" } else { "" };
    if backend.weight == backend.configured_weight {
        format!("{}{backup}", backend.weight)
    } else {
        format!(
            "{} (of {}){backup}",
            backend.weight, backend.configured_weight
        )
    }
}

fn in_flight(backend: &BackendStatus) -> String {
    match backend.max_connections {
        Some(most) => format!("{}/{most}", backend.in_flight),
        None => backend.in_flight.to_string(),
    }
}

fn checks(backend: &BackendStatus) -> String {
    if backend.checks.is_empty() {
        return "-".into();
    }
    let words: Vec<String> = backend
        .checks
        .iter()
        .map(|check| {
            let state = match check.passing {
                Some(true) => "ok",
                Some(false) => "failing",
                None => "not yet",
            };
            format!("{} {state}", check.name)
        })
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::api::model::{CheckStatus, KernelLoad};

    fn status() -> Status {
        Status {
            services: vec![
                ServiceStatus {
                    name: "shop".into(),
                    pools: vec!["web".into()],
                    ..ServiceStatus::default()
                },
                ServiceStatus {
                    name: "mail".into(),
                    pools: vec!["smtp".into()],
                    ..ServiceStatus::default()
                },
            ],
            pools: ["web", "smtp"]
                .map(|name| PoolStatus {
                    name: name.into(),
                    balance: "wlc".into(),
                    backends: vec![BackendStatus {
                        address: "10.0.0.1:80".into(),
                        state: BackendState::Down,
                        why: "3 failures in a row".into(),
                        weight: 1,
                        configured_weight: 4,
                        checks: vec![CheckStatus {
                            name: "tcp".into(),
                            passing: Some(false),
                            detail: "connection refused".into(),
                            took_seconds: None,
                        }],
                        ..BackendStatus::default()
                    }],
                    ..PoolStatus::default()
                })
                .into(),
            ..Status::default()
        }
    }

    #[test]
    fn a_dead_backend_says_why() {
        let text = render(&status(), true);
        let line = text.lines().find(|l| l.contains("10.0.0.1:80")).unwrap();
        assert!(line.contains("down"), "{line}");
        assert!(line.contains("1 (of 4)"), "{line}");
        assert!(line.ends_with("tcp failing  3 failures in a row; tcp: connection refused"));
        assert!(text.contains("pool web: wlc, 0 of 1 up\n"));
    }

    #[test]
    fn the_kernels_connections_show_and_what_a_drain_has_left() {
        let mut status = status();
        let backend = &mut status.pools[0].backends[0];
        backend.state = BackendState::Draining;
        backend.why = "drained by an operator".into();
        backend.checks.clear();
        backend.in_flight = 12;
        backend.kernel = Some(KernelLoad {
            active: 3,
            inactive: 9,
            persistent: 0,
        });
        let text = render(&status, true);
        let heading = text.lines().find(|l| l.contains("ACTIVE")).unwrap();
        assert!(heading.contains("INACT") && !heading.contains("LATENCY"));
        let line = text.lines().find(|l| l.contains("10.0.0.1:80")).unwrap();
        assert!(line.ends_with("drained by an operator; 12 left"), "{line}");
        // A pool of the proxy's stays as it is.
        assert!(text.contains("LATENCY"));
    }

    #[test]
    fn one_name_shows_what_belongs_to_it() {
        let mut of_service = status();
        only(&mut of_service, "shop").unwrap();
        assert_eq!(of_service.services.len(), 1);
        assert_eq!(of_service.pools[0].name, "web");

        let mut of_pool = status();
        only(&mut of_pool, "smtp").unwrap();
        assert_eq!(of_pool.services[0].name, "mail");
        assert_eq!(of_pool.pools.len(), 1);

        assert_eq!(only(&mut status(), "nil").unwrap_err().code(), 1);
    }
}
