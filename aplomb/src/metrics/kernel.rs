//! Metrics of the kernel data plane.

use super::text::{Kind, Text};
use crate::api::model::{KernelBackend, KernelService, L4Stats, L4Status, Sweep, Traffic};

/// A metric that is one number of a backend of one service.
type Number = (Kind, &'static str, &'static str, fn(&KernelBackend) -> u64);

const NUMBERS: [Number; 6] = [
    (
        Kind::Counter,
        "aplomb_l4_connections_total",
        "Connections given to a backend.",
        |b| b.traffic.connections,
    ),
    (
        Kind::Gauge,
        "aplomb_l4_connections_active",
        "Connections that count as active.",
        |b| b.active,
    ),
    (
        Kind::Gauge,
        "aplomb_l4_connections_inactive",
        "Connections that are still remembered but not active; all of UDP.",
        |b| b.inactive,
    ),
    (
        Kind::Gauge,
        "aplomb_l4_persistent_clients",
        "Clients that are remembered (persistence).",
        |b| b.persistent,
    ),
    (
        Kind::Gauge,
        "aplomb_l4_backend_weight",
        "The weight as it counts now; 0: no new connections.",
        |b| if b.takes { b.weight.into() } else { 0 },
    ),
    (
        Kind::Gauge,
        "aplomb_l4_backend_full",
        "Whether it has as many connections as it may have.",
        |b| b.full.into(),
    ),
];

/// A metric that has a direction.
type Flow = (&'static str, &'static str, [fn(&Traffic) -> u64; 2]);

const FLOWS: [Flow; 2] = [
    (
        "aplomb_l4_packets_total",
        "Packets, in: from clients, out: to clients (only nat sees them).",
        [|t| t.in_packets, |t| t.out_packets],
    ),
    (
        "aplomb_l4_bytes_total",
        "Bytes with IP headers, in: from clients, out: to clients (only nat sees them).",
        [|t| t.in_bytes, |t| t.out_bytes],
    ),
];

/// All of them.
pub(super) fn encode(text: &mut Text, stats: &L4Stats) {
    for (kind, name, help, value) in NUMBERS {
        let mut family = text.family(kind, name, help);
        each(stats, |labels, backend| {
            family.count(labels, value(backend))
        });
    }
    for (name, help, values) in FLOWS {
        let mut family = text.family(Kind::Counter, name, help);
        each(stats, |labels, backend| {
            for (direction, value) in ["in", "out"].iter().zip(values) {
                let labels = [labels[0], labels[1], ("direction", direction)];
                family.count(&labels, value(&backend.traffic));
            }
        });
    }
    cookies(text, &stats.services);
    reasons(text, &stats.status);
    tables(text, &stats.status);
    plane(text, &stats.status);
}

fn each(stats: &L4Stats, mut work: impl FnMut(&[(&str, &str); 2], &KernelBackend)) {
    for service in &stats.services {
        for backend in &service.backends {
            let labels = [
                ("service", service.name.as_str()),
                ("backend", backend.address.as_str()),
            ];
            work(&labels, backend);
        }
    }
}

fn cookies(text: &mut Text, services: &[KernelService]) {
    let with = || services.iter().filter_map(|s| Some((&s.name, s.cookies?)));
    if with().next().is_none() {
        return;
    }
    let mut active = text.family(
        Kind::Gauge,
        "aplomb_l4_cookies_active",
        "Whether SYNs are answered with cookies.",
    );
    for (name, cookies) in with() {
        active.count(&[("service", name)], cookies.active.into());
    }
    let mut total = text.family(
        Kind::Counter,
        "aplomb_l4_cookies_total",
        "SYN cookies, sent: SYNs answered with one, accepted: connections begun with one, bad: acknowledgements of none.",
    );
    for (name, cookies) in with() {
        for (result, count) in [
            ("sent", cookies.sent),
            ("accepted", cookies.accepted),
            ("bad", cookies.bad),
        ] {
            total.count(&[("service", name), ("result", result)], count);
        }
    }
}

fn reasons(text: &mut Text, status: &L4Status) {
    for (name, help, counts) in [
        (
            "aplomb_l4_drops_total",
            "Packets of services that were dropped, by reason.",
            &status.drops,
        ),
        (
            "aplomb_l4_passes_total",
            "Packets left to the machine's own network stack, by reason.",
            &status.passes,
        ),
    ] {
        let mut family = text.family(Kind::Counter, name, help);
        for count in counts {
            family.count(&[("reason", &count.reason)], count.packets);
        }
    }
}

fn tables(text: &mut Text, status: &L4Status) {
    let mut used = text.family(
        Kind::Gauge,
        "aplomb_l4_table_entries",
        "Entries of a table as of the last sweep.",
    );
    for table in &status.tables {
        used.count(&[("table", &table.table)], table.used);
    }
    let mut size = text.family(
        Kind::Gauge,
        "aplomb_l4_table_size",
        "The most entries a table holds.",
    );
    for table in &status.tables {
        size.count(&[("table", &table.table)], table.size);
    }
}

fn plane(text: &mut Text, status: &L4Status) {
    let mut attached = text.family(
        Kind::Gauge,
        "aplomb_l4_attachment_info",
        "Where the program is attached; 1 for each interface and its mode: native, generic or none.",
    );
    for place in &status.interfaces {
        let mode = place.mode.as_deref().unwrap_or("none");
        let labels = [("interface", place.interface.as_str()), ("mode", mode)];
        attached.count(&labels, 1);
    }
    text.single(
        Kind::Gauge,
        "aplomb_l4_plan_generation",
        "The plan that the kernel data plane carried out last.",
        status.generation as f64,
    );
    text.single(
        Kind::Gauge,
        "aplomb_l4_in_trouble",
        "Whether something of that did not work, so that it is tried again.",
        f64::from(u8::from(status.trouble.is_some())),
    );
    if let Some(sweep) = &status.sweep {
        swept(text, sweep);
    }
}

fn swept(text: &mut Text, sweep: &Sweep) {
    for (name, help, value) in [
        (
            "aplomb_l4_sweep_duration_seconds",
            "How long the last sweep through all connections took.",
            sweep.seconds,
        ),
        (
            "aplomb_l4_sweep_entries",
            "Entries that the last sweep looked at.",
            sweep.entries as f64,
        ),
        (
            "aplomb_l4_sweep_corrected",
            "Backends whose counts the last sweep had to put right; should stay near 0.",
            sweep.corrected as f64,
        ),
    ] {
        text.single(Kind::Gauge, name, help, value);
    }
}
