//! The tables of flows as they lie in memory: arrays of buckets, in which [`mod@crate::flows`] finds its way.

use super::{Family, Flow, Plain, Tuple};

/// Places of a bucket.
pub const LANES: usize = 8;

/// A flow with what it is found by. 72 bytes for IPv4, 120 for IPv6.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot<F: Family> {
    /// What its packets carry.
    pub key: Tuple<F>,
    /// What is known of it.
    pub flow: Flow<F>,
}

// SAFETY: two of a kind, both of 4-aligned parts without padding.
unsafe impl<F: Family> Plain for Slot<F> {}

/// Eight places for flows. 600 bytes for IPv4, 984 for IPv6.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bucket<F: Family> {
    /// A number of 16 bits for each place: 0, it is free; 1, somebody fills it; else a part of the hash of the key that is
    /// there, with the highest bit set. Which number is of which place says [`crate::flows::Hits::slot`].
    pub tags: [u64; 2],
    /// How many flows had their place here, and lie in a bucket that is looked at after it. (It may be more than there are.)
    pub over: u64,
    /// The places.
    pub slots: [Slot<F>; LANES],
}

// SAFETY: three numbers, and slots whose size is a multiple of eight bytes.
unsafe impl<F: Family> Plain for Bucket<F> {}

const _: () = assert!(size_of::<Bucket<super::V4>>() == 24 + LANES * 72);
const _: () = assert!(size_of::<Bucket<super::V6>>() == 24 + LANES * 120);

/// How many of ten places may be taken: with two buckets to choose from, both are then full for less than one flow in a
/// million.
const TAKEN_OF_TEN: u32 = 7;

/// Buckets of a table that is to hold so many flows.
#[must_use]
pub const fn buckets(flows: u32) -> u32 {
    const LEAST: u32 = 16;
    let places = flows as u64 * 10 / TAKEN_OF_TEN as u64;
    let buckets = places.div_ceil(LANES as u64) as u32;
    if buckets < LEAST { LEAST } else { buckets }
}

/// Those of so many buckets that are filled first: a power of two, at most half of all. They are together, so that the few
/// flows of a large table are on few pages of memory.
#[must_use]
pub const fn near(buckets: u32) -> u32 {
    const MOST: u32 = 8192;
    let half = buckets / 2;
    if half >= MOST {
        return MOST;
    }
    if half == 0 { 1 } else { 1 << half.ilog2() }
}

/// Flows that a table of so many buckets is meant to hold.
#[must_use]
pub const fn held(buckets: u32) -> u32 {
    (buckets as u64 * LANES as u64 * TAKEN_OF_TEN as u64 / 10) as u32
}
