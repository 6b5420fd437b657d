//! A small generator of pseudo-random numbers, seeded by the caller: this crate has no randomness of its own.

use crate::balance::mix64;

/// SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixer. Plenty for choosing, useless for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix64(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix64(self.0)
    }
}
