//! Hash tables: `sh` and `mh` by the client, `dh` by the address it asked for.

use super::{super::NO_SLOT, Span, Tables, hash, scan::NEVER};
use crate::abi::{Family, RING_TRIES, Scheduler, Tuple, service_flags};

/// What is hashed.
#[inline(always)]
pub(super) fn key<F: Family>(tuple: &Tuple<F>, scheduler: Scheduler, flags: u32) -> (u32, u32) {
    if scheduler == Scheduler::DestinationHash {
        return (F::fold(tuple.dst), 0);
    }
    let port = if flags & service_flags::HASH_PORT != 0 {
        u32::from(tuple.sport)
    } else {
        0
    };
    (F::fold(tuple.src), port)
}

/// The member that the hash leads to, if it takes new work; with the fallback, the first of further hashes that does.
#[inline(always)]
pub(super) fn look<F: Family, T: Tables<F>>(
    tables: &T,
    span: Span,
    key: (u32, u32),
    flags: u32,
) -> u32 {
    if span.length == 0 {
        return NO_SLOT;
    }
    let mut tries = 0;
    while tries < RING_TRIES {
        let at = hash(key.0, key.1 ^ tries << 16) % span.length;
        let Some(slot) = tables.scheduled(span.start.wrapping_add(at)) else {
            break;
        };
        if tables.weigh(slot, Scheduler::Lc as u32) != NEVER {
            return slot;
        }
        if flags & service_flags::FALLBACK == 0 {
            break;
        }
        tries += 1;
    }
    NO_SLOT
}
