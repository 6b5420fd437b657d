//! Chance from a seed: where a probe falls within its jitter. Same seed, same probes.

use std::time::Duration;

use crate::{rng::Rng, spec::Share};

/// Where in a span of time something falls.
#[derive(Clone, Debug)]
pub(crate) struct Chance(Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// A time from zero to just below `span`, evenly.
    pub(crate) fn within(&mut self, span: Duration) -> Duration {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        // The high half of a 64 by 64 bit product is even enough and needs no division.
        Duration::from_nanos(((u128::from(self.0.next()) * u128::from(span)) >> 64) as u64)
    }

    /// `around`, moved by up to `jitter` of it either way.
    pub(crate) fn jittered(&mut self, around: Duration, jitter: Share) -> Duration {
        let reach = around / 1000 * u32::from(jitter.thousandths());
        (around.saturating_sub(reach)).saturating_add(self.within(reach * 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_share_and_uses_both_sides() {
        let mut chance = Chance::new(7);
        let all: Vec<_> = (0..1000)
            .map(|_| chance.jittered(Duration::from_secs(10), Share::percent(20)))
            .collect();
        assert!(all.iter().all(|d| (8.0..12.0).contains(&d.as_secs_f64())));
        assert!(all.iter().any(|d| d.as_secs_f64() < 8.5));
        assert!(all.iter().any(|d| d.as_secs_f64() > 11.5));
    }

    #[test]
    fn no_jitter_is_the_interval_itself() {
        let second = Duration::from_secs(1);
        assert_eq!(Chance::new(1).jittered(second, Share::NONE), second);
    }
}
