//! The hash against std's own, and what a cookie keeps.
#![allow(
    deprecated,
    reason = "std's SipHash-2-4 is what the hash is compared with"
)]

use core::hash::{Hasher, SipHasher};
use std::vec::Vec;

use super::{assumed, counter, index, make, mss, offered};
use crate::abi::{Addr6, Family, Tick, Tuple, V4, V6};

const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

fn v4() -> Tuple<V4> {
    Tuple::new(0x0403_0201, 0x0807_0605, 0x1211, 0x2221, 6)
}

fn v6() -> Tuple<V6> {
    let address = |n| Addr6 {
        a: n,
        b: n + 1,
        c: n + 2,
        d: n + 3,
    };
    Tuple::new(
        address(0xaabb_0000),
        address(0x1122_0000),
        0x1211,
        0x2221,
        6,
    )
}

/// The 32 low bits of the message's hash by std.
fn hashed(addresses: &[u32], rest: [u32; 3]) -> u32 {
    let bytes: Vec<u8> = addresses
        .iter()
        .chain(&rest)
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let mut hasher = SipHasher::new_with_keys(KEY[0], KEY[1]);
    hasher.write(&bytes);
    hasher.finish() as u32
}

#[test]
fn it_is_a_siphash_of_all_that_counts() {
    for index in 0..8 {
        let rest = [0x2221_1211, 0xdead_beef, 77 << 3 | index];
        let cookie = make(KEY, &v4(), 0xdead_beef, 77, index);
        assert_eq!(
            cookie,
            hashed(&[0x0403_0201, 0x0807_0605], rest) & !7 | index
        );
        let cookie = make(KEY, &v6(), 0xdead_beef, 77, index);
        let words = [0xaabb_0000, 0xaabb_0001, 0xaabb_0002, 0xaabb_0003];
        let more = [0x1122_0000, 0x1122_0001, 0x1122_0002, 0x1122_0003];
        assert_eq!(cookie, hashed(&[words, more].concat(), rest) & !7 | index);
    }
}

#[test]
fn each_part_makes_another_cookie() {
    let all = |key, tuple: Tuple<V4>, isn, counter| make(key, &tuple, isn, counter, 3);
    let first = all(KEY, v4(), 1, 1);
    let mut other = v4();
    other.sport ^= 0x100;
    assert_ne!(first, all([KEY[0] ^ 1, KEY[1]], v4(), 1, 1));
    assert_ne!(first, all(KEY, v4().reversed(), 1, 1));
    assert_ne!(first, all(KEY, other, 1, 1));
    assert_ne!(first, all(KEY, v4(), 2, 1));
    assert_ne!(first, all(KEY, v4(), 1, 2));
}

fn sizes<F: Family>() {
    for size in 0..=u16::MAX {
        let kept = mss::<F>(index::<F>(size));
        // Never more than the client said, unless that is less than any host may say.
        assert!(kept <= size.max(mss::<F>(0)), "{size} became {kept}");
    }
    for cookie in 0..8 {
        assert_eq!(index::<F>(mss::<F>(cookie)), cookie);
        assert_eq!(mss::<F>(cookie), mss::<F>(cookie | 0xffff_fff8));
    }
    for common in [assumed::<F>(), offered::<F>()] {
        assert_eq!(mss::<F>(index::<F>(common)), common);
    }
}

#[test]
fn the_mss_is_kept_as_the_next_lower_of_eight() {
    sizes::<V4>();
    sizes::<V6>();
    assert_eq!(mss::<V4>(index::<V4>(1459)), 1452);
    assert_eq!(mss::<V6>(index::<V6>(1399)), 1380);
}

#[test]
fn the_counter_goes_on_about_once_a_minute() {
    let minute = Tick::in_seconds(60);
    assert_eq!(counter(Tick(1023)), 0);
    assert_eq!(counter(Tick(1024)), 1);
    assert!((minute..minute + 200).contains(&1024));
}
