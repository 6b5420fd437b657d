//! A worker's random numbers: reproducible from the plane's seed.

use std::cell::Cell;

/// SplitMix64: for jitter, sampling and identifiers; not for secrets.
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    /// A generator of its own for the worker `index`.
    pub(crate) fn new(seed: u64, index: usize) -> Self {
        let rng = Self(Cell::new(
            seed ^ (index as u64).wrapping_mul(0xD1B5_4A32_D192_ED03),
        ));
        rng.next();
        rng
    }

    /// The next number, evenly spread over all 64 bits.
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        control::balance::mix64(state)
    }
}
