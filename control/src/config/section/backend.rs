//! Backends of a pool.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{address::Address, many::Either, number::Int},
        kind::section,
        walk::{At, Cx},
    },
    spec::BackendSpec,
};

section! {
    /// One server of a pool.
    pub(in crate::config) struct BackendKeys = "a backend" {
        /// Where it listens.
        address: Address, required;
        /// Its share of new work; 0: no new work, what goes on may finish.
        weight: Int<0, 65_535>, default "1";
        /// Takes work only when no other backend can.
        backup: bool, default "false";
        /// The most requests (HTTP) or connections (TCP, UDP) at a time.
        max_connections: Int<1, 4_294_967_295>, absent "no limit";
        /// Takes no work until an operator enables it.
        disabled: bool, default "false";
        /// Where its checks go.
        check_address: Address, absent "to `address`";
    }
}

/// A backend, or its address alone.
pub(in crate::config) type Backend = Either<Address, BackendKeys>;

fn admit(backend: Backend) -> (SocketAddr, Option<Span>, BackendSpec) {
    match backend {
        Either::One(Address(address)) => (
            address,
            None,
            BackendSpec {
                address,
                weight: 1,
                backup: false,
                max_connections: None,
                disabled: false,
                check_address: None,
            },
        ),
        Either::Other(keys) => (
            keys.address.0,
            Some(keys.address.span),
            BackendSpec {
                address: keys.address.0,
                weight: keys.weight.to(),
                backup: *keys.backup,
                max_connections: keys.max_connections.map(|n| n.to()),
                disabled: *keys.disabled,
                check_address: keys.check_address.map(|at| at.0),
            },
        ),
    }
}

/// The backends of `pool`, each address once.
pub(in crate::config) fn admit_all(
    pool: &str,
    list: At<Vec<At<Backend>>>,
    cx: &mut Cx<'_>,
) -> Vec<BackendSpec> {
    let mut first: BTreeMap<SocketAddr, Span> = BTreeMap::new();
    let mut specs = Vec::new();
    for entry in list.value {
        let (address, span, spec) = admit(entry.value);
        let span = span.unwrap_or(entry.span);
        match first.get(&address) {
            Some(before) => {
                let message = format!("backend {address} stands twice in pool \"{pool}\"");
                let problem = Problem::error(span, message).related(*before, "first given here");
                cx.push(problem.help("keep one, and add its weight up"));
            }
            None => {
                let _ = first.insert(address, span);
                specs.push(spec);
            }
        }
    }
    warn(pool, &specs, list.key, cx);
    specs
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
