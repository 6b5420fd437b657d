//! Frames read: what each case comes to, and that no bytes at all do harm.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{boxed::Box, net::SocketAddr, vec, vec::Vec};

use proptest::prelude::*;

use super::{Frame, Kind, Parsed, header::proto, next_hop_mtu, parse};
use crate::{
    abi::{PassReason, Reason, V4, V6},
    packet::Packet,
    testing::Builder,
};

fn read(bytes: &[u8]) -> Parsed {
    let mut bytes: Box<[u8]> = bytes.into();
    // SAFETY: the box outlives the frame.
    parse(unsafe { Frame::of(&mut bytes) })
}

fn v4(bytes: &[u8]) -> Packet<V4> {
    match read(bytes) {
        Parsed::V4(packet) => packet,
        other => panic!("{other:?}"),
    }
}

fn v6(bytes: &[u8]) -> Packet<V6> {
    match read(bytes) {
        Parsed::V6(packet) => packet,
        other => panic!("{other:?}"),
    }
}

fn passed(bytes: &[u8]) -> PassReason {
    match read(bytes) {
        Parsed::Pass(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn malformed(bytes: &[u8]) -> bool {
    matches!(read(bytes), Parsed::Drop(Reason::Malformed))
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn four() -> Builder {
    Builder::new(addr("10.1.2.3:1000"), addr("192.168.5.6:80"))
}

fn six() -> Builder {
    Builder::new(addr("[2001:db8::1]:1000"), addr("[2001:db8::2]:80"))
}

#[test]
fn ports_and_flags_of_both_families() {
    let packet = v4(&four().tos(0xb8).tcp(2, &[], b"hello"));
    assert_eq!((packet.l3, packet.l4, packet.length), (14, 34, 45));
    assert_eq!(packet.tuple.src.to_ne_bytes(), [10, 1, 2, 3]);
    assert_eq!(packet.tuple.dst.to_ne_bytes(), [192, 168, 5, 6]);
    let ports = (packet.tuple.sport.to_be(), packet.tuple.dport.to_be());
    assert_eq!((ports, packet.tuple.proto), ((1000, 80), proto::TCP));
    assert_eq!((packet.tcp_flags, packet.ttl, packet.tos), (2, 63, 0xb8));
    assert!(packet.dont_fragment && packet.kind == Kind::Whole);

    let packet = v6(&six().tos(0x2e).udp(b"hello"));
    assert_eq!((packet.l3, packet.l4, packet.length), (14, 54, 53));
    assert_eq!(packet.tuple.src.a.to_ne_bytes(), [0x20, 1, 0x0d, 0xb8]);
    assert_eq!(packet.tuple.dst.d.to_ne_bytes(), [0, 0, 0, 2]);
    assert_eq!(packet.tuple.dport.to_be(), 80);
    assert_eq!((packet.ttl, packet.tos), (63, 0x2e));
    assert_eq!(v4(&four().sctp(&[0; 20])).tuple.proto, proto::SCTP);
}

#[test]
fn vlan_tags_and_options_move_the_headers() {
    assert_eq!(v4(&four().vlan(5).udp(b"")).l3, 18);
    assert_eq!(v4(&four().provider(7).vlan(5).udp(b"")).l3, 22);
    let packet = v6(&six().provider(7).vlan(5).udp(b""));
    assert_eq!((packet.l3, packet.l4), (22, 62));
    assert_eq!(v4(&four().options(&[1; 40]).udp(b"")).l4, 74);
    // A third tag is none of ours.
    assert_eq!(
        passed(&four().vlan(1).vlan(2).vlan(3).udp(b"")),
        PassReason::NotIp
    );
}

#[test]
fn what_is_not_for_one_host_or_not_ip_passes() {
    let mut frame = four().udp(b"");
    frame[0] = 0xff;
    assert_eq!(passed(&frame), PassReason::NotOurs);
    frame[0] = 2;
    frame[13] = 6;
    assert_eq!(passed(&frame), PassReason::NotIp);
    assert_eq!(passed(&frame[..13]), PassReason::NotIp);
    assert_eq!(
        passed(&four().raw(proto::GRE, &[0; 20])),
        PassReason::Protocol
    );
    assert_eq!(passed(&four().icmp(8, 0, 7, b"ping")), PassReason::Protocol);
    assert_eq!(
        passed(&six().icmp(128, 0, 7, b"ping")),
        PassReason::Protocol
    );
    assert_eq!(
        passed(&six().icmp(135, 0, 0, &[0; 16])),
        PassReason::Protocol
    );
}

#[test]
fn padding_is_fine_and_contradicting_lengths_are_not() {
    let frame = four().udp(b"");
    let mut padded = frame.clone();
    padded.resize(60, 0);
    assert_eq!(v4(&padded).length, 28);
    for end in 14..frame.len() {
        assert!(malformed(&frame[..end]), "{end}");
    }
    let change = |at: usize, to: u8| {
        let mut frame = four().tcp(16, &[], b"x");
        frame[at] = to;
        frame
    };
    assert!(malformed(&change(14, 0x44)), "header length 4");
    assert!(malformed(&change(14, 0x65)), "version 6");
    assert!(malformed(&change(17, 19)), "total length below the header");
    assert!(malformed(&change(17, 42)), "total length beyond the frame");
    assert!(malformed(&change(17, 39)), "no room for TCP");
    assert!(malformed(&change(46, 0x40)), "TCP's header of 16 bytes");
    assert!(
        malformed(&change(46, 0xf0)),
        "TCP's header beyond the packet"
    );
    let mut udp = four().udp(b"abc");
    udp[39] = 7;
    assert!(malformed(&udp));
    udp[39] = 12;
    assert!(malformed(&udp));
    let frame = six().tcp(16, &[], b"x");
    for end in 14..frame.len() {
        assert!(malformed(&frame[..end]), "{end}");
    }
}

#[test]
fn fragments() {
    let bytes = [7; 200];
    let first = v4(&four().fragment(0, true, 0xbeef).udp(&bytes));
    assert_eq!(
        (first.kind, first.tuple.dport.to_be()),
        (Kind::FirstFragment, 80)
    );
    let last = v4(&four().fragment(48, false, 0xbeef).udp(&bytes));
    assert_eq!((last.kind, last.tuple.dport), (Kind::LaterFragment, 0));
    assert_eq!(
        (first.id, last.id),
        (u32::from(0xbeef_u16.to_be()), first.id)
    );
    assert!(!first.dont_fragment);

    let first = v6(&six().fragment(0, true, 0xdead_beef).udp(&bytes));
    assert_eq!((first.kind, first.l4), (Kind::FirstFragment, 62));
    assert_eq!(first.tuple.dport.to_be(), 80);
    let last = v6(&six().fragment(48, false, 0xdead_beef).tcp(16, &[], &bytes));
    assert_eq!((last.kind, last.tuple.dport), (Kind::LaterFragment, 0));
    assert_eq!((first.id, last.id), (0xdead_beef_u32.to_be(), first.id));
    // The only fragment (RFC 6946).
    assert_eq!(
        v6(&six().fragment(0, false, 1).udp(&bytes)).kind,
        Kind::Whole
    );
    // A first fragment without the whole TCP header (RFC 1858).
    let mut tiny = four().fragment(0, true, 1).tcp(2, &[], &[0; 60]);
    tiny.truncate(14 + 20 + 16);
    tiny[17] = 36;
    assert!(malformed(&tiny));
    assert_eq!(
        passed(&four().fragment(0, true, 1).icmp(3, 1, 0, &[0; 99])),
        PassReason::Protocol
    );
}

#[test]
fn extension_headers() {
    let all = six()
        .extension(proto::HOP_BY_HOP, &[0; 6])
        .extension(proto::DESTINATION, &[0; 14])
        .extension(proto::ROUTING, &[0; 6]);
    let packet = v6(&all.tcp(16, &[], b""));
    assert_eq!((packet.l4, packet.tuple.proto), (14 + 40 + 32, proto::TCP));
    assert_eq!(
        v6(&all.fragment(0, true, 5).udp(&[0; 99])).kind,
        Kind::FirstFragment
    );
    let source_routed = six().extension(proto::ROUTING, &[0, 1, 0, 0, 0, 0]);
    assert_eq!(passed(&source_routed.udp(b"")), PassReason::Unparsed);
    let secured = six().extension(proto::AH, &[0; 6]);
    assert_eq!(passed(&secured.udp(b"")), PassReason::Unparsed);
    let mut many = six();
    for _ in 0..7 {
        many = many.extension(proto::DESTINATION, &[0; 6]);
    }
    assert_eq!(passed(&many.udp(b"")), PassReason::Unparsed);
    let long = six().extension(proto::DESTINATION, &[0; 262]);
    assert_eq!(passed(&long.udp(b"")), PassReason::Unparsed);
}

#[test]
fn icmp_errors_are_of_the_flow_they_speak_of() {
    let inner = Builder::new(addr("192.168.5.6:80"), addr("10.1.2.3:1000"));
    let quoted = inner.tcp(16, &[], &[0; 100])[14..][..28].to_vec();
    let frame = four().icmp(3, 4, 1400, &quoted);
    let packet = v4(&frame);
    assert_eq!(packet.kind, Kind::IcmpError);
    assert_eq!((packet.inner_l3, packet.inner_l4), (42, 62));
    assert_eq!(packet.tuple.sport.to_be(), 80);
    assert_eq!(packet.tuple.src.to_ne_bytes(), [192, 168, 5, 6]);
    let mut bytes = frame.clone();
    // SAFETY: `bytes` outlives the frame.
    let whole = unsafe { Frame::of(&mut bytes) };
    assert_eq!(next_hop_mtu(whole, &packet), Some(1400));
    assert!(malformed(&four().icmp(3, 4, 0, &quoted[..27])));
    assert_eq!(passed(&four().icmp(5, 1, 0, &quoted)), PassReason::Protocol);
    let later = inner.clone().fragment(48, false, 1).udp(&[0; 99])[14..].to_vec();
    assert_eq!(passed(&four().icmp(11, 0, 0, &later)), PassReason::Protocol);
    let first = inner.clone().fragment(0, true, 1).udp(&[0; 99])[14..].to_vec();
    assert_eq!(v4(&four().icmp(11, 0, 0, &first)).kind, Kind::IcmpError);
    let tunnel = inner.raw(proto::IPIP, &quoted)[14..].to_vec();
    assert_eq!(
        v4(&four().icmp(3, 4, 1400, &tunnel)).tuple.proto,
        proto::IPIP
    );

    let inner = Builder::new(addr("[2001:db8::2]:80"), addr("[2001:db8::1]:1000"))
        .extension(proto::DESTINATION, &[0; 6]);
    let quoted = inner.udp(&[0; 100])[14..].to_vec();
    let packet = v6(&six().icmp(2, 0, 1280, &quoted));
    assert_eq!(
        (packet.kind, packet.inner_l4),
        (Kind::IcmpError, 14 + 40 + 8 + 48)
    );
    assert_eq!(packet.tuple.dport.to_be(), 1000);
    assert!(malformed(&six().icmp(2, 0, 1280, &quoted[..55])));
}

fn frames() -> Vec<Vec<u8>> {
    let quoted = four().options(&[1; 8]).udp(b"abcd")[14..].to_vec();
    let quoted6 = six().extension(0, &[0; 6]).tcp(16, &[], b"abcd")[14..].to_vec();
    vec![
        four()
            .provider(1)
            .vlan(2)
            .options(&[1; 12])
            .tcp(2, &[1; 8], b"payload"),
        four().icmp(3, 4, 1400, &quoted),
        six()
            .extension(0, &[0; 6])
            .extension(60, &[0; 14])
            .fragment(0, true, 9)
            .udp(&[1; 77]),
        six().vlan(9).icmp(2, 0, 1300, &quoted6),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn truncated_and_changed_packets_are_read_without_harm(
        which in 0_usize..4, at in any::<usize>(), to in any::<u8>(), end in any::<usize>()
    ) {
        let mut bytes = frames().swap_remove(which);
        let length = bytes.len();
        bytes[at % length] = to;
        bytes.truncate(end % (length + 1));
        let length = bytes.len();
        match read(&bytes) {
            Parsed::V4(p) => prop_assert!(p.l3 + p.length as usize <= length && p.l4 <= length),
            Parsed::V6(p) => prop_assert!(p.l3 + p.length as usize <= length && p.l4 <= length),
            Parsed::Pass(_) | Parsed::Drop(_) => {}
        }
    }
}
