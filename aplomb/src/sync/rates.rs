//! How much in a second: of what was told and what was heard.

use std::time::{Duration, Instant};

/// What was counted a second ago, and what came since.
#[derive(Debug)]
pub(super) struct Rates {
    at: Instant,
    before: (u64, u64),
    now: (u64, u64),
}

impl Rates {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            at: now,
            before: (0, 0),
            now: (0, 0),
        }
    }

    /// A second's worth, of what is counted until now.
    pub(super) fn of(&mut self, counted: (u64, u64), now: Instant) -> (u64, u64) {
        let passed = now.duration_since(self.at);
        if passed >= Duration::from_secs(1) {
            let millis = u64::try_from(passed.as_millis()).unwrap_or(1000).max(1);
            let rate = |now: u64, before: u64| (now - before) * 1000 / millis;
            self.now = (
                rate(counted.0, self.before.0),
                rate(counted.1, self.before.1),
            );
            (self.at, self.before) = (now, counted);
        }
        self.now
    }
}
