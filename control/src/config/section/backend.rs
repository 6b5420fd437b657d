//! Backends of a pool.

use std::{collections::BTreeMap, net::SocketAddr};

use super::kernel::{self, Tunnel};
use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            address::{Address, Server},
            many::Either,
            number::Int,
            words::words,
        },
        kind::section,
        walk::{At, Cx},
    },
    spec::{BackendSpec, Forward, ServerId},
};

section! {
    /// One server of a pool.
    pub(in crate::config) struct BackendKeys = "a backend" {
        /// Where it listens. Of kernel services, the port may be left out: it is then the one that the client asked for.
        address: Server, required;
        /// Its share of new work; 0: no new work, what goes on may finish.
        weight: Int<0, 65_535>, default "1";
        /// Takes work only when no other backend can.
        backup: bool, default "false";
        /// The most requests (HTTP) or connections (TCP, UDP) at a time.
        max_connections: Int<1, 4_294_967_295>, absent "no limit";
        /// Kernel services: once full, it takes no new work before it has less than this.
        resume_below: Int<1, 4_294_967_295>, absent "three quarters of `max-connections`";
        /// Takes no work until an operator enables it.
        disabled: bool, default "false";
        /// Where its checks go.
        check_address: Address, absent "to `address`";
        /// Kernel services: reached otherwise than the service says.
        forward: KernelForward, absent "as the service says";
        /// Kernel services: encapsulated otherwise than the service says.
        tunnel: Tunnel, absent "as the service says";
        /// What names it in QUIC connection IDs, in hexadecimal; the service's `quic-lb` says how many bytes.
        server_id: ServerId, absent "connection IDs do not name it";
    }
}

words!(KernelForward {
    "nat" => KernelForward(Forward::Nat), "address translation, both ways through this node";
    "direct" => KernelForward(Forward::Direct), "only the MAC address changes";
    "tunnel" => KernelForward(Forward::Tunnel), "encapsulation";
});

/// How the kernel reaches a backend.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct KernelForward(Forward);

/// A backend, or its address alone.
pub(in crate::config) type Backend = Either<Server, BackendKeys>;

/// Where a backend's address and its keys for kernel services stand.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct BackendPlaces {
    pub(in crate::config) address: Span,
    pub(in crate::config) forward: Option<Span>,
    pub(in crate::config) tunnel: Option<Span>,
    pub(in crate::config) resume_below: Option<Span>,
    pub(in crate::config) server_id: Option<Span>,
}

fn admit(backend: At<Backend>, cx: &mut Cx<'_>) -> (BackendPlaces, BackendSpec) {
    let keys = match backend.value {
        Either::One(Server(address)) => {
            let places = BackendPlaces {
                address: backend.span,
                forward: None,
                tunnel: None,
                resume_below: None,
                server_id: None,
            };
            return (places, BackendSpec::at(address));
        }
        Either::Other(keys) => keys,
    };
    keys.check_thresholds(cx);
    let places = BackendPlaces {
        address: keys.address.span,
        forward: keys.given.place("forward"),
        tunnel: keys.given.place("tunnel"),
        resume_below: keys.given.place("resume_below"),
        server_id: keys.given.place("server_id"),
    };
    let spec = BackendSpec {
        address: keys.address.0,
        weight: keys.weight.to(),
        backup: *keys.backup,
        max_connections: keys.max_connections.map(|n| n.to()),
        resume_below: keys.resume_below.map(|n| n.to()),
        disabled: *keys.disabled,
        check_address: keys.check_address.map(|at| at.0),
        forward: keys.forward.map(|at| at.0),
        tunnel: keys.tunnel.map(|at| kernel::tunnel(at.value, cx)),
        server_id: keys.server_id.map(|at| at.value),
    };
    (places, spec)
}

impl BackendKeys {
    fn check_thresholds(&self, cx: &mut Cx<'_>) {
        let Some(resume) = &self.resume_below else {
            return;
        };
        let Some(most) = &self.max_connections else {
            // One that could not be read was complained of.
            if !self.given.has("max_connections") {
                let message = "`resume-below` needs `max-connections`, which says when it is full";
                cx.push(Problem::error(resume.key, message).help("write max-connections too"));
            }
            return;
        };
        if resume.to::<u32>() > most.to::<u32>() {
            let message = "`resume-below` is more than `max-connections`: it would never be full";
            cx.push(Problem::error(resume.span, message).related(most.span, "the most"));
        }
    }
}

/// The backends of `pool`, each address once.
pub(in crate::config) fn admit_all(
    pool: &str,
    list: At<Vec<At<Backend>>>,
    cx: &mut Cx<'_>,
) -> (Vec<BackendSpec>, Vec<BackendPlaces>) {
    let mut first: BTreeMap<SocketAddr, Span> = BTreeMap::new();
    let (mut specs, mut places) = (Vec::new(), Vec::new());
    for entry in list.value {
        let (place, spec) = admit(entry, cx);
        let (address, span) = (spec.address, place.address);
        match first.get(&address) {
            Some(before) => {
                let shown = shown(address);
                let message = format!("backend {shown} stands twice in pool \"{pool}\"");
                let problem = Problem::error(span, message).related(*before, "first given here");
                cx.push(problem.help("keep one, and add its weight up"));
            }
            None => {
                let _ = first.insert(address, span);
                specs.push(spec);
                places.push(place);
            }
        }
    }
    warn(pool, &specs, list.key, cx);
    (specs, places)
}

/// An address as the configuration has it: without the port that it does not say.
pub(in crate::config) fn shown(address: SocketAddr) -> String {
    match address.port() {
        0 => address.ip().to_string(),
        _ => address.to_string(),
    }
}

fn warn(pool: &str, specs: &[BackendSpec], at: Span, cx: &mut Cx<'_>) {
    let message = if specs.is_empty() {
        format!("pool \"{pool}\" has no backends")
    } else if specs.iter().all(|spec| spec.weight == 0) {
        format!("all backends of pool \"{pool}\" have weight 0: none takes new work")
    } else if specs.iter().all(|spec| spec.disabled) {
        format!("all backends of pool \"{pool}\" are disabled")
    } else {
        return;
    };
    cx.push(Problem::warning(at, message));
}
