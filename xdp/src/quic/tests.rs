//! Connection IDs against the draft's test vectors (appendix B), AES against its standard's, and every pair of lengths
//! against the servers' side, written down byte by byte.

#![allow(clippy::unwrap_used)]

use core::ptr::NonNull;
use std::{vec, vec::Vec};

use super::{
    aes,
    config::{config, id},
    header, open,
};
use crate::{
    abi::{QuicCipher, QuicConfig},
    decide::Entry,
    packet::Frame,
};

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |two: &[u8]| u8::from_str_radix(core::str::from_utf8(two).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn numbers(bytes: &[u8]) -> (u64, u64) {
    let number = u128::from_be_bytes(bytes.try_into().unwrap());
    ((number >> 64) as u64, number as u64)
}

fn block(
    cipher: impl Fn(aes::Keys, u64, u64) -> (u64, u64),
    keys: &aes::RoundKeys,
    of: &[u8],
) -> Vec<u8> {
    let (high, low) = numbers(of);
    // SAFETY: the keys outlive the call.
    let (high, low) = cipher(unsafe { aes::Keys::new(keys) }, high, low);
    [high.to_be_bytes(), low.to_be_bytes()].concat()
}

/// The connection ID of a packet with a short header.
fn found(cid: &[u8]) -> header::ConnectionId {
    let mut payload = [&[0x40], cid, &[0xee; 32]].concat();
    let end = payload.len() as u32;
    // SAFETY: used within this call.
    header::find(unsafe { Frame::of(&mut payload) }, 0, end).unwrap()
}

/// The server id that a configuration finds in a connection ID.
fn server_id(mut config: QuicConfig, cid: &[u8]) -> Vec<u8> {
    // SAFETY: the record outlives the entry.
    let entry = unsafe { Entry::new(NonNull::from(&mut config)) };
    let (high, low) = open::open(entry, &found(cid).block);
    let mut bytes = [high.to_be_bytes(), low.to_be_bytes()].concat();
    bytes.truncate(config.id_length as usize);
    bytes
}

#[test]
fn aes_does_what_its_standard_shows() {
    // FIPS 197, appendices B and C.1.
    let examples = [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "3243f6a8885a308d313198a2e0370734",
            "3925841d02dc09fbdc118597196a0b32",
        ),
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "69c4e0d86a7b0430d8cdb78070b4c55a",
        ),
    ];
    for (key, open, closed) in examples {
        let key: [u8; 16] = hex(key).try_into().unwrap();
        let (forth, back) = (aes::encryption(&key), aes::decryption(&key));
        assert_eq!(block(aes::encrypt, &forth, &hex(open)), hex(closed));
        assert_eq!(block(aes::decrypt, &back, &hex(closed)), hex(open));
    }
}

#[test]
fn the_drafts_ids_in_the_open() {
    for (rotation, sid, nonce, cid) in [
        (0, "c4605e", 4, "07c4605e4504cc4f"),
        // The draft lacks the last digit of this nonce, and has a first byte of rotation id 0.
        (1, "350d28b420", 5, "2a350d28b4203487d970b0"),
    ] {
        let cid = hex(cid);
        let config = config(sid.len() as u32 / 2, nonce, None);
        assert_eq!(found(&cid).rotation, rotation);
        assert_eq!(server_id(config, &cid), hex(sid), "{sid}");
    }
}

#[test]
fn the_drafts_encrypted_ids() {
    let key: [u8; 16] = hex("8f95f09245765f80256934e50c66207f").try_into().unwrap();
    let vectors = [
        (0, "ed793a", 4, QuicCipher::Three, "0720b1d07b359d3c"),
        (
            1,
            "ed793a51d49b8f5fab65",
            5,
            QuicCipher::Four,
            "2fcc381bc74cb4fbad2823a3d1f8fed2",
        ),
        (
            2,
            "ed793a51d49b8f5f",
            8,
            QuicCipher::Block,
            "504dd2d05a7b0de9b2b9907afb5ecf8cc3",
        ),
        (
            3,
            "ed793a51d49b8f5fab",
            9,
            QuicCipher::Three,
            "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc",
        ),
    ];
    for (rotation, sid, nonce, cipher, cid) in vectors {
        let cid = hex(cid);
        let config = config(sid.len() as u32 / 2, nonce, Some(&key));
        assert_eq!(QuicCipher::of(config.cipher), cipher);
        assert_eq!(config.length as usize + 1, cid.len());
        // The draft's last one has the rotation id 0 in its first byte, though its row says 3.
        if rotation != 3 {
            assert_eq!(found(&cid).rotation, rotation);
        }
        assert_eq!(server_id(config, &cid), hex(sid), "{sid}");
    }
}

