//! The figures of one look: what changed between two answers of the daemon, per second.

use std::collections::HashMap;

use crate::api::model::{
    BackendState, BackendStats, Histogram, Phase, ServiceStats, Stats, Status, VipStatus,
};
use crate::cli::{ipvs_sync, sync, table::rate, vrrp};

/// All figures of one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// The version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in seconds.
    pub uptime: f64,
    /// What it is doing.
    pub phase: Phase,
    /// The plan in force.
    pub generation: u64,
    /// Its memory, in bytes.
    pub resident: u64,
    /// CPU seconds per second.
    pub cpu: f64,
    /// Services in the order of the daemon.
    pub services: Vec<ServiceRow>,
    /// Backends of all pools.
    pub backends: Vec<BackendRow>,
    /// The kernel data plane in a line, if there is one.
    pub kernel: Option<String>,
    /// Virtual addresses in the order of the configuration, one for each family.
    pub vips: Vec<VipRow>,
    /// Connection sync in lines: with nodes of aplomb, and with directors of Linux's own.
    pub sync: Vec<String>,
    /// Whether it is as it should be.
    pub in_sync: bool,
}

/// One virtual address, or those of one family that move together.
#[derive(Clone, Debug, Default)]
pub(super) struct VipRow {
    /// Its name, and its group if that is another.
    pub name: String,
    pub state: String,
    /// Seconds in this state.
    pub since: f64,
    pub priority: String,
    pub addresses: String,
    pub why: String,
}

impl From<&VipStatus> for VipRow {
    fn from(vip: &VipStatus) -> Self {
        Self {
            name: vrrp::name(vip),
            state: vip.state.clone(),
            since: vip.since_seconds,
            priority: vrrp::priority(vip),
            addresses: vip.addresses.join(" "),
            why: vip.whole_why(),
        }
    }
}

/// One service.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceRow {
    pub name: String,
    pub listen: String,
    pub connections: u64,
    /// Requests or connections per second.
    pub rate: f64,
    /// Failures per second.
    pub error_rate: f64,
    /// Median and 99th percentile of how long they took, in seconds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    /// Bytes per second.
    pub received: f64,
    pub sent: f64,
    /// What took how long since the last look.
    durations: Histogram,
}

/// One backend.
#[derive(Clone, Debug, Default)]
pub(super) struct BackendRow {
    /// POOL/ADDRESS.
    pub name: String,
    pub state: BackendState,
    /// Seconds in this state.
    pub since: f64,
    pub why: String,
    pub weight: u32,
    pub in_flight: u64,
    /// Requests or connections per second.
    pub rate: f64,
    /// Errors per second.
    pub error_rate: f64,
    /// The moving average of its latency, in seconds.
    pub latency: Option<f64>,
}

impl Frame {
    /// The figures of `now`, with rates since `before` if it is of the same process.
    pub(super) fn new(status: &Status, now: &Stats, before: Option<&Stats>) -> Self {
        let before = before.filter(|b| {
            b.daemon
                .started_at
                .total_cmp(&now.daemon.started_at)
                .is_eq()
                && b.at_seconds < now.at_seconds
        });
        let per = Per {
            seconds: before.map_or(0.0, |b| now.at_seconds - b.at_seconds),
        };
        let sync = status.l4.as_ref().and_then(|l4| l4.sync.as_ref());
        let ipvs = status.l4.as_ref().and_then(|l4| l4.ipvs_sync.as_ref());
        let cpu = before.map_or(0.0, |b| {
            (now.daemon.cpu_seconds - b.daemon.cpu_seconds) / per.seconds
        });
        Self {
            version: status.version.clone(),
            pid: status.pid,
            uptime: status.uptime_seconds,
            phase: status.phase,
            generation: status.generation,
            resident: now.daemon.resident_bytes,
            cpu,
            services: services(status, now, before, per),
            backends: backends(status, now, before, per),
            kernel: kernel(now, before, per),
            vips: status.vips.iter().map(VipRow::from).collect(),
            sync: (sync.map(sync::line).into_iter())
                .chain(ipvs.map(ipvs_sync::line))
                .collect(),
            in_sync: sync.is_none_or(|sync| sync.in_sync && sync.trouble.is_none())
                && ipvs.is_none_or(|ipvs| ipvs.trouble.is_none()),
        }
    }

    /// How many backends take work, and how many there are.
    pub(super) fn up(&self) -> (usize, usize) {
        let up = self.backends.iter().filter(|b| b.state.is_up()).count();
        (up, self.backends.len())
    }

