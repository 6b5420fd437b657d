//! How much may be sent: a bucket that fills at a rate, and that what cannot wait may overdraw.

use std::time::Duration;

use crate::{sync::limits::MAX_DATAGRAM, time::Instant};

/// A bucket of bytes.
#[derive(Debug)]
pub(in crate::sync) struct Bucket {
    /// Bytes a second.
    rate: u64,
    /// When it was, or will be, empty: what is owed lies in the future.
    empty: Instant,
}

impl Bucket {
    pub(in crate::sync) fn new(rate: u64, now: Instant) -> Self {
        Self { rate, empty: now }
    }

    fn worth(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A twentieth of a second of the rate, and at least two datagrams.
    fn depth(&self) -> Duration {
        Duration::from_millis(50).max(self.worth(2 * MAX_DATAGRAM as u64))
    }

    /// From when on a datagram of any size may be sent.
    pub(in crate::sync) fn ready(&self) -> Instant {
        self.empty + self.worth(MAX_DATAGRAM as u64)
    }

    /// Takes bytes out, whether there are so many or not.
    pub(in crate::sync) fn take(&mut self, bytes: u64, now: Instant) {
        let fullest = now - self.depth();
        self.empty = self.empty.max(fullest) + self.worth(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sends_what_a_second_may() {
        let mut now = Instant::from_nanos(1_000_000_000);
        let mut bucket = Bucket::new(100_000, now - Duration::from_secs(60));
        let end = now + Duration::from_secs(10);
        let mut sent = 0;
        while now < end {
            if bucket.ready() <= now {
                bucket.take(1400, now);
                sent += 1400;
            } else {
                now = bucket.ready();
            }
        }
        assert!((995_000..1_010_000).contains(&sent), "{sent}");
    }
}
