//! What the configuration can say and this build cannot do yet. It is understood, and refused here alone.

use super::{diagnostic::Problem, document::Value, section::RootKeys, walk::Cx};
use crate::spec::{Forward, Scheme};

/// Algorithms that only make sense where the kernel balances, by their IPVS names.
const KERNEL_ALGORITHMS: [&str; 7] = ["dh", "lblc", "lblcr", "fo", "ovf", "mh", "wlib"];

/// The problem with an algorithm of the kernel's, if `value` names one.
pub(super) fn algorithm(value: &Value<'_>) -> Option<Problem> {
    let name = value.get_ref().as_str()?;
    if !KERNEL_ALGORITHMS.contains(&name) {
        return None;
    }
    let problem = Problem::error(
        value.span(),
        format!(
            "`{name}` is an algorithm of the kernel data plane, which this build does not have"
        ),
    );
    Some(problem.help(match name {
        "mh" => "write \"maglev\"",
        "fo" | "ovf" => "write \"first\", with max-connections at the backends",
        _ => "write \"maglev\" or \"wlc\"",
    }))
}

/// Complains of all that is asked for and cannot be done.
pub(super) fn refuse(root: &RootKeys, cx: &mut Cx<'_>) {
    for service in &root.service.0 {
        let is_layer_4 = service
            .listen
            .value
            .0
            .iter()
            .all(|listen| matches!(listen.scheme, Scheme::Tcp | Scheme::Udp));
        if *service.forward != Forward::Proxy && is_layer_4 {
            let forward = service.forward.span;
            let word = cx.text.get(forward.start..forward.end).unwrap_or_default();
            let message = format!(
                "forward = {word} is carried by the kernel data plane, which this build does not have"
            );
            let problem = Problem::error(forward, message);
            cx.push(problem.help("write forward = \"proxy\" to carry it in user space"));
        }
        let https = service
            .listen
            .value
            .0
            .iter()
            .find(|listen| listen.scheme == Scheme::Https);
        let place = https
            .map(|listen| listen.span)
            .or(service.tls.as_ref().map(|tls| tls.key));
        if let Some(place) = place {
            let problem = Problem::error(place, "TLS termination is not in this build");
            cx.push(problem.help("listen for http, or pass TLS through as tcp"));
        }
    }
    for vip in &root.vip.0 {
        let problem = Problem::error(vip.span, "virtual addresses are not in this build");
        cx.push(
            problem
                .help("leave [[vip]] out")
                .note("the addresses must be assigned by other means"),
        );
    }
}
