//! What is served is held against the format, by a reader of our own and by promtool where there is one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use super::*;
use crate::api::model::{
    Attachment, BackendStats, CheckStats, ErrorCount, Histogram, IpvsSyncStatus, KernelBackend,
    KernelService, L4Stats, L4Status, PoolStats, ReasonCount, ResponseCount, ServiceStats, Sweep,
    SynCookies, SyncStatus, TableFill, Traffic, VipStatus, VipTransitions,
};

#[path = "../../tests/support/exposition.rs"]
#[expect(unreachable_pub, reason = "shared with the tests of the whole program")]
mod exposition;

fn histogram() -> Histogram {
    Histogram {
        bounds: vec![0.001, 0.0025, 10.0],
        counts: vec![3, 0, 2, 1],
        sum_seconds: 12.5,
    }
}

fn stats() -> Stats {
    let responses = vec![ResponseCount {
        class: "2xx".into(),
        count: 6,
    }];
    let errors = vec![ErrorCount {
        side: "backend".into(),
        reason: "timeout".into(),
        count: 1,
    }];
    let backend = |address: &str| BackendStats {
        address: address.into(),
        latency_seconds: Some(0.02),
        responses: responses.clone(),
        errors: errors.clone(),
        connect_time: histogram(),
        response_time: histogram(),
        checks: vec![CheckStats {
            name: "http".into(),
            passed: 3,
            failed: 1,
            took_seconds: Some(0.001),
        }],
        ..BackendStats::default()
    };
    Stats {
        services: ["shop", "mail"]
            .map(|name| ServiceStats {
                name: name.into(),
                responses: responses.clone(),
                errors: errors.clone(),
                duration: histogram(),
                ..ServiceStats::default()
            })
            .into(),
        pools: vec![PoolStats {
            name: "web".into(),
            backends: vec![backend("10.0.0.1:80"), backend("[2001:db8::1]:80")],
            ..PoolStats::default()
        }],
        daemon: crate::api::model::DaemonStats {
            worker_connections: vec![1, 2],
            ..Default::default()
        },
        l4: Some(l4()),
        ..Stats::default()
    }
}

fn l4() -> L4Stats {
    let backend = |address: &str, connections| KernelBackend {
        address: address.into(),
        takes: true,
        weight: 3,
        active: 2,
        inactive: 5,
        traffic: Traffic {
            connections,
            in_packets: 10,
            out_packets: 20,
            in_bytes: 1000,
            out_bytes: 2000,
        },
        ..KernelBackend::default()
    };
    let count = |reason: &str, packets| ReasonCount {
        reason: reason.into(),
        packets,
    };
    let attached = |interface: &str, mode: Option<&str>| Attachment {
        interface: interface.into(),
        mode: mode.map(Into::into),
        ..Attachment::default()
    };
    L4Stats {
        status: L4Status {
            interfaces: vec![
                attached("eth0", Some("native")),
                attached("eth1", Some("generic")),
                attached("eth2", None),
            ],
            tables: vec![TableFill {
                table: "FLOWS4".into(),
                used: 7,
                size: 1_048_576,
            }],
            drops: vec![count("no-backend", 4)],
            passes: vec![count("not-ours", 99)],
            sweep: Some(Sweep::default()),
            sync: Some(SyncStatus {
                in_sync: true,
                flows_sent: 12,
                stored: vec![count("added", 8)],
                refused: vec![count("forged", 3)],
                ..SyncStatus::default()
            }),
            ipvs_sync: Some(IpvsSyncStatus {
                records_sent: 41,
                untold: vec![count("full-nat", 2)],
                stored: vec![count("updated", 6)],
                refused: vec![count("id", 5)],
                ..IpvsSyncStatus::default()
            }),
            ..L4Status::default()
        },
        services: vec![KernelService {
            name: "vip".into(),
            cookies: Some(SynCookies {
                active: true,
                open: None,
                sent: 31,
                accepted: 30,
                bad: 5,
            }),
            backends: vec![backend("10.0.0.1:80", 6), backend("[2001:db8::1]:80", 7)],
            ..KernelService::default()
        }],
    }
}

