//! The server id in a connection ID, for each of the ways in which it may be hidden there (sections 5.4 and 5.5).

use super::{aes, header::Block};
use crate::{
    abi::{QuicCipher, QuicConfig},
    decide::{Entry, at, get},
};

/// The first 16 bytes of what the block says, of which the server id are the first.
#[inline(always)]
pub fn open(config: Entry<QuicConfig>, block: &Block) -> (u64, u64) {
    let high = both(block.a, block.b);
    let low = both(block.c, block.d);
    let rest = both(block.e, 0);
    let until = match QuicCipher::of(get!(config.cipher)) {
        QuicCipher::Plain => return (high, low),
        QuicCipher::Block => return aes::decrypt(config.keys(), high, low),
        QuicCipher::Three => 2,
        QuicCipher::Four => 1,
    };
    feistel(config, (high, low, rest), until)
}

/// Two words of a packet as one number.
#[inline(always)]
fn both(first: u32, second: u32) -> u64 {
    u64::from(u32::from_be(first)) << 32 | u64::from(u32::from_be(second))
}

/// Goes through the network from its last round back to the round `until`, which is 1 or 2.
#[inline(always)]
fn feistel(config: Entry<QuicConfig>, block: (u64, u64, u64), until: u32) -> (u64, u64) {
    let keys = config.keys();
    let (high, low, rest) = block;
    let shift = get!(config.shift);
    let left_mask = (get!(config.left_high), get!(config.left_low));
    let right_mask = (get!(config.right_high), get!(config.right_low));
    let moved = up(high, low, rest, shift);
    // What goes into the cipher, and what its result is mixed with: they change places each round.
    let (mut from, mut from_mask) = ((moved.0 & right_mask.0, moved.1 & right_mask.1), right_mask);
    let (mut to, mut to_mask) = ((high & left_mask.0, low & left_mask.1), left_mask);
    let length = u64::from(get!(config.length) & 0xff) << 8;
    let mut round = 4_u32;
    while round >= until {
        let (a, b) = aes::encrypt(keys, from.0, from.1 | length | u64::from(round));
        to = ((to.0 ^ a) & to_mask.0, (to.1 ^ b) & to_mask.1);
        (from, to) = (to, from);
        (from_mask, to_mask) = (to_mask, from_mask);
        round -= 1;
    }
    if until == 2 {
        // The left half was mixed last.
        return from;
    }
    let right = down(from.0, from.1, shift);
    (to.0 | right.0, to.1 | right.1)
}

/// The first 16 of 24 bytes after all were moved up by `bits`, less than 128.
#[inline(always)]
fn up(high: u64, low: u64, rest: u64, bits: u32) -> (u64, u64) {
    let (a, b, c) = if bits & 64 != 0 {
        (low, rest, 0)
    } else {
        (high, low, rest)
    };
    let bits = bits & 63;
    let joined = |a: u64, b: u64| a << bits | (b >> 1) >> (63 - bits);
    (joined(a, b), joined(b, c))
}

/// 16 bytes moved down by `bits`, less than 128.
#[inline(always)]
fn down(high: u64, low: u64, bits: u32) -> (u64, u64) {
    let (a, b) = if bits & 64 != 0 {
        (0, high)
    } else {
        (high, low)
    };
    let bits = bits & 63;
    (a >> bits, b >> bits | (a << 1) << (63 - bits))
}

impl Entry<QuicConfig> {
    /// Where the round keys lie.
    #[inline(always)]
    fn keys(self) -> aes::Keys {
        let config = self;
        let at = at!(config.keys);
        // SAFETY: they lie in the entry, which is readable as long as it is used.
        unsafe { aes::Keys::new(at) }
    }
}