    /// A share of how long things took, over all services.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let mut all = self.services.first()?.durations.clone();
        for service in &self.services[1..] {
            let counts = all.counts.iter_mut().zip(&service.durations.counts);
            counts.for_each(|(sum, count)| *sum += count);
        }
        all.quantile(share)
    }
}

/// Turns counters into rates.
#[derive(Clone, Copy)]
struct Per {
    seconds: f64,
}

impl Per {
    fn second(self, now: u64, before: Option<u64>) -> f64 {
        match before {
            Some(before) if self.seconds > 0.0 => now.saturating_sub(before) as f64 / self.seconds,
            _ => 0.0,
        }
    }
}

/// Where the program is attached, and what it drops now.
fn kernel(now: &Stats, before: Option<&Stats>, per: Per) -> Option<String> {
    let l4 = &now.l4.as_ref()?.status;
    let before = before.and_then(|before| before.l4.as_ref());
    let places = l4.interfaces.iter().map(|place| {
        let mode = place.mode.as_deref().unwrap_or("NOT ATTACHED");
        format!("{} {mode}", place.interface)
    });
    let mut text = format!(
        "kernel data plane: {}",
        places.collect::<Vec<_>>().join(", ")
    );
    let drops = l4.drops.iter().filter_map(|count| {
        let then = before?
            .status
            .drops
            .iter()
            .find(|b| b.reason == count.reason);
        let a_second = per.second(count.packets, then.map(|then| then.packets));
        (a_second > 0.0).then(|| format!("{} {}/s", count.reason, rate(a_second)))
    });
    let drops: Vec<String> = drops.collect();
    if !drops.is_empty() {
        text += &format!("; drops {}", drops.join(", "));
    }
    if let Some(trouble) = &l4.trouble {
        text += &format!("; TROUBLE: {trouble}");
    }
    Some(text)
}

fn services(status: &Status, now: &Stats, before: Option<&Stats>, per: Per) -> Vec<ServiceRow> {
    status
        .services
        .iter()
        .map(|service| {
            let find = |stats: &Stats| {
                let found = stats.services.iter().find(|s| s.name == service.name);
                found.cloned()
            };
            let now = find(now).unwrap_or_default();
            let before = before.and_then(find);
            let rate = |of: fn(&ServiceStats) -> u64| per.second(of(&now), before.as_ref().map(of));
            let durations = match &before {
                Some(before) => now.duration.since(&before.duration),
                None => Histogram::default(),
            };
            ServiceRow {
                name: service.name.clone(),
                listen: service.listen.join(" "),
                connections: now.connections_open,
                rate: rate(ServiceStats::work),
                error_rate: rate(ServiceStats::failures),
                p50: durations.quantile(0.5),
                p99: durations.quantile(0.99),
                received: rate(|s| s.received_bytes),
                sent: rate(|s| s.sent_bytes),
                durations,
            }
        })
        .collect()
}

fn backends(status: &Status, now: &Stats, before: Option<&Stats>, per: Per) -> Vec<BackendRow> {
    let now = by_name(now);
    let before = before.map(by_name).unwrap_or_default();
    let mut rows = Vec::new();
    for pool in &status.pools {
        for backend in &pool.backends {
            let key = (pool.name.as_str(), backend.address.as_str());
            let (now, before) = (now.get(&key), before.get(&key));
            let rate = |of: fn(&BackendStats) -> u64| {
                per.second(now.map_or(0, |b| of(b)), before.map(|b| of(b)))
            };
            rows.push(BackendRow {
                name: format!("{}/{}", pool.name, backend.address),
                state: backend.state,
                since: backend.since_seconds,
                why: backend.whole_why(),
                weight: backend.weight,
                in_flight: now.map_or(0, |b| b.in_flight),
                rate: rate(BackendStats::work),
                error_rate: rate(|b| b.errors.iter().map(|e| e.count).sum()),
                latency: now.and_then(|b| b.latency_seconds),
            });
        }
    }
    rows
}