#[test]
fn virtual_addresses_have_a_state_and_reasons() {
    let samples = exposition::read(&encode(&status(), &stats())).unwrap();
    for (name, labels, expected) in [
        ("aplomb_vip_state", &[("state", "master")][..], 1.0),
        ("aplomb_vip_state", &[("state", "backup")], 0.0),
        (
            "aplomb_vip_priority",
            &[("vip", "edge"), ("family", "ipv4")],
            150.0,
        ),
        (
            "aplomb_vip_transitions_total",
            &[("reason", "master-down")],
            2.0,
        ),
        (
            "aplomb_vip_adverts_refused_total",
            &[("reason", "checksum")],
            3.0,
        ),
    ] {
        let is = value(&samples, name, labels);
        assert!((is - expected).abs() < 1e-9, "{name}: {is}");
    }
}

#[test]
fn the_kernels_numbers_arrive() {
    let samples = exposition::read(&encode(&status(), &stats())).unwrap();
    let v6 = [("service", "vip"), ("backend", "[2001:db8::1]:80")];
    for (name, more, expected) in [
        ("aplomb_l4_connections_total", None, 7.0),
        ("aplomb_l4_connections_active", None, 2.0),
        ("aplomb_l4_connections_inactive", None, 5.0),
        ("aplomb_l4_backend_weight", None, 3.0),
        ("aplomb_l4_packets_total", Some("in"), 10.0),
        ("aplomb_l4_packets_total", Some("out"), 20.0),
        ("aplomb_l4_bytes_total", Some("in"), 1000.0),
        ("aplomb_l4_bytes_total", Some("out"), 2000.0),
    ] {
        let direction = more.map(|d| ("direction", d));
        let labels: Vec<_> = v6.into_iter().chain(direction).collect();
        let is = value(&samples, name, &labels);
        assert!((is - expected).abs() < 1e-9, "{name}: {is}");
    }
    for (name, label, expected) in [
        ("aplomb_l4_cookies_active", ("service", "vip"), 1.0),
        ("aplomb_l4_cookies_total", ("result", "sent"), 31.0),
        ("aplomb_l4_cookies_total", ("result", "accepted"), 30.0),
        ("aplomb_l4_cookies_total", ("result", "bad"), 5.0),
        ("aplomb_l4_drops_total", ("reason", "no-backend"), 4.0),
        ("aplomb_l4_passes_total", ("reason", "not-ours"), 99.0),
        ("aplomb_l4_table_entries", ("table", "FLOWS4"), 7.0),
        ("aplomb_l4_table_size", ("table", "FLOWS4"), 1_048_576.0),
        ("aplomb_l4_attachment_info", ("mode", "native"), 1.0),
        ("aplomb_l4_attachment_info", ("mode", "none"), 1.0),
        ("aplomb_sync_stored_total", ("result", "added"), 8.0),
        ("aplomb_sync_refused_total", ("reason", "forged"), 3.0),
        ("aplomb_sync_ipvs_untold_total", ("reason", "full-nat"), 2.0),
        ("aplomb_sync_ipvs_stored_total", ("result", "updated"), 6.0),
        ("aplomb_sync_ipvs_refused_total", ("reason", "id"), 5.0),
    ] {
        let is = value(&samples, name, &[label]);
        assert!((is - expected).abs() < 1e-9, "{name}: {is}");
    }
}

#[test]
fn every_metric_is_documented() {
    let documented = include_str!("../../../docs/metrics.md");
    let samples = exposition::read(&encode(&status(), &stats())).unwrap();
    let mut words: BTreeSet<String> = BTreeSet::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for line in documented.lines().filter(|l| l.starts_with('|')) {
        // `aplomb_service_connections`, `…_total`: what is left out is the beginning of the last whole name.
        let mut whole = String::new();
        for word in line.split('`').skip(1).step_by(2) {
            if let Some(end) = word.strip_prefix('…') {
                let ends = whole.match_indices('_').map(|(at, _)| &whole[..at]);
                words.extend(
                    ends.chain([whole.as_str()])
                        .map(|begin| format!("{begin}{end}")),
                );
            } else if word.chars().all(is_name) && word.contains('_') {
                whole = word.into();
                let _ = words.insert(word.into());
            }
        }
    }
    let parts = ["_bucket", "_sum", "_count"];
    for sample in samples.iter().filter(|s| s.name.starts_with("aplomb_")) {
        let name = sample.name.as_str();
        let family = parts.iter().find_map(|part| name.strip_suffix(part));
        let is_there = words.contains(name) || family.is_some_and(|f| words.contains(f));
        assert!(is_there, "docs/metrics.md does not have {name}");
    }
}

