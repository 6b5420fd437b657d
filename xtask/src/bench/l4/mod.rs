//! The kernel data plane: what a packet costs, beside IPVS and by the clock.
//!
//! [`case`] says which packets; [`script`] and [`source`] make them, with programs of the benchmark's own that go on in
//! the balancer as it is shipped ([`balancer`]) or in the kernel's stack ([`stack`]); [`net`] is the place: a network
//! namespace where nanoseconds are counted ([`timed`]) and memory is ([`room`]), a guest where instructions are ([`counted`]). In both, [`probe`]
//! is this same program, which writes its figures line by line for [`report`] to sum up.

mod balancer;
mod case;
mod compare;
mod counted;
mod net;
pub(crate) mod object;
pub(crate) mod probe;
mod report;
mod room;
mod script;
mod source;
mod stack;
mod tap;
mod timed;
mod wire;

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

/// The cases among `all` that were asked for.
fn wanted(options: &Options, all: &[case::Case]) -> Result<Vec<String>> {
    if let Some(unknown) = options
        .case
        .iter()
        .find(|name| all.iter().all(|case| case.name != **name))
    {
        let known: Vec<&str> = all.iter().map(|case| case.name).collect();
        return Err(format!("no case {unknown}; there are {}", known.join(", ")));
    }
    Ok(options.case.clone())
}
