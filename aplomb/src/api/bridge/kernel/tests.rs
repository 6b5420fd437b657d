//! A plane with two services, shown.
#![expect(clippy::unwrap_used, reason = "tests")]

use l4::{
    explain::{Explanation, Question},
    trace::{Listener, Refused},
};

use super::*;
use crate::api::model::{BackendStatus, PoolStatus, ServiceStatus};

fn backend(address: &str, takes: bool) -> theirs::BackendStatistics {
    theirs::BackendStatistics {
        address: address.parse().unwrap(),
        method: theirs::Method::Tunnel,
        tunnel: Some(theirs::Tunnel {
            kind: "gue".into(),
            port: 6080,
            checksum: true,
        }),
        weight: 2,
        takes,
        removed: false,
        upper: 0,
        lower: 0,
        full: false,
        active: 3,
        inactive: 4,
        persistent: 1,
        traffic: theirs::Traffic {
            connections: 10,
            in_packets: 100,
            out_packets: 50,
            in_bytes: 6000,
            out_bytes: 90_000,
        },
        rates: theirs::Rates {
            connections: 1,
            ..theirs::Rates::default()
        },
    }
}

fn vip(name: &str) -> theirs::ServiceStatus {
    theirs::ServiceStatus {
        name: name.parse().unwrap(),
        pool: "web".parse().unwrap(),
        listen: vec!["tcp://192.0.2.1:80".into()],
        balance: "wlc".into(),
        active: 6,
        inactive: 8,
        persistent: 2,
        traffic: theirs::Traffic {
            connections: 20,
            in_bytes: 12_000,
            ..theirs::Traffic::default()
        },
        rates: theirs::Rates::default(),
        cookies: None,
        backends: vec![backend("10.0.0.1:80", true), backend("10.0.0.2:80", false)],
    }
}

struct Fake;

impl Kernel for Fake {
    fn runs(&self) -> bool {
        true
    }

    fn status(&self) -> theirs::L4Status {
        theirs::L4Status::default()
    }

    fn services(&self) -> Vec<theirs::ServiceStatus> {
        vec![vip("a"), vip("b")]
    }

    fn zero(&self, _service: Option<&Name>) {}

    fn explain(&self, questions: &[Question]) -> Vec<Explanation> {
        questions.iter().map(|_| Explanation::default()).collect()
    }

    fn trace(&self, _filter: Filter, _per_second: u32) -> Result<Listener, Refused> {
        Err(Refused::TooMany)
    }

    fn connections(&self, limit: usize) -> Vec<theirs::Connection> {
        let one = |port: u16| theirs::Connection {
            protocol: 6,
            expires: 900,
            state: "ESTABLISHED".into(),
            client: ([192, 0, 2, 9], port).into(),
            target: ([192, 0, 2, 1], 80).into(),
            backend: ([10, 0, 0, 1], 80).into(),
            service: Some("a".parse().unwrap()),
            template: false,
            pending: false,
        };
        (1000..1100).map(one).take(limit).collect()
    }
}

fn counted() -> Stats {
    let mut stats = Stats {
        services: vec![ServiceStats {
            name: "shop".into(),
            ..ServiceStats::default()
        }],
        pools: vec![PoolStats {
            name: "api".into(),
            ..PoolStats::default()
        }],
        ..Stats::default()
    };
    count(&mut stats, &Fake.status(), &Fake.services());
    stats
}

#[test]
fn what_the_kernel_counts_is_the_services_and_the_pools() {
    let stats = counted();
    let names: Vec<&str> = stats.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "shop"]);
    assert_eq!(stats.services[0].connections_open, 14);
    assert_eq!(stats.services[0].work(), 20);
    // Both services lead to the pool, so its backends carry the connections of both.
    let names: Vec<&str> = stats.pools.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["api", "web"]);
    let first = &stats.pools[1].backends[0];
    assert_eq!((first.in_flight, first.work()), (14, 20));
    assert_eq!((first.sent_bytes, first.received_bytes), (12_000, 180_000));
}

#[test]
fn a_status_shows_loads_and_what_a_drain_has_left() {
    let stats = counted();
    let service = |name: &str| ServiceStatus {
        name: name.into(),
        pools: vec!["web".into()],
        ..ServiceStatus::default()
    };
    let mut status = Status {
        services: vec![service("a"), service("b"), service("shop")],
        pools: vec![PoolStatus {
            name: "web".into(),
            backends: ["10.0.0.1:80", "10.0.0.9:80"]
                .map(|address| BackendStatus {
                    address: address.into(),
                    ..BackendStatus::default()
                })
                .into(),
            ..PoolStatus::default()
        }],
        ..Status::default()
    };
    show(&mut status, &stats.l4.unwrap());
    let kernel = status.services[0].kernel.as_ref().unwrap();
    assert_eq!(
        kernel.backends[0].tunnel.as_deref(),
        Some("gue:6080 with checksum")
    );
    assert!(status.services[2].kernel.is_none());
    let load = status.pools[0].backends[0].kernel.unwrap();
    assert_eq!((load.active, load.inactive, load.persistent), (6, 8, 2));
    assert_eq!(status.pools[0].backends[1].kernel, None);
    let draining = status.l4.unwrap().draining;
    let left: Vec<(&str, u64)> = draining
        .iter()
        .map(|d| (d.backend.as_str(), d.left))
        .collect();
    assert_eq!(left, [("10.0.0.2:80", 7), ("10.0.0.2:80", 7)]);
}

#[test]
fn connections_are_filtered_and_bounded() {
    let ask = |pairs: &[(&str, &str)], limit| {
        let filter = Filter::of(pairs.iter().copied()).unwrap();
        connections(&Fake, &filter, limit)
    };
    let all = ask(&[], 10);
    assert_eq!(
        (all.connections.len(), all.looked_at, all.more),
        (10, 100, true)
    );
    let one = ask(&[("port", "1007"), ("service", "a")], 10);
    assert_eq!((one.connections.len(), one.more), (1, false));
    assert_eq!(one.connections[0].protocol, "tcp");
    assert_eq!(ask(&[("client", "192.0.2.8")], 10).connections.len(), 0);
}