fn status() -> Status {
    Status {
        version: "1.0 \"a\\b\"\n".into(),
        vips: vec![VipStatus {
            name: "edge".into(),
            family: "ipv4".into(),
            state: "master".into(),
            priority: 150,
            refused: [("checksum".to_owned(), 3)].into(),
            transitions: vec![VipTransitions {
                to: "master".into(),
                reason: "master-down".into(),
                count: 2,
            }],
            ..VipStatus::default()
        }],
        ..Status::default()
    }
}

fn value(samples: &[exposition::Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &exposition::Sample| {
        labels
            .iter()
            .all(|(n, v)| sample.labels.iter().any(|(a, b)| a == n && b == v))
    };
    let found: Vec<_> = samples
        .iter()
        .filter(|s| s.name == name && has(s))
        .collect();
    assert_eq!(found.len(), 1, "{name}{labels:?}: {found:?}");
    found[0].value
}

#[test]
fn the_format_holds_and_numbers_arrive() {
    let samples = exposition::read(&encode(&status(), &stats())).unwrap();
    let of = |name: &str, labels: &[(&str, &str)]| value(&samples, name, labels);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    near(
        of("aplomb_build_info", &[("version", "1.0 \"a\\b\"\n")]),
        1.0,
    );
    near(
        of(
            "aplomb_service_requests_total",
            &[("service", "shop"), ("class", "2xx")],
        ),
        6.0,
    );
    let shop = ("service", "shop");
    let bucket = "aplomb_service_request_duration_seconds_bucket";
    near(of(bucket, &[shop, ("le", "10")]), 5.0);
    near(of(bucket, &[shop, ("le", "+Inf")]), 6.0);
    let v6 = ("backend", "[2001:db8::1]:80");
    near(of("aplomb_backend_state", &[v6, ("state", "up")]), 1.0);
    near(of("aplomb_backend_state", &[v6, ("state", "down")]), 0.0);
    near(
        of("aplomb_backend_checks_total", &[v6, ("result", "failed")]),
        1.0,
    );
    near(of("aplomb_pool_backends", &[("state", "up")]), 2.0);
}

#[test]
fn labels_are_of_the_configuration_or_of_fixed_sets() {
    let samples = exposition::read(&encode(&status(), &stats())).unwrap();
    let names: BTreeSet<&str> = samples
        .iter()
        .flat_map(|s| s.labels.iter().map(|(name, _)| name.as_str()))
        .collect();
    let known = [
        "backend",
        "check",
        "class",
        "direction",
        "family",
        "interface",
        "le",
        "mode",
        "pool",
        "reason",
        "result",
        "service",
        "side",
        "state",
        "table",
        "version",
        "vip",
        "worker",
    ];
    assert_eq!(names, BTreeSet::from(known));
}

#[test]
fn the_reader_sees_what_is_wrong() {
    let head = "# HELP a_total x\n# TYPE a_total counter\n";
    for (wrong, why) in [
        ("a 1\n".to_owned(), "no type"),
        (format!("{head}a_total 1\na_total 2\n"), "twice"),
        (format!("{head}a_total{{x=\"1}} 1\n"), "an open string"),
        (format!("{head}a_total one\n"), "not a number"),
        (format!("{head}a_total 1"), "no end"),
        (format!("{head}{head}a_total 1\n"), "in pieces"),
        ("# HELP a x\n# TYPE a counter\na 1\n".into(), "no _total"),
        (
            "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n".into(),
            "does not add up",
        ),
    ] {
        assert!(exposition::read(&wrong).is_err(), "{why}");
    }
}

#[test]
fn promtool_agrees() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        // The reader above has checked the same text; this is a second opinion.
        eprintln!("promtool is not installed; only our own reader has looked");
        return;
    };
    let text = encode(&status(), &stats());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}
