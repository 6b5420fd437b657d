//! Segments of flows that a cookie opened, against others made from scratch.

use std::vec::Vec;

use proptest::prelude::*;

use super::{Read, addr, four, read, six};
use crate::{
    abi::{V4, V6},
    cookie,
    decide::Turn,
    packet::header::proto,
    rewrite::{Room, splice, splice_icmp_error},
    testing::{Buffer, Builder, tcp_options, verify},
};

const ISN: u32 = 0xffff_fffe;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What becomes of a frame.
fn turned<F: Read>(frame: &[u8], turn: (Turn, u32), reply: bool) -> Vec<u8> {
    let mut buffer = Buffer::new(frame);
    let packet = read::<F>(&buffer);
    splice(&mut buffer, &packet, turn, reply).unwrap();
    let bytes = buffer.bytes();
    verify(&bytes).unwrap();
    bytes
}

/// Frames of each family, with and without what may stand before TCP.
fn shapes() -> [(Builder, bool); 5] {
    [
        (four(), false),
        (four().vlan(7), false),
        (four().options(&[1; 12]), false),
        (six(), true),
        (six().extension(proto::DESTINATION, &[1; 14]), true),
    ]
}

fn of(v6: bool, frame: &[u8], turn: (Turn, u32), reply: bool) -> Vec<u8> {
    if v6 {
        turned::<V6>(frame, turn, reply)
    } else {
        turned::<V4>(frame, turn, reply)
    }
}

#[test]
fn an_acknowledgement_becomes_the_syn_that_it_answered_for() {
    for (shape, v6) in shapes() {
        for index in 0..8 {
            let cookie = 0x1234_5600 | index;
            let mss = if v6 {
                cookie::mss::<V6>(cookie)
            } else {
                cookie::mss::<V4>(cookie)
            };
            let wanted = shape.clone().numbers(ISN, 0).window(777);
            let wanted = wanted.tcp(SYN, &tcp_options(0, mss), b"");
            // With data, too: a probe of the closed window has some, and a request may.
            for (options, data) in [(&[][..], &[][..]), (&[1; 8], &[1]), (&[], &[9; 1000])] {
                let came = shape.clone().numbers(ISN.wrapping_add(1), cookie + 1);
                let came = came.window(777).tcp(ACK | 8, options, data);
                assert_eq!(of(v6, &came, (Turn::Open, ISN), false), wanted);
            }
        }
    }
}

#[test]
fn a_syn_ack_becomes_a_byte_that_was_there_before() {
    for (shape, v6) in shapes() {
        let (seq, delta) = (0x0102_0304_u32, 0xf000_0000);
        let shape = shape.window(31_000);
        let wanted = shape.clone().numbers(seq.wrapping_add(delta), 5);
        let wanted = wanted.tcp(ACK, &[], &[0]);
        for options in [&[][..], &tcp_options(0, 1400), &tcp_options(12, 1400)] {
            let came = shape.clone().numbers(seq, 5).tcp(SYN | ACK, options, b"");
            assert_eq!(of(v6, &came, (Turn::Offer, delta), true), wanted);
        }
    }
}

#[test]
fn resets_get_the_numbers_that_count() {
    for (shape, v6) in shapes() {
        let refused = shape.clone().numbers(0, 99).tcp(RST | ACK, &[], b"");
        let wanted = shape.clone().numbers(42, 99).tcp(RST | ACK, &[], b"");
        assert_eq!(of(v6, &refused, (Turn::Refuse, 42), true), wanted);
        let given_up = shape.clone().numbers(7, 99).tcp(RST | ACK, &[], b"");
        let wanted = shape.numbers(7, 0).tcp(RST, &[], b"");
        assert_eq!(of(v6, &given_up, (Turn::Abort, 42), false), wanted);
    }
}

