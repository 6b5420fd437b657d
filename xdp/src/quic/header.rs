//! Where a packet's destination connection ID is, by what holds for all versions of QUIC (RFC 8999).

use crate::{abi::Plain, packet::Frame, verifier::below};

/// Twenty bytes after a connection ID's first one, as words of the packet.
///
/// All are read, whatever the length: each packet of QUIC that has such an ID goes on for at least as long after it
/// (RFC 9001, 5.4.2: a sample of the ciphertext must be there), and a fixed length costs one check.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Bytes 0 to 3.
    pub a: u32,
    /// Bytes 4 to 7.
    pub b: u32,
    /// Bytes 8 to 11.
    pub c: u32,
    /// Bytes 12 to 15.
    pub d: u32,
    /// Bytes 16 to 19.
    pub e: u32,
}

// SAFETY: five numbers.
unsafe impl Plain for Block {}

/// A destination connection ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    /// The packet has a long header.
    pub long: bool,
    /// Its first three bits.
    pub rotation: u32,
    /// How many bytes it has, at most: a short header does not say.
    pub length: u32,
    /// What follows its first byte; more than it has, if it is short.
    pub block: Block,
}

/// Of the first byte: the header is a long one.
const LONG: u8 = 0x80;
/// Where the ID is after a short header's first byte.
const SHORT_AT: usize = 1;
/// Where a long header says how long it is, after the first byte and the version.
const LENGTH_AT: usize = 5;
/// Bits of an offset in a frame.
const OFFSET: usize = 0x3fff;

/// Finds it in the UDP payload from `begin` to `end` of a frame. None if the payload is too short for QUIC.
#[inline(always)]
pub fn find(frame: Frame, begin: u32, end: u32) -> Option<ConnectionId> {
    let begin = below(begin as usize, OFFSET);
    let first: u8 = frame.read(begin)?;
    let long = first & LONG != 0;
    let (at, length) = if long {
        let length: u8 = frame.read(begin + LENGTH_AT)?;
        (begin + LENGTH_AT + 1, u32::from(length))
    } else {
        (begin + SHORT_AT, u32::MAX)
    };
    let at = below(at, OFFSET);
    // The frame may be longer than the packet in it.
    if at + 1 + size_of::<Block>() > end as usize {
        return None;
    }
    let octet: u8 = frame.read(at)?;
    Some(ConnectionId {
        long,
        rotation: u32::from(octet >> 5),
        length,
        block: frame.read(at + 1)?,
    })
}