fn by_name(stats: &Stats) -> HashMap<(&str, &str), &BackendStats> {
    let pools = stats.pools.iter();
    pools
        .flat_map(|pool| {
            let backends = pool.backends.iter();
            backends.map(|b| ((pool.name.as_str(), b.address.as_str()), b))
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::api::model::{
        BackendStatus, DaemonStats, PoolStats, PoolStatus, ResponseCount, ServiceStatus,
    };

    /// A node with one service and two backends, one of them down, that has answered `requests` at `at`.
    pub(in super::super) fn node(at: f64, requests: u64) -> (Status, Stats) {
        let backend = |address: &str, state, why: &str| BackendStatus {
            address: address.into(),
            state,
            why: why.into(),
            weight: 1,
            ..BackendStatus::default()
        };
        let status = Status {
            version: "0.1.0".into(),
            pid: 7,
            services: vec![ServiceStatus {
                name: "shop".into(),
                listen: vec!["http://127.0.0.1:8080".into()],
                ..ServiceStatus::default()
            }],
            pools: vec![PoolStatus {
                name: "web".into(),
                backends: vec![
                    backend("10.0.0.1:80", BackendState::Up, "2 passes in a row"),
                    backend("10.0.0.2:80", BackendState::Down, "connection refused"),
                ],
                ..PoolStatus::default()
            }],
            ..Status::default()
        };
        let stats = Stats {
            at_seconds: at,
            daemon: DaemonStats {
                started_at: 1000.0,
                ..DaemonStats::default()
            },
            services: vec![ServiceStats {
                name: "shop".into(),
                responses: vec![ResponseCount {
                    class: "2xx".into(),
                    count: requests,
                }],
                duration: Histogram {
                    bounds: vec![0.001, 0.01],
                    counts: vec![0, requests, 0],
                    sum_seconds: 0.0,
                },
                ..ServiceStats::default()
            }],
            pools: vec![PoolStats {
                name: "web".into(),
                backends: vec![BackendStats {
                    address: "10.0.0.1:80".into(),
                    requests,
                    in_flight: 4,
                    ..BackendStats::default()
                }],
                ..PoolStats::default()
            }],
            l4: None,
        };
        (status, stats)
    }

    /// The same node with an address that it holds, and a peer that it is in sync with.
    pub(in super::super) fn with_vip(mut status: Status) -> Status {
        use crate::api::model::{L4Status, SyncPeer, SyncStatus};
        status.vips = vec![VipStatus {
            name: "edge".into(),
            group: "edge".into(),
            family: "ipv4".into(),
            addresses: vec!["10.0.0.100/24".into()],
            state: "master".into(),
            since_seconds: 65.0,
            why: "no master was heard for 341ms".into(),
            id: 51,
            priority: 90,
            configured_priority: 150,
            ..VipStatus::default()
        }];
        status.l4 = Some(L4Status {
            sync: Some(SyncStatus {
                in_sync: true,
                peers: vec![SyncPeer {
                    address: "10.0.0.2:8849".into(),
                    ..SyncPeer::default()
                }],
                ..SyncStatus::default()
            }),
            ..L4Status::default()
        });
        status
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let (_, before) = node(10.0, 100);
        let (status, now) = node(12.0, 150);
        let frame = Frame::new(&status, &now, Some(&before));
        assert!((frame.services[0].rate - 25.0).abs() < 1e-9);
        assert!((frame.backends[0].rate - 25.0).abs() < 1e-9);
        assert_eq!(frame.backends[0].in_flight, 4);
        assert_eq!(frame.up(), (1, 2));
        assert!(frame.quantile(0.99).is_some_and(|q| q > 0.001 && q <= 0.01));
    }

    #[test]
    fn the_kernels_drops_are_of_the_time_between_two_looks() {
        use crate::api::model::{Attachment, L4Stats, L4Status, ReasonCount};
        let with = |at: f64, packets: u64| {
            let (status, mut stats) = node(at, 0);
            let count = |reason: &str, packets| ReasonCount {
                reason: reason.into(),
                packets,
            };
            stats.l4 = Some(L4Stats {
                status: L4Status {
                    interfaces: vec![
                        Attachment {
                            interface: "eth0".into(),
                            mode: Some("native".into()),
                            ..Attachment::default()
                        },
                        Attachment {
                            interface: "eth1".into(),
                            ..Attachment::default()
                        },
                    ],
                    drops: vec![count("no-route", packets), count("malformed", 7)],
                    ..L4Status::default()
                },
                services: Vec::new(),
            });
            (status, stats)
        };
        let (_, before) = with(10.0, 100);
        let (status, now) = with(12.0, 150);
        let frame = Frame::new(&status, &now, Some(&before));
        assert_eq!(
            frame.kernel.as_deref(),
            Some("kernel data plane: eth0 native, eth1 NOT ATTACHED; drops no-route 25/s")
        );
        let (status, now) = node(12.0, 0);
        assert_eq!(Frame::new(&status, &now, None).kernel, None);
    }

    #[test]
    fn another_process_begins_again() {
        let (_, mut before) = node(10.0, 100);
        before.daemon.started_at = 500.0;
        let (status, now) = node(12.0, 150);
        let frame = Frame::new(&status, &now, Some(&before));
        assert!(frame.services[0].rate.abs() < 1e-9);
        assert_eq!(frame.services[0].p99, None);
    }
}
