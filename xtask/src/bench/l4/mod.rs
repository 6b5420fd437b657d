//! The kernel data plane: what a packet costs, beside IPVS and by the clock.
//!
//! [`case`] says which packets; [`script`] and [`source`] make them, with programs of the benchmark's own that go on in
//! the balancer as it is shipped ([`balancer`]) or in the kernel's stack ([`stack`]); [`net`] is the place: a network
//! namespace where nanoseconds are counted ([`timed`]), memory is ([`room`]) and changes are timed ([`changes`]), a guest where instructions are ([`counted`]). In both, [`probe`]
//! is this same program, which writes its figures line by line for [`report`] to sum up.

mod balancer;
mod case;
mod changes;
mod compare;
mod counted;
mod net;
pub(crate) mod object;
pub(crate) mod probe;
pub(super) mod report;
mod room;
mod script;
mod source;
mod stack;
mod tap;
mod timed;
mod wire;

pub(super) use net::called;

use super::Options;
use crate::Result;

/// `cargo xtask bench l4`.
pub(super) fn run(options: &Options) -> Result {
    if options.ipvs {
        counted::run(options)
    } else {
        timed::run(options)
    }
}

/// The cases that were asked for, of these names.
fn wanted(options: &Options, known: &[&str]) -> Result<Vec<String>> {
    let unknown = options.case.iter().find(|name| !known.contains(&&***name));
    if let Some(unknown) = unknown {
        return Err(format!("no case {unknown}; there are {}", known.join(", ")));
    }
    Ok(options.case.clone())
}

/// The names of cases.
fn names(cases: &[case::Case]) -> Vec<&'static str> {
    cases.iter().map(|case| case.name).collect()
}
