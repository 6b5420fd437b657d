//! Chance from a seed: in what order, at what time.

use super::Options;
use std::time::{SystemTime, UNIX_EPOCH};

/// xorshift64: good enough to be fair to everyone.
pub(crate) struct Random {
    /// What it began with.
    pub(crate) seed: u64,
    state: u64,
}

impl Random {
    /// By the seed that was chosen, or the clock.
    pub(crate) fn of(options: &Options) -> Random {
        let clock = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let seed = options.seed.unwrap_or(clock as u64);
        Random {
            seed,
            state: seed | 1,
        }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// From 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        // As many bits as a double tells apart.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The numbers below `count` in any order.
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
        order
    }
}
