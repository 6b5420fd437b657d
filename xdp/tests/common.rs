//! The short reading of the most common packets finds what the whole one finds, or leaves the frame to it.

use proptest::prelude::*;
use xdp::abi::V4;
use xdp::packet::{Frame, Packet, Parsed, common4, parse};

/// A TCP or UDP packet in an Ethernet frame, with one byte changed and some cut off.
fn frame(proto: u8, payload: usize, at: usize, byte: u8, cut: usize) -> Vec<u8> {
    let transport = if proto == 6 { 20 } else { 8 };
    let length = (20 + transport + payload) as u16;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(length.to_be_bytes());
    frame.extend([0, 7, 0x40, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x30, 0x39, 0, 80]);
    if proto == 6 {
        frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 16, 1, 0, 0, 0, 0, 0]);
    } else {
        frame.extend((8 + payload as u16).to_be_bytes());
        frame.extend([0, 0]);
    }
    frame.resize(frame.len() + payload, 0);
    let at = at % frame.len();
    frame[at] = byte;
    frame.truncate(frame.len().saturating_sub(cut));
    frame
}

proptest! {
    #[test]
    fn short_and_whole_reading_agree(
        tcp: bool, payload in 0..64_usize, at in 0..60_usize, byte: u8, cut in prop_oneof![Just(0), 0..60_usize],
    ) {
        let mut bytes = frame(if tcp { 6 } else { 17 }, payload, at, byte, cut);
        // SAFETY: the bytes outlive the frame.
        let frame = unsafe { Frame::of(&mut bytes) };
        if let Some(short) = common4(frame) {
            let whole = match parse(frame) {
                Parsed::V4(whole) => Some(whole),
                _ => None,
            };
            let all = |p: Packet<V4>| {
                (p.l3, p.l4, p.tuple, p.length, p.kind, p.ttl, p.tos, p.tcp_flags, p.dont_fragment)
            };
            prop_assert_eq!(Some(all(short)), whole.map(all));
        }
    }
}

#[test]
fn common_packets_are_read_the_short_way() {
    for proto in [6, 17] {
        let mut bytes = frame(proto, 10, 0, 2, 0);
        // SAFETY: the bytes outlive the frame.
        assert!(common4(unsafe { Frame::of(&mut bytes) }).is_some());
    }
}
