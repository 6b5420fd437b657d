//! Which service a packet is for.

use super::Tables;
use crate::abi::{Endpoint, Family, RangeKey, Tuple, settings_flags};

use super::get;

/// The slot of the service at a packet's destination: by its port, else by a range that covers it, else by the address
/// alone.
#[inline(always)]
pub(super) fn find<F: Family, T: Tables<F>>(tables: &T, tuple: &Tuple<F>) -> Option<u32> {
    let mut endpoint = Endpoint {
        address: tuple.dst,
        port: tuple.dport,
        proto: tuple.proto,
        zero: 0,
    };
    if let Some(slot) = tables.endpoint(&endpoint) {
        return Some(slot);
    }
    let settings = tables.settings()?;
    if get!(settings.flags) & settings_flags::RANGES != 0 {
        let key = RangeKey {
            prefix: RangeKey::<F>::BEFORE_PORT + 16,
            proto: tuple.proto,
            zero1: 0,
            zero2: 0,
            address: tuple.dst,
            port: tuple.dport,
            zero3: 0,
        };
        if let Some(slot) = tables.range(&key) {
            return Some(slot);
        }
    }
    endpoint.port = 0;
    tables.endpoint(&endpoint)
}