/// What a server makes of its id and a nonce, without the first byte (section 5.4).
fn made(key: &[u8; 16], id: &[u8], nonce: &[u8]) -> Vec<u8> {
    let keys = aes::encryption(key);
    let plain = [id, nonce].concat();
    if plain.len() == 16 {
        return block(aes::encrypt, &keys, &plain);
    }
    let half = plain.len().div_ceil(2);
    let odd = plain.len() % 2 == 1;
    let mut left = plain[..half].to_vec();
    let mut right = plain[plain.len() - half..].to_vec();
    let trim = |left: &mut [u8], right: &mut [u8]| {
        if odd {
            left[half - 1] &= 0xf0;
            right[0] &= 0x0f;
        }
    };
    trim(&mut left, &mut right);
    for pass in 1..=4 {
        let (from, to) = if pass % 2 == 1 {
            (&left, &mut right)
        } else {
            (&right, &mut left)
        };
        let mut input = from.clone();
        input.resize(14, 0);
        input.extend([plain.len() as u8, pass]);
        for (byte, with) in to.iter_mut().zip(block(aes::encrypt, &keys, &input)) {
            *byte ^= with;
        }
        trim(&mut left, &mut right);
    }
    if odd {
        left[half - 1] |= right[0];
        right.remove(0);
    }
    [left, right].concat()
}

#[test]
fn all_lengths_there_and_back() {
    let bytes: Vec<u8> = (0..64).map(|n: u8| n.wrapping_mul(0x5d) ^ 0xa7).collect();
    let key: [u8; 16] = bytes[40..56].try_into().unwrap();
    let mut tried = 0;
    for id_length in 1..=15 {
        for nonce_length in 4..=19 - id_length {
            let (id, nonce) = (&bytes[..id_length], &bytes[20..20 + nonce_length]);
            let cid = [&[0x40], &made(&key, id, nonce)[..]].concat();
            let config = config(id_length as u32, nonce_length as u32, Some(&key));
            assert_eq!(server_id(config, &cid), id, "{id_length} {nonce_length}");
            let open = [&[0x40], id, nonce].concat();
            let config = super::config::config(id_length as u32, nonce_length as u32, None);
            assert_eq!(server_id(config, &open), id);
            tried += 1;
        }
    }
    assert_eq!(tried, 120);
}

#[test]
fn ids_are_numbers_with_their_first_byte_on_top() {
    let wanted = super::super::abi::QuicId {
        service: 7,
        length: 9,
        high: 0x0102_0304_0506_0708,
        low: 0x09 << 56,
    };
    assert_eq!(id(7, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), wanted);
    assert_ne!(id(7, &[1]), id(7, &[1, 0]));
}

#[test]
fn headers() {
    let find = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let end = bytes.len() as u32;
        // SAFETY: used within this call.
        header::find(unsafe { Frame::of(&mut bytes) }, 0, end)
    };
    let rest = [0; 20];
    let short = find(&[&[0x40, 0xa1], &rest[..]].concat()).unwrap();
    assert_eq!((short.long, short.rotation), (false, 5));
    assert!(short.length > 20);
    let long = find(&[&[0xc0, 0, 0, 0, 1, 8, 0x61], &rest[..]].concat()).unwrap();
    assert_eq!((long.long, long.rotation, long.length), (true, 3, 8));
    // Whatever the length: no more is read than is there.
    for length in 0..22 {
        assert_eq!(find(&vec![0x40; length]), None);
    }
    for length in 0..27 {
        assert_eq!(find(&vec![0xff; length]), None);
    }
    // The packet ends before the frame does.
    let mut padded = [0x40; 64];
    // SAFETY: used within this call.
    let frame = unsafe { Frame::of(&mut padded) };
    assert_eq!(header::find(frame, 0, 21), None);
    assert!(header::find(frame, 0, 22).is_some());
}
