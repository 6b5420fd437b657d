//! A configuration's record, made in user space.

use super::aes;
use crate::abi::{QuicCipher, QuicConfig, QuicId};

/// Bytes that one block of AES takes.
const BLOCK: u32 = 16;

/// The record for server ids and nonces of so many bytes, with the key that they are encrypted with.
///
/// Together they may have 19 bytes, the server id 15, as the configuration allows; of more, nothing sensible comes out.
#[must_use]
pub fn config(id_length: u32, nonce_length: u32, key: Option<&[u8; 16]>) -> QuicConfig {
    let length = id_length + nonce_length;
    let cipher = match key {
        None => QuicCipher::Plain,
        Some(_) if length == BLOCK => QuicCipher::Block,
        Some(_) if id_length <= length / 2 => QuicCipher::Three,
        Some(_) => QuicCipher::Four,
    };
    let half = length.div_ceil(2);
    // Of an odd length, each half has a half of the byte in the middle.
    let nibble = 4 * (length & 1);
    let (id_high, id_low) = halves(first(8 * id_length));
    let (left_high, left_low) = halves(first(8 * half - nibble));
    let (right_high, right_low) = halves(first(8 * half) & !first(nibble));
    QuicConfig {
        cipher: cipher as u32,
        length,
        id_length,
        shift: 8 * (length - half),
        id_high,
        id_low,
        left_high,
        left_low,
        right_high,
        right_low,
        keys: match (key, cipher) {
            (None, _) => [0; 44],
            (Some(key), QuicCipher::Block) => aes::decryption(key),
            (Some(key), _) => aes::encryption(key),
        },
    }
}

/// What a backend of a service is found by.
#[must_use]
pub fn id(service: u32, bytes: &[u8]) -> QuicId {
    let shifts = (0..BLOCK).rev().map(|n| 8 * n);
    let number = bytes.iter().zip(shifts).fold(0, |number, (byte, shift)| {
        number | u128::from(*byte) << shift
    });
    let (high, low) = halves(number);
    QuicId {
        service,
        length: bytes.len() as u32,
        high,
        low,
    }
}

/// The most significant bits.
fn first(bits: u32) -> u128 {
    !u128::MAX.checked_shr(bits).unwrap_or(0)
}

fn halves(number: u128) -> (u64, u64) {
    ((number >> 64) as u64, number as u64)
}