#[test]
fn later_fragments_and_other_flows_stay() {
    let later = four().fragment(48, false, 9).tcp(ACK, &[], &[1; 99]);
    assert_eq!(turned::<V4>(&later, (Turn::Shift, 5), true), later);
    let other = four().tcp(ACK, &[], b"data");
    assert_eq!(turned::<V4>(&other, (Turn::None, 5), true), other);
    // Without ACK the field means nothing, and is left.
    let reset = four().tcp(RST, &[], b"");
    assert_eq!(turned::<V4>(&reset, (Turn::Shift, 5), false), reset);
}

/// An error about what the client sent comes from the backend's side, and one about what it was sent from its own.
#[test]
fn errors_speak_in_the_numbers_of_whom_they_reach() {
    let (seq, ack, delta) = (1000, u32::MAX - 3, 0x8000_0010_u32);
    for (shape, v6) in shapes() {
        for quoted in [8, 11, 12, 17, 18, 20, 60] {
            for reply in [true, false] {
                let frame = |seq, ack| {
                    let inner = shape.clone().numbers(seq, ack).tcp(ACK, &[], &[3; 40]);
                    let l3 = if inner[12..14] == [0x81, 0] { 18 } else { 14 };
                    let headers = inner.len() - l3 - 60;
                    let told = &inner[l3..][..headers + quoted];
                    let outer = if v6 {
                        Builder::new(addr("[2001:db8::7]:0"), addr("[2001:db8::1]:0"))
                    } else {
                        Builder::new(addr("10.255.0.1:0"), addr("10.1.2.3:0"))
                    };
                    outer.icmp(if v6 { 1 } else { 3 }, 0, 0, told)
                };
                let came = frame(seq, ack);
                let mut wanted = if reply {
                    frame(seq, ack.wrapping_add(delta))
                } else {
                    frame(seq.wrapping_sub(delta), ack)
                };
                if reply && quoted < 12 {
                    wanted.clone_from(&came);
                }
                let buffer = Buffer::new(&came);
                if v6 {
                    let packet = read::<V6>(&buffer);
                    splice_icmp_error(buffer.frame(), &packet, delta, reply).unwrap();
                } else {
                    let packet = read::<V4>(&buffer);
                    splice_icmp_error(buffer.frame(), &packet, delta, reply).unwrap();
                }
                let got = buffer.bytes();
                // A checksum within that is not quoted whole cannot be compared with that of another packet.
                let cut = quoted == 17;
                assert_eq!(got.len(), wanted.len());
                if !cut {
                    assert_eq!(got, wanted, "{quoted} {reply} {v6}");
                }
                verify(&got).unwrap();
            }
        }
    }
}

proptest! {
    /// What goes one way and comes back the other is what it was, with its checksum right in between.
    #[test]
    fn there_and_back(
        seq: u32,
        ack: u32,
        delta: u32,
        window: u16,
        acknowledges: bool,
        push: bool,
        data in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let flags = if acknowledges { ACK } else { 0 } | if push { 8 } else { 0 };
        for (shape, v6) in shapes() {
            let shape = shape.window(window);
            let frame = shape.clone().numbers(seq, ack).tcp(flags, &[1; 4], &data);
            let moved = of(v6, &frame, (Turn::Shift, delta), true);
            let wanted = shape.clone().numbers(seq.wrapping_add(delta), ack);
            prop_assert_eq!(&moved, &wanted.tcp(flags, &[1; 4], &data));
            prop_assert_eq!(of(v6, &moved, (Turn::Shift, delta.wrapping_neg()), true), frame.clone());
            let back = of(v6, &frame, (Turn::Shift, delta), false);
            let taken = if acknowledges { delta } else { 0 };
            let wanted = shape.clone().numbers(seq, ack.wrapping_sub(taken));
            prop_assert_eq!(&back, &wanted.tcp(flags, &[1; 4], &data));
            prop_assert_eq!(of(v6, &back, (Turn::Shift, delta.wrapping_neg()), false), frame);
        }
    }
}
