//! What goes with some protocols or some ways of forwarding only: the keys of `[[service]]` that say `only` in their
//! table, and what that cannot tell. What a service and its pool ask of each other is in [`crate::config::cross`].

use super::{kernel, service::ServiceKeys};
use crate::{
    config::{diagnostic::Problem, kind::Key, walk::Cx},
    spec::{Forward, Listen, Scheme, SynCookies},
};

impl ServiceKeys {
    /// Whether the kernel forwards it. What asks for that and cannot have it counts as carried in user space.
    pub(super) fn is_kernel(&self, form: &str) -> bool {
        *self.forward != Forward::Proxy && form != "http"
    }

    /// Every key belongs to what is listened for, and to how it is forwarded.
    pub(super) fn check_form(&self, scheme: Scheme, form: &str, cx: &mut Cx<'_>) {
        let (name, forward) = (&self.name.value, *self.forward);
        if self.is_kernel(form) {
            self.check_kernel(scheme, cx);
            let because = |key: &Key| {
                let by = format!("service \"{name}\" is forwarded by \"{forward}\"");
                match key.field {
                    "accept_proxy_protocol" => format!(
                        "{by}, and a client's address travels in PROXY protocol only in user space"
                    ),
                    _ => by,
                }
            };
            self.given.only_of(forward.word(), because, cx);
        } else {
            self.check_proxied(form, cx);
            let because = |key: &Key| {
                let by = if is_of_kernel(key) {
                    "is carried in user space".into()
                } else {
                    format!("listens for {form}")
                };
                format!("service \"{name}\" {by}")
            };
            self.given.only_of(form, because, cx);
        }
    }

    fn check_proxied(&self, form: &str, cx: &mut Cx<'_>) {
        if form == "http" && *self.forward != Forward::Proxy {
            let problem = Problem::error(self.forward.span, "http is carried in user space");
            cx.push(problem.help("leave `forward` out, or listen for tcp"));
        }
        for listen in &self.listen.value.0 {
            if listen.scheme == Scheme::Sctp {
                let problem = Problem::error(listen.span, "sctp is carried in the kernel only");
                cx.push(problem.help("write forward = \"nat\", \"direct\" or \"tunnel\""));
            } else if !listen.is_single() {
                let message = "only services that the kernel forwards listen on several ports";
                let problem = Problem::error(listen.span, message);
                cx.push(problem.help("list each port, or write forward = \"nat\""));
            }
        }
    }

    fn check_kernel(&self, scheme: Scheme, cx: &mut Cx<'_>) {
        for listen in &self.listen.value.0 {
            if listen.address.ip().is_unspecified() {
                let message = "the kernel looks for one address, this is all of them";
                let problem = Problem::error(listen.span, message);
                cx.push(problem.help("write the address that clients ask for"));
            } else if listen.address.port() == 0 && !listen.is_all_ports() {
                let ip = listen.address.ip();
                let problem = Problem::error(listen.span, "port 0 is no port to ask for");
                let all = Listen::all_ports(scheme, ip);
                cx.push(problem.help(format!("write \"{all}\" for all ports")));
            }
        }
        let wrong = |key: &str, field: &str, given: bool, fits: bool, what: &str| {
            let place = self.given.place(field).filter(|_| given && !fits)?;
            let message = format!("`{key}` is for {what} only, this service listens for {scheme}");
            Some(Problem::error(place, message).help(format!("leave `{key}` out")))
        };
        let cookies = kernel::syn_cookies(&self.syn_cookies) != SynCookies::Off;
        let (tcp, udp) = (scheme == Scheme::Tcp, scheme == Scheme::Udp);
        let problems = [
            wrong("one-packet", "one_packet", *self.one_packet, udp, "udp"),
            wrong("udp-timeout", "udp_timeout", true, udp, "udp"),
            wrong("quic-lb", "quic_lb", true, udp, "udp"),
            wrong("sloppy", "sloppy", *self.sloppy, !udp, "tcp and sctp"),
            wrong("mss", "mss", true, tcp, "tcp"),
            wrong("syn-cookies", "syn_cookies", cookies, tcp, "tcp"),
        ];
        for problem in problems.into_iter().flatten() {
            cx.push(problem);
        }
        let sloppy = self.given.place("sloppy").filter(|_| *self.sloppy);
        if let Some(place) = sloppy.filter(|_| tcp && cookies) {
            let message = "`sloppy` lets any packet begin a flow, `syn-cookies` only one that brings a cookie back";
            let mut problem = Problem::error(place, message);
            if let Some(other) = self.given.place("syn_cookies") {
                problem = problem.related(other, "asked for here");
            }
            cx.push(problem.help("leave one of the two out"));
        }
    }
}

/// Whether a key is only of services that the kernel forwards.
fn is_of_kernel(key: &Key) -> bool {
    let forwards = [Forward::Nat, Forward::Direct, Forward::Tunnel];
    forwards
        .iter()
        .any(|forward| key.only.contains(&forward.word()))
}
