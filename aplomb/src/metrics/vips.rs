//! Metrics of virtual addresses.

use super::text::{Kind, Text};
use crate::api::model::VipStatus;

const STATES: [&str; 4] = ["initialize", "fault", "backup", "master"];

/// All of them; nothing without vips.
pub(super) fn encode(text: &mut Text, vips: &[VipStatus]) {
    if vips.is_empty() {
        return;
    }
    let mut states = text.family(
        Kind::Gauge,
        "aplomb_vip_state",
        "What this node is for a vip: 1 for the state it has.",
    );
    for vip in vips {
        for state in STATES {
            let labels = [
                ("vip", &*vip.name),
                ("family", &*vip.family),
                ("state", state),
            ];
            states.count(&labels, u64::from(vip.state == state));
        }
    }
    let gauge = |name, help, of: fn(&VipStatus) -> f64| (Kind::Gauge, name, help, of);
    let counter = |name, help, of: fn(&VipStatus) -> f64| (Kind::Counter, name, help, of);
    for (kind, name, help, of) in [
        gauge(
            "aplomb_vip_priority",
            "Its VRRP priority, with what tracking took or gave.",
            |v| f64::from(v.priority),
        ),
        gauge(
            "aplomb_vip_split_brain",
            "Whether another node is master too.",
            |v| f64::from(u8::from(v.split_brain_with.is_some())),
        ),
        counter(
            "aplomb_vip_split_brains_total",
            "How often another node was master too.",
            |v| v.split_brains as f64,
        ),
        counter("aplomb_vip_adverts_sent_total", "VRRP adverts sent.", |v| {
            v.adverts_sent as f64
        }),
        counter(
            "aplomb_vip_adverts_received_total",
            "VRRP adverts taken.",
            |v| v.adverts_received as f64,
        ),
        counter(
            "aplomb_vip_releases_sent_total",
            "VRRP adverts sent with priority 0.",
            |v| v.releases_sent as f64,
        ),
        counter(
            "aplomb_vip_releases_received_total",
            "VRRP adverts taken with priority 0.",
            |v| v.releases_received as f64,
        ),
        counter(
            "aplomb_vip_send_errors_total",
            "VRRP adverts that could not be sent.",
            |v| v.send_errors as f64,
        ),
    ] {
        let mut family = text.family(kind, name, help);
        for vip in vips {
            family.sample(&[("vip", &vip.name), ("family", &vip.family)], of(vip));
        }
    }
    let mut transitions = text.family(
        Kind::Counter,
        "aplomb_vip_transitions_total",
        "Changes of state, by what it became and why.",
    );
    for vip in vips {
        for change in &vip.transitions {
            let labels = [
                ("vip", &*vip.name),
                ("family", &*vip.family),
                ("state", &*change.to),
                ("reason", &*change.reason),
            ];
            transitions.count(&labels, change.count);
        }
    }
    let mut refused = text.family(
        Kind::Counter,
        "aplomb_vip_adverts_refused_total",
        "VRRP adverts that were not obeyed, by the reason.",
    );
    for vip in vips {
        for (reason, count) in &vip.refused {
            let labels = [
                ("vip", &*vip.name),
                ("family", &*vip.family),
                ("reason", &**reason),
            ];
            refused.count(&labels, *count);
        }
    }
}
