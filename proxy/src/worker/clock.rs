//! The time: precise for what is measured, coarse for deadlines.
//!
//! Reading the coarse clock costs a few nanoseconds (the kernel keeps it in shared memory, up to a tick of about
//! 4 ms old), so nothing needs to cache it; the precise one costs about 30. Both count on one scale.

use control::time::Instant;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now, to the nanosecond.
pub(crate) fn now() -> Instant {
    instant(clock_gettime(ClockId::Monotonic))
}

/// Now, or up to a kernel tick earlier.
pub(crate) fn coarse() -> Instant {
    instant(clock_gettime(ClockId::MonotonicCoarse))
}

/// Milliseconds since 1970, or up to a kernel tick earlier. For people to read, never to measure with.
pub(crate) fn wall_millis() -> u64 {
    let t = clock_gettime(ClockId::RealtimeCoarse);
    t.tv_sec.max(0).cast_unsigned() * 1000 + t.tv_nsec.cast_unsigned() / 1_000_000
}

fn instant(t: Timespec) -> Instant {
    let seconds = t.tv_sec.cast_unsigned();
    Instant::from_nanos(
        seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(t.tv_nsec.cast_unsigned()),
    )
}
