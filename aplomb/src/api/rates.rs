//! Per-second rates for `status`: the counters now against those of some seconds ago.

use std::collections::{HashMap, VecDeque};

use super::model::{ServiceStats, Stats, Status};

/// How many samples are kept, one per second: rates are means over this many seconds.
const SAMPLES: usize = 5;

/// Rates over less than this many seconds say nothing.
const SHORTEST: f64 = 0.2;

/// Counters at one moment.
#[derive(Debug, Default)]
struct Sample {
    at: f64,
    services: HashMap<String, [u64; 4]>,
    backends: HashMap<(String, String), u64>,
}

impl Sample {
    fn of(stats: &Stats) -> Self {
        let backends = stats.pools.iter().flat_map(|pool| {
            let of_pool = pool.backends.iter();
            of_pool.map(|b| ((pool.name.clone(), b.address.clone()), b.work()))
        });
        Self {
            at: stats.at_seconds,
            services: stats
                .services
                .iter()
                .map(|s| (s.name.clone(), counters(s)))
                .collect(),
            backends: backends.collect(),
        }
    }
}

fn counters(service: &ServiceStats) -> [u64; 4] {
    [
        service.work(),
        service.failures(),
        service.received_bytes,
        service.sent_bytes,
    ]
}

/// The counters of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rates {
    samples: VecDeque<Sample>,
}

impl Rates {
    /// Keeps what the counters are now.
    pub(super) fn sample(&mut self, stats: &Stats) {
        self.samples.push_back(Sample::of(stats));
        if self.samples.len() > SAMPLES {
            let _ = self.samples.pop_front();
        }
    }

    /// Puts what only the counters know into a status: what is open, in flight, and how much per second.
    pub(super) fn fill(&self, status: &mut Status, stats: &Stats) {
        let none = Sample::default();
        let then = self.samples.front().unwrap_or(&none);
        let seconds = stats.at_seconds - then.at;
        let rate = |now: u64, then: u64| {
            if seconds < SHORTEST {
                return 0.0;
            }
            now.saturating_sub(then) as f64 / seconds
        };
        for service in &mut status.services {
            let Some(now) = stats.services.iter().find(|s| s.name == service.name) else {
                continue;
            };
            let before = then.services.get(&service.name).copied().unwrap_or([0; 4]);
            let now_counters = counters(now);
            let of = |index: usize| rate(now_counters[index], before[index]);
            service.connections = now.connections_open;
            service.rate = of(0);
            service.error_rate = of(1);
            service.received_rate = of(2);
            service.sent_rate = of(3);
        }
        for pool in &mut status.pools {
            let Some(now) = stats.pools.iter().find(|p| p.name == pool.name) else {
                continue;
            };
            pool.queued = now.queued;
            let by_address: HashMap<&str, _> = now
                .backends
                .iter()
                .map(|b| (b.address.as_str(), b))
                .collect();
            for backend in &mut pool.backends {
                let Some(now) = by_address.get(backend.address.as_str()) else {
                    continue;
                };
                let key = (pool.name.clone(), backend.address.clone());
                let before = then.backends.get(&key).copied().unwrap_or(0);
                backend.in_flight = now.in_flight;
                backend.latency_seconds = now.latency_seconds;
                backend.rate = rate(now.work(), before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::{
        BackendStats, BackendStatus, PoolStats, PoolStatus, ResponseCount, ServiceStatus,
    };

    fn stats(at: f64, requests: u64) -> Stats {
        Stats {
            at_seconds: at,
            services: vec![ServiceStats {
                name: "shop".into(),
                connections_open: 7,
                sent_bytes: requests * 100,
                responses: vec![ResponseCount {
                    class: "2xx".into(),
                    count: requests,
                }],
                ..ServiceStats::default()
            }],
            pools: vec![PoolStats {
                name: "web".into(),
                backends: vec![BackendStats {
                    address: "10.0.0.1:80".into(),
                    in_flight: 3,
                    requests,
                    ..BackendStats::default()
                }],
                ..PoolStats::default()
            }],
            ..Stats::default()
        }
    }

    #[test]
    fn rates_are_of_the_last_seconds() {
        let mut rates = Rates::default();
        for second in 0..20_u32 {
            let requests = if second < 10 {
                0
            } else {
                u64::from(second - 9) * 50
            };
            rates.sample(&stats(f64::from(second), requests));
        }
        let mut status = Status {
            services: vec![ServiceStatus {
                name: "shop".into(),
                ..ServiceStatus::default()
            }],
            pools: vec![PoolStatus {
                name: "web".into(),
                backends: vec![BackendStatus {
                    address: "10.0.0.1:80".into(),
                    ..BackendStatus::default()
                }],
                ..PoolStatus::default()
            }],
            ..Status::default()
        };
        rates.fill(&mut status, &stats(20.0, 550));
        assert_eq!(status.services[0].connections, 7);
        assert!((status.services[0].rate - 50.0).abs() < 1e-9);
        assert!((status.services[0].sent_rate - 5000.0).abs() < 1e-9);
        let backend = &status.pools[0].backends[0];
        assert_eq!(backend.in_flight, 3);
        assert!((backend.rate - 50.0).abs() < 1e-9);
    }
}
