//! A budget for retries: when backends fail, trying again must not become the load that keeps them down.

use std::{cell::Cell, time::Duration};

use control::{spec::Share, time::Instant};

/// Half of the time that is looked at.
const HALF: Duration = Duration::from_secs(5);

/// Retries that are always allowed within that time, so that a share of few requests is not none: some five to ten a second.
const FLOOR: u32 = 50;

/// What one worker counted of one service in the last five to ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    since: Cell<Instant>,
    now: Cell<Counts>,
    before: Cell<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u32,
    retries: u32,
}

impl Budget {
    /// Counts a request.
    pub(crate) fn request(&self, at: Instant) {
        self.turn(at);
        let mut now = self.now.get();
        now.requests += 1;
        self.now.set(now);
    }

    /// Whether a retry is within `share` of the requests; if so, it is counted.
    pub(crate) fn take_retry(&self, at: Instant, share: Share) -> bool {
        self.turn(at);
        let (mut now, before) = (self.now.get(), self.before.get());
        let requests = u64::from(now.requests) + u64::from(before.requests);
        let allowed = (requests * u64::from(share.thousandths()) / 1000).max(u64::from(FLOOR));
        if share == Share::NONE || u64::from(now.retries) + u64::from(before.retries) >= allowed {
            return false;
        }
        now.retries += 1;
        self.now.set(now);
        true
    }

    fn turn(&self, at: Instant) {
        let age = at.saturating_since(self.since.get());
        if age < HALF {
            return;
        }
        let before = if age < HALF * 2 {
            self.now.get()
        } else {
            Counts::default()
        };
        self.before.set(before);
        self.now.set(Counts::default());
        self.since.set(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::at(Duration::from_secs(1000) + Duration::from_millis(ms))
    }

    fn retries(budget: &Budget, ms: u64) -> u32 {
        (0..1000)
            .filter(|_| budget.take_retry(at(ms), Share::percent(20)))
            .count() as u32
    }

    #[test]
    fn retries_are_a_share_of_requests() {
        let budget = Budget::default();
        (0..1000).for_each(|_| budget.request(at(0)));
        assert_eq!(retries(&budget, 1), 200);
        assert_eq!(retries(&budget, 5_001), 0, "the time before still counts");
        assert_eq!(retries(&budget, 30_000), FLOOR);
    }

    #[test]
    fn few_requests_may_be_tried_again_unless_none_may() {
        let budget = Budget::default();
        budget.request(at(0));
        assert!(!budget.take_retry(at(0), Share::NONE));
        assert_eq!(retries(&budget, 0), FLOOR);
    }
}
