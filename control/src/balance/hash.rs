//! The hash of keys and names: XXH64 with seed 0, and a mixer.
//!
//! It is part of the product's outward behaviour: nodes that share an address must send a client to the same
//! backend, across processes, versions and architectures, so it can never change. That rules out std's
//! hasher (unspecified, keyed). A keyed hash (SipHash) would guard a hash *table* against keys chosen to
//! collide; here it guards nothing: whoever wants all its requests on one backend just repeats one key, and
//! the tables are of fixed size. So what counts is a published algorithm with good spread on short keys
//! (addresses, paths, cookies) at about a byte per quarter nanosecond: XXH64 has both, and no dependency.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// XXH64 of `data` with seed 0 (the xxHash specification, version 0.1.1).
#[must_use]
pub fn hash64(data: &[u8]) -> u64 {
    let (stripes, tail) = data.as_chunks::<32>();
    let hash = if stripes.is_empty() {
        P5
    } else {
        long_part(stripes)
    };
    finish(hash.wrapping_add(data.len() as u64), tail)
}

/// Spreads every bit of `x` over all bits of the result, one to one (the finaliser of SplitMix64).
#[must_use]
pub const fn mix64(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The number below `n` that an evenly spread `number` falls on, each equally likely; 0 if there is none.
pub(super) const fn below(number: u64, n: u64) -> u64 {
    ((number as u128 * n as u128) >> 64) as u64
}

fn long_part(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [P1.wrapping_add(P2), P2, 0, 0_u64.wrapping_sub(P1)];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let [a, b, c, d] = lanes;
    let joined = a
        .rotate_left(1)
        .wrapping_add(b.rotate_left(7))
        .wrapping_add(c.rotate_left(12))
        .wrapping_add(d.rotate_left(18));
    lanes.into_iter().fold(joined, |hash, lane| {
        (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4)
    })
}

fn finish(mut hash: u64, tail: &[u8]) -> u64 {
    let (words, tail) = tail.as_chunks::<8>();
    for word in words {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
    }
    let (halves, tail) = tail.as_chunks::<4>();
    for half in halves {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
    }
    for byte in tail {
        hash ^= u64::from(*byte).wrapping_mul(P5);
        hash = hash.rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(P2))
        .rotate_left(31)
        .wrapping_mul(P1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the reference implementation (`xxhsum -H1`).
    #[test]
    fn is_xxh64() {
        let cases: [(&[u8], u64); 5] = [
            (b"", 0xEF46_DB37_51D8_E999),
            (b"a", 0xD24E_C4F1_A98C_6E5B),
            (b"abc", 0x44BC_2CF5_AD77_0999),
            (
                b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                0x7639_D419_DE61_4EED,
            ),
            (
                b"0123456789abcdefghijklmnopqrstuvwxyzABCDEF",
                0x0D14_E236_1A4F_A1FF,
            ),
        ];
        for (data, hash) in cases {
            assert_eq!(hash64(data), hash, "{data:?}");
        }
    }

    #[test]
    fn mixing_is_one_to_one_on_neighbours() {
        let mut seen: Vec<u64> = (0..10_000).map(mix64).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10_000);
    }
}
