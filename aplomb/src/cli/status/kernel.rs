//! The kernel data plane in `aplomb status`.

use super::super::table::{Table, bytes, rate};
use crate::api::model::{
    KernelBackend, L4Status, PoolStatus, ReasonCount, ServiceStatus, SynCookies,
};

/// Where it is attached, how full it is, what it dropped, what went wrong.
pub(super) fn plane(l4: &L4Status) -> String {
    let mut text = format!("\nkernel data plane: generation {}", l4.generation);
    if l4.interfaces.is_empty() {
        text += ", attached nowhere";
    }
    text += "\n";
    if let Some(trouble) = &l4.trouble {
        text += &format!("  TROUBLE, it is tried again: {trouble}\n");
    }
    text += &interfaces(l4);
    let filled: Vec<String> = l4
        .tables
        .iter()
        .filter(|table| table.used > 0)
        .map(|table| {
            let share = table.used as f64 / table.size.max(1) as f64 * 100.0;
            format!("{} {} ({share:.0}%)", table.table, table.used)
        })
        .collect();
    if !filled.is_empty() {
        text += &format!("  entries: {}\n", filled.join(", "));
    }
    let dropped = happened(&l4.drops);
    if !dropped.is_empty() {
        text += &format!("  dropped packets: {dropped}\n");
    }
    text
}

fn interfaces(l4: &L4Status) -> String {
    if l4.interfaces.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["INTERFACE", "XDP", ""]);
    for place in &l4.interfaces {
        table.row(vec![
            place.interface.clone(),
            place.mode.clone().unwrap_or_else(|| "NOT ATTACHED".into()),
            place.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render("  ")
}

/// What happened at all, the most frequent first.
fn happened(counts: &[ReasonCount]) -> String {
    let mut counts: Vec<&ReasonCount> = counts.iter().filter(|count| count.packets > 0).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.packets));
    let words: Vec<String> = counts
        .iter()
        .map(|count| format!("{} {}", count.reason, count.packets))
        .collect();
    words.join(", ")
}

/// The backends of a service of the kernel, as the kernel has them.
pub(super) fn service(service: &ServiceStatus) -> String {
    let Some(kernel) = &service.kernel else {
        return String::new();
    };
    let mut text = format!(
        "\nservice {}: {}, {}, {} active and {} inactive connections\n",
        service.name, service.kind, kernel.balance, kernel.active, kernel.inactive
    );
    text += &kernel.cookies.as_ref().map_or_else(String::new, cookies);
    let mut table = Table::new(&[
        "BACKEND",
        "FORWARD",
        ">WEIGHT",
        ">ACTIVE",
        ">INACT",
        ">PERSIST",
        ">CONNS",
        ">CONNS/S",
        ">PKTS IN/S",
        ">PKTS OUT/S",
        ">IN/S",
        ">OUT/S",
        "",
    ]);
    for backend in &kernel.backends {
        let rates = &backend.rates;
        table.row(vec![
            backend.address.clone(),
            backend.tunnel.as_ref().map_or_else(
                || backend.forward.clone(),
                |tunnel| format!("{} {tunnel}", backend.forward),
            ),
            backend.weight.to_string(),
            backend.active.to_string(),
            backend.inactive.to_string(),
            backend.persistent.to_string(),
            backend.traffic.connections.to_string(),
            rate(rates.connections as f64),
            rate(rates.in_packets as f64),
            rate(rates.out_packets as f64),
            bytes(rates.in_bytes as f64),
            bytes(rates.out_bytes as f64),
            remark(backend),
        ]);
    }
    text += &table.render("  ");
    text
}

fn cookies(cookies: &SynCookies) -> String {
    let on = if cookies.active { "on" } else { "off" };
    let open = match cookies.open {
        Some(open) => format!(" ({open} handshakes open)"),
        None => String::new(),
    };
    format!(
        "  SYN cookies: {on}{open}, {} sent, {} accepted, {} bad\n",
        cookies.sent, cookies.accepted, cookies.bad
    )
}

fn remark(backend: &KernelBackend) -> String {
    let left = backend.connections();
    let state = match (backend.removed, backend.drains()) {
        (true, _) => format!("removed, {left} left"),
        (false, true) => format!("takes no new ones, {left} left"),
        (false, false) if !backend.takes => "takes no new ones".into(),
        (false, false) => String::new(),
    };
    if !backend.full {
        return state;
    }
    let gap = if state.is_empty() { "" } else { ", " };
    format!("{state}{gap}full: {left} of {}", backend.upper)
}

/// Whether the kernel forwards to backends of a pool.
pub(super) fn serves(pool: &PoolStatus) -> bool {
    pool.backends.iter().any(|backend| backend.kernel.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::{Attachment, KernelService, TableFill, Traffic};

    #[test]
    fn where_it_is_attached_and_what_it_lost_shows() {
        let text = plane(&L4Status {
            generation: 4,
            interfaces: vec![
                Attachment {
                    interface: "eth0".into(),
                    mode: Some("native".into()),
                    ..Attachment::default()
                },
                Attachment {
                    interface: "eth1".into(),
                    reason: Some("the driver refused it".into()),
                    ..Attachment::default()
                },
            ],
            tables: vec![TableFill {
                table: "FLOWS4".into(),
                used: 25,
                size: 100,
            }],
            drops: vec![
                ReasonCount {
                    reason: "no-route".into(),
                    packets: 2,
                },
                ReasonCount {
                    reason: "no-backend".into(),
                    packets: 9,
                },
                ReasonCount {
                    reason: "malformed".into(),
                    packets: 0,
                },
            ],
            trouble: Some("no memory for a table".into()),
            ..L4Status::default()
        });
        for expected in [
            "generation 4\n",
            "TROUBLE, it is tried again: no memory for a table\n",
            "  eth0       native\n",
            "  eth1       NOT ATTACHED  the driver refused it\n",
            "entries: FLOWS4 25 (25%)\n",
            "dropped packets: no-backend 9, no-route 2\n",
        ] {
            assert!(text.contains(expected), "{expected}:\n{text}");
        }
    }

    #[test]
    fn a_service_shows_its_backends_and_what_is_left_on_them() {
        let backend = |address: &str, takes, left| KernelBackend {
            address: address.into(),
            forward: "tunnel".into(),
            tunnel: Some("gue:6080".into()),
            weight: 3,
            takes,
            inactive: left,
            rates: Traffic {
                in_packets: 1200,
                ..Traffic::default()
            },
            ..KernelBackend::default()
        };
        let text = service(&ServiceStatus {
            name: "vip".into(),
            kind: "tunnel".into(),
            kernel: Some(KernelService {
                balance: "wlc".into(),
                inactive: 17,
                cookies: Some(SynCookies {
                    active: true,
                    open: Some(9000),
                    sent: 12,
                    accepted: 3,
                    bad: 1,
                }),
                backends: vec![
                    backend("10.0.0.1:80", true, 5),
                    backend("10.0.0.2:80", false, 12),
                ],
                ..KernelService::default()
            }),
            ..ServiceStatus::default()
        });
        assert!(
            text.contains("service vip: tunnel, wlc, 0 active and 17 inactive connections\n"),
            "{text}"
        );
        assert!(
            text.contains("  10.0.0.1:80  tunnel gue:6080       3       0      5 "),
            "{text}"
        );
        assert!(
            text.contains(
                "\n  SYN cookies: on (9000 handshakes open), 12 sent, 3 accepted, 1 bad\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("takes no new ones, 12 left\n"), "{text}");
        assert_eq!(service(&ServiceStatus::default()), "");
    }
}
