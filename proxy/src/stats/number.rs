//! Numbers that one worker writes and anyone reads.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A number that only its worker changes, so that adding is a load and a store rather than a locked operation.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the worker that owns the counter may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// Takes one away: for counts of what is open now.
    pub fn less(&self) {
        self.add(u64::MAX);
    }

    /// The number now, as of some recent moment.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How long things took, in fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; Self::BUCKETS],
    micros: Counter,
}

impl Histogram {
    /// Upper bounds of the buckets in microseconds, inclusive; one more bucket takes what is longer.
    pub const BOUNDS: [u64; 17] = [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
    ];
    const BUCKETS: usize = Self::BOUNDS.len() + 1;

    /// Counts something that took `time`.
    pub fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[Self::BOUNDS.partition_point(|&bound| bound < micros)].one();
        self.micros.add(micros);
    }

    pub(super) fn add_to(&self, sum: &mut HistogramStats) {
        for (to, from) in sum.buckets.iter_mut().zip(&self.buckets) {
            *to = to.wrapping_add(from.value());
        }
        sum.micros = sum.micros.wrapping_add(self.micros.value());
    }
}

/// A histogram summed over the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramStats {
    /// How many fell into each bucket of [`Histogram::BOUNDS`], and in the last those beyond; not cumulative.
    pub buckets: [u64; Histogram::BUCKETS],
    /// All of them together, in microseconds.
    pub micros: u64,
}

impl HistogramStats {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The upper bound of the bucket that holds the `share`th of them (0.99: the 99th percentile). None if there
    /// are none; what lies beyond the last bound counts as twice that.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let wanted = ((count as f64 * share).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|n| {
            seen += n;
            seen >= wanted
        })?;
        let last = Histogram::BOUNDS[Histogram::BOUNDS.len() - 1];
        let bound = Histogram::BOUNDS.get(bucket).copied().unwrap_or(last * 2);
        Some(Duration::from_micros(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_at_its_bounds() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 1_000, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut sum = HistogramStats::default();
        histogram.add_to(&mut sum);
        assert_eq!(sum.count(), 5);
        assert_eq!((sum.buckets[0], sum.buckets[1], sum.buckets[3]), (2, 1, 1));
        assert_eq!(sum.buckets[Histogram::BUCKETS - 1], 1);
        assert_eq!(sum.quantile(0.4), Some(Duration::from_micros(100)));
        assert_eq!(sum.quantile(1.0), Some(Duration::from_secs(60)));
        assert_eq!(HistogramStats::default().quantile(0.5), None);
    }

    #[test]
    fn a_gauge_goes_down_again() {
        let open = Counter::default();
        open.one();
        open.one();
        open.less();
        assert_eq!(open.value(), 1);
    }
}
