//! How busy backends are: counts of connections, and whether one is full.

use super::{Entry, Tables, get, part, put};
use crate::abi::{Backend, Family, FlowState, Load, flow_flags};

/// Counts a packet of a backend: `reply` if it came from it.
#[inline(always)]
pub fn count<F: Family, T: Tables<F>>(tables: &T, backend: u32, length: u32, reply: bool) {
    let Some(counters) = tables.counters(backend) else {
        return;
    };
    if reply {
        put!(counters.out_packets = get!(counters.out_packets).wrapping_add(1));
        put!(counters.out_bytes = get!(counters.out_bytes).wrapping_add(u64::from(length)));
    } else {
        put!(counters.in_packets = get!(counters.in_packets).wrapping_add(1));
        put!(counters.in_bytes = get!(counters.in_bytes).wrapping_add(u64::from(length)));
    }
}

/// Whether a backend has all the connections that it may have (`-x`). Once full, it stays so until it has fewer than
/// `lower` (`-y`), or without that, three quarters of `upper`.
#[inline(always)]
pub fn is_full(backend: Entry<Backend>, load: Entry<Load>) -> bool {
    let upper = get!(backend.upper);
    if upper == 0 {
        return false;
    }
    let all = u64::from(get!(load.active)) + u64::from(get!(load.inactive));
    if get!(load.full) != 0 {
        let lower = u64::from(get!(backend.lower));
        let below = if lower != 0 {
            all < lower
        } else {
            all * 4 < u64::from(upper) * 3
        };
        if below {
            put!(load.full = 0);
        }
        return !below;
    }
    if all >= u64::from(upper) {
        put!(load.full = 1);
        return true;
    }
    false
}

/// A flow begins: it counts among the backend's.
#[inline(always)]
pub(super) fn begins<F: Family, T: Tables<F>>(
    tables: &T,
    slot: u32,
    backend: Entry<Backend>,
    active: bool,
) {
    if let Some(load) = tables.load(slot) {
        tables.bump(
            if active {
                part!(load.active)
            } else {
                part!(load.inactive)
            },
            1,
        );
        // The one that fills it sets the mark, as IPVS does: it stays when others end before the next is chosen.
        let _ = is_full(backend, load);
    }
}

/// A flow ends.
#[inline(always)]
pub(super) fn ends<F: Family, T: Tables<F>>(tables: &T, backend: u32, active: bool) {
    if let Some(load) = tables.load(backend) {
        let number = if active {
            part!(load.active)
        } else {
            part!(load.inactive)
        };
        tables.bump(number, 1_u32.wrapping_neg());
    }
}

/// A flow with these flags comes into a state: what its flags become.
#[inline(always)]
pub(super) fn moves<F: Family, T: Tables<F>>(
    tables: &T,
    backend: u32,
    flags: u8,
    state: FlowState,
) -> u8 {
    let was = flags & flow_flags::ACTIVE != 0;
    let is = state.is_active();
    if was == is {
        return flags;
    }
    if let Some(load) = tables.load(backend) {
        let (from, to) = if is {
            (part!(load.inactive), part!(load.active))
        } else {
            (part!(load.active), part!(load.inactive))
        };
        tables.bump(from, 1_u32.wrapping_neg());
        tables.bump(to, 1);
    }
    flags ^ flow_flags::ACTIVE
}
