//! A node's clocks: each starts somewhere else, and none goes as fast as another.

use std::time::Duration;

use proto::time::{Instant, Utc};

use crate::dice::Dice;

/// A thousandth part of a thousandth: what clocks are off by. A hundredth at most, far more than real ones.
const MOST_PPM: i128 = 10_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: i128,
    ppm: i128,
    utc_offset: Duration,
}

impl Clock {
    /// With the date up to `utc_skew` ahead.
    pub(crate) fn random(dice: &mut Dice, utc_skew: Duration) -> Self {
        let ppm = i128::from(dice.next()) % (2 * MOST_PPM + 1) - MOST_PPM;
        Self {
            offset: i128::from(dice.next() % 1_000_000_000_000),
            ppm,
            utc_offset: Duration::from_secs(1_800_000_000) + dice.up_to(utc_skew),
        }
    }

    /// What its monotonic clock shows at `world`.
    pub(crate) fn local(&self, world: Instant) -> Instant {
        let world = i128::from(world.nanos());
        let local = self.offset + world + world * self.ppm / 1_000_000;
        Instant::from_nanos(u64::try_from(local).unwrap_or(0))
    }

    /// When its monotonic clock shows `local`, or a little later.
    pub(crate) fn world(&self, local: Instant) -> Instant {
        let passed = (i128::from(local.nanos()) - self.offset).max(0);
        let world = passed * 1_000_000 / (1_000_000 + self.ppm) + 2;
        Instant::from_nanos(u64::try_from(world).unwrap_or(u64::MAX))
    }

    /// The date that it shows; it is set by the network and goes like the world's.
    pub(crate) fn utc(&self, world: Instant) -> Utc {
        Utc::at(self.utc_offset + Duration::from_nanos(world.nanos()))
    }
}
