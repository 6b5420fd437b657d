//! Encapsulation: what is inside comes out as it was, and the outer headers are right.

use std::vec::Vec;

use super::{Read, address, four, read, six};
use crate::{
    abi::{Encap, Hop, Mac, V4, V6},
    packet::header::proto,
    rewrite::{Outer, encapsulate, overhead},
    testing::{Buffer, verify},
};

struct Case {
    encap: Encap,
    checksum: bool,
    vlan: u16,
}

/// Encapsulates, and takes apart what came of it: the outer IP packet.
fn around<I: Read, O: Read>(frame: &[u8], src: &str, dst: &str, case: &Case) -> Vec<u8> {
    let mut buffer = Buffer::new(frame);
    let packet = read::<I>(&buffer);
    let outer = Outer::<O> {
        src: address::<O>(src),
        dst: address::<O>(dst),
        encap: case.encap,
        port: 5555_u16.to_be(),
        checksum: case.checksum,
        hash: 0x1234_5678,
    };
    let hop = Hop {
        source: Mac { a: 2, b: 0, c: 7 },
        target: Mac { a: 2, b: 0, c: 9 },
        vlan: case.vlan,
        ..Hop::default()
    };
    encapsulate(&mut buffer, &packet, &outer, &hop).unwrap();
    let bytes = buffer.bytes();
    verify(&bytes).unwrap();
    let l3 = if case.vlan == 0 { 14 } else { 18 };
    let outer = bytes[l3..].to_vec();
    let inner = &frame[packet.l3..];
    assert_eq!(outer[outer.len() - inner.len()..], *inner);
    let added = outer.len() - inner.len();
    assert!(added <= overhead::<O>(case.encap, case.checksum));
    let middle = &outer[O::HEADER..added];
    let carried = if O::IS_V6 { outer[6] } else { outer[9] };
    let inside = if I::IS_V6 { 41 } else { 4 };
    match case.encap {
        Encap::IpIp => assert_eq!((carried, middle.len()), (inside, 0)),
        Encap::Gre => {
            assert_eq!(carried, proto::GRE);
            assert_eq!(middle[2..4], I::ETHERTYPE.to_be_bytes());
            assert_eq!(middle.len(), if middle[0] == 0x80 { 8 } else { 4 });
        }
        Encap::Gue => {
            assert_eq!((carried, middle.len()), (proto::UDP, 12));
            assert_eq!(middle[2..4], 5555_u16.to_be_bytes());
            assert!(middle[0] >= 0xc0);
            assert_eq!(middle[8..], [0, inside, 0, 0]);
        }
    }
    let length = if O::IS_V6 {
        40 + u16::from_be_bytes([outer[4], outer[5]])
    } else {
        u16::from_be_bytes([outer[2], outer[3]])
    };
    assert_eq!(usize::from(length), added + packet.length as usize);
    let ttl = if O::IS_V6 { outer[7] } else { outer[8] };
    let tos = if O::IS_V6 {
        outer[0] << 4 | outer[1] >> 4
    } else {
        outer[1]
    };
    assert_eq!((ttl, tos), (64, packet.tos));
    outer
}

fn all<I: Read>(frame: &[u8]) {
    for encap in [Encap::IpIp, Encap::Gue, Encap::Gre] {
        for checksum in [false, true] {
            for vlan in [0, 7] {
                let case = Case {
                    encap,
                    checksum,
                    vlan,
                };
                let outer = around::<I, V4>(frame, "172.16.0.1", "172.16.0.9", &case);
                assert_eq!(outer[12..20], [172, 16, 0, 1, 172, 16, 0, 9]);
                let outer = around::<I, V6>(frame, "fd00::1", "fd00::9", &case);
                assert_eq!((outer[8], outer[23], outer[39]), (0xfd, 1, 9));
                assert_eq!((outer[1] & 15, outer[2], outer[3]), (4, 0x56, 0x78));
            }
        }
    }
}

#[test]
fn every_encapsulation_of_every_kind() {
    let bytes = [0xc3; 77];
    all::<V4>(&four().tos(0xb9).tcp(24, &[1; 8], &bytes));
    all::<V4>(&four().provider(1).vlan(2).options(&[1; 4]).udp(&bytes));
    all::<V4>(&four().udp_unchecked(&bytes));
    all::<V4>(&four().fragment(48, false, 3).udp(&bytes));
    all::<V4>(&four().sctp(&bytes));
    let quoted = four().udp(b"")[14..].to_vec();
    all::<V4>(&four().icmp(3, 3, 0, &quoted));
    all::<V6>(&six().tos(0x2e).tcp(24, &[], &bytes));
    all::<V6>(&six().vlan(5).udp(&bytes));
    all::<V6>(&six().extension(60, &[0; 6]).udp(&bytes));
    all::<V6>(&six().fragment(0, true, 3).udp(&bytes));
}

#[test]
fn checksums_are_there_where_they_follow_from_the_packet() {
    let case = |encap| Case {
        encap,
        checksum: true,
        vlan: 0,
    };
    let tcp = four().tcp(16, &[], b"x");
    let outer = around::<V4, V4>(&tcp, "172.16.0.1", "172.16.0.9", &case(Encap::Gue));
    assert_ne!(outer[26..28], [0, 0]);
    let outer = around::<V4, V6>(&tcp, "fd00::1", "fd00::9", &case(Encap::Gre));
    assert_eq!(outer[40], 0x80);
    let unchecked = four().udp_unchecked(b"x");
    let outer = around::<V4, V4>(&unchecked, "172.16.0.1", "172.16.0.9", &case(Encap::Gue));
    assert_eq!(outer[26..28], [0, 0]);
}

#[test]
fn do_not_fragment_and_identification_are_the_inner_ones() {
    let case = Case {
        encap: Encap::IpIp,
        checksum: false,
        vlan: 0,
    };
    let outer =
        |frame: &[u8]| around::<V4, V4>(frame, "172.16.0.1", "172.16.0.9", &case)[4..8].to_vec();
    assert_eq!(outer(&four().udp(b"")), [0, 0, 0x40, 0]);
    assert_eq!(outer(&four().fragmentable().udp(b"")), [0x12, 0x34, 0, 0]);
    // Fragments of one packet are not mistaken for each other when fragmented again.
    let first = outer(&four().fragment(0, true, 7).udp(&[0; 99]));
    let last = outer(&four().fragment(48, false, 7).udp(&[0; 99]));
    assert_ne!(first[..2], last[..2]);
    assert_eq!((first[2], last[2]), (0, 0));
    let outer = around::<V6, V4>(&six().udp(b""), "172.16.0.1", "172.16.0.9", &case);
    assert_eq!(outer[6], 0x40);
}
