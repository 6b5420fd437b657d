//! SYN cookies: sequence numbers that bring back what the SYN said, so that nothing is remembered of it (RFC 4987, 3.6).
//!
//! A cookie is a hash, by a secret key, of the tuple, of the client's initial sequence number, of a counter that goes on
//! every 69 seconds, and of the MSS; the MSS, as one of eight, stands in its lowest bits in the open. So 29 bits are the
//! hash's, and a cookie is good for the counter's last two values: one guess in 2^28 opens a connection. [`mod@sip`] is the
//! hash. When cookies are sent and what comes of one that comes back is [`crate::decide`]'s.

mod sip;
#[cfg(test)]
mod tests;

use self::sip::Sip;
use crate::abi::{Family, Tick, Tuple};

/// Bits that say which MSS.
const MSS_BITS: u32 = 7;
/// MSS values that a cookie tells apart: those that are common, of IPv4 and of IPv6. What lies between is as the next
/// lower one; the least is what each IP demands.
const MSS4: [u16; 8] = [536, 1220, 1300, 1360, 1400, 1452, 1460, 8960];
const MSS6: [u16; 8] = [1220, 1280, 1340, 1380, 1420, 1432, 1440, 8940];

/// Ticks of one step of the counter, as a power of two: 69 seconds.
const STEP: u32 = 10;
/// Ticks for which a cookie may come back, at most.
pub const LIFE: u32 = 2 << STEP;

/// The MSS that we offer to clients, as the backend is not known yet: what Ethernet carries.
#[inline(always)]
#[must_use]
pub fn offered<F: Family>() -> u16 {
    if F::IS_V6 { 1440 } else { 1460 }
}

/// The MSS of a SYN that says none (RFC 9293, 3.7.1).
#[inline(always)]
#[must_use]
pub fn assumed<F: Family>() -> u16 {
    if F::IS_V6 { 1220 } else { 536 }
}

/// The counter.
#[inline(always)]
#[must_use]
pub fn counter(now: Tick) -> u32 {
    now.0 >> STEP
}

/// Which of the MSS values stands for one: the largest that is no larger, else the least.
#[inline(always)]
#[must_use]
pub fn index<F: Family>(mss: u16) -> u32 {
    let steps = if F::IS_V6 { MSS6 } else { MSS4 };
    // As comparisons: an array would be a table in memory, which one processor's program would have to be given.
    u32::from(mss >= steps[1])
        + u32::from(mss >= steps[2])
        + u32::from(mss >= steps[3])
        + u32::from(mss >= steps[4])
        + u32::from(mss >= steps[5])
        + u32::from(mss >= steps[6])
        + u32::from(mss >= steps[7])
}

/// The MSS that a cookie says.
#[inline(always)]
#[must_use]
pub fn mss<F: Family>(cookie: u32) -> u16 {
    let steps = if F::IS_V6 { MSS6 } else { MSS4 };
    match cookie & MSS_BITS {
        0 => steps[0],
        1 => steps[1],
        2 => steps[2],
        3 => steps[3],
        4 => steps[4],
        5 => steps[5],
        6 => steps[6],
        _ => steps[7],
    }
}

/// The cookie for a SYN: its tuple, its sequence number, the counter when it came, and the [`fn@index`] of its MSS (or
/// anything with that in its lowest bits, like the cookie itself).
#[inline(always)]
#[must_use]
pub fn make<F: Family>(key: [u64; 2], tuple: &Tuple<F>, isn: u32, counter: u32, index: u32) -> u32 {
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let index = index & MSS_BITS;
    let mut sip = Sip::new(key);
    let (src, dst) = (F::widen(tuple.src), F::widen(tuple.dst));
    let length = if F::IS_V6 {
        sip.word(pair(src.a, src.b));
        sip.word(pair(src.c, src.d));
        sip.word(pair(dst.a, dst.b));
        sip.word(pair(dst.c, dst.d));
        44
    } else {
        sip.word(pair(src.a, dst.a));
        20
    };
    let ports = u32::from(tuple.sport) | u32::from(tuple.dport) << 16;
    sip.word(pair(ports, isn));
    sip.word(pair(counter << 3 | index, length << 24));
    (sip.finish() as u32 & !MSS_BITS) | index
}
