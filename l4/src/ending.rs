//! When flows and persistence templates end, as the sweep sees it: without tables, so that it can be held against IPVS
//! in any time one likes.

use xdp::abi::{Family, Flow, Tick, flow_flags};

/// How long an expired template goes on while connections hang on it, ticks.
const EXTENSION: u32 = Tick::in_seconds(60);

/// Whether a flow's time is up, in both directions: as the program sees it. `flow` is the client's direction's entry;
/// `other` finds the other one's, and is asked only if it matters.
#[must_use]
pub fn is_over<F: Family>(
    flow: &Flow<F>,
    now: Tick,
    other: impl FnOnce() -> Option<Flow<F>>,
) -> bool {
    if !now.is_past(flow.expires) {
        return false;
    }
    if flow.flags & flow_flags::ONE_WAY != 0 {
        return true;
    }
    other().is_none_or(|other| now.is_past(other.expires))
}

/// Until when a template goes on; none: it ends. `held`: connections hang on it.
#[must_use]
pub fn prolonged(expires: u32, now: Tick, held: bool) -> Option<u32> {
    match (now.is_past(expires), held) {
        (false, _) => Some(expires),
        (true, true) => Some(now.0.wrapping_add(EXTENSION)),
        (true, false) => None,
    }
}
