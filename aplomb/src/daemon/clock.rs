//! The clock that all instants are of: the system's monotonic one, which the planes read too.

use control::time::Instant;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Now.
pub(crate) fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    Instant::at(Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    ))
}
