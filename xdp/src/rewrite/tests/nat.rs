//! Translation, time to live, link layer, MSS.

use std::vec::Vec;

use proptest::prelude::*;

use super::{Read, four, read, six, tuple};
use crate::{
    abi::{Hop, Mac, Tuple, V4, V6},
    packet::{Kind, header::proto},
    rewrite::{Room, clamp_mss, decrement_ttl, link, translate, translate_icmp_error},
    testing::{Buffer, Builder, tcp_options, verify},
};

/// Translates there and back, and looks at both.
fn there_and_back<F: Read>(frame: &[u8], to: &Tuple<F>) {
    let buffer = Buffer::new(frame);
    let packet = read::<F>(&buffer);
    let to = Tuple::new(to.src, to.dst, to.sport, to.dport, packet.tuple.proto);
    translate(buffer.frame(), &packet, &to).unwrap();
    verify(&buffer.bytes()).unwrap();
    let mut after = read::<F>(&buffer);
    if packet.kind == Kind::LaterFragment {
        after.tuple = to;
    }
    assert_eq!(after.tuple, to);
    translate(buffer.frame(), &after, &packet.tuple).unwrap();
    assert_eq!(buffer.bytes(), frame);
}

#[test]
fn every_kind_of_packet_there_and_back() {
    let to = tuple::<V4>("203.0.113.9:4444", "10.9.9.9:8080", 0);
    let same_ports = tuple::<V4>("203.0.113.9:1000", "10.9.9.9:80", 0);
    let bytes = [3; 101];
    there_and_back(&four().tcp(24, &[1; 4], &bytes), &to);
    there_and_back(&four().vlan(3).options(&[1; 8]).udp(&bytes), &to);
    there_and_back(&four().udp_unchecked(&bytes), &to);
    there_and_back(&four().sctp(&bytes), &same_ports);
    there_and_back(&four().fragment(0, true, 5).udp(&bytes), &to);
    there_and_back(&four().fragment(48, false, 5).udp(&bytes), &to);
    let to = tuple::<V6>("[2001:db8:1::5]:4444", "[fd00::9]:8080", 0);
    there_and_back(&six().tcp(24, &[1; 4], &bytes), &to);
    there_and_back(&six().extension(60, &[0; 14]).udp(&bytes), &to);
    there_and_back(&six().fragment(0, true, 5).tcp(16, &[], &bytes), &to);
    there_and_back(&six().fragment(48, false, 5).tcp(16, &[], &bytes), &to);
}

#[test]
fn first_fragment_carries_the_checksum_of_the_whole() {
    let bytes = [9; 101];
    let to = tuple::<V4>("203.0.113.9:4444", "10.9.9.9:8080", 17);
    let first = Buffer::new(&four().fragment(0, true, 5).udp(&bytes));
    translate(first.frame(), &read::<V4>(&first), &to).unwrap();
    let whole = Buffer::new(&four().udp(&bytes));
    translate(whole.frame(), &read::<V4>(&whole), &to).unwrap();
    assert_eq!(first.bytes()[34..42], whole.bytes()[34..42]);
}

#[test]
fn udp_checksum_is_never_mended_to_none() {
    let frame = four().udp(b"some payload");
    let mut written_otherwise = 0;
    for port in 0..=u16::MAX {
        let buffer = Buffer::new(&frame);
        let packet = read::<V4>(&buffer);
        let mut to = packet.tuple;
        to.sport = port;
        translate(buffer.frame(), &packet, &to).unwrap();
        let bytes = buffer.bytes();
        assert_ne!(bytes[40..42], [0, 0]);
        if bytes[40..42] == [0xff, 0xff] {
            verify(&bytes).unwrap();
            written_otherwise += 1;
        }
    }
    assert_eq!(written_otherwise, 1);
}

#[test]
fn time_to_live() {
    for ttl in [1, 2, 64, 255] {
        let buffer = Buffer::new(&four().ttl(ttl).udp(b""));
        decrement_ttl(buffer.frame(), &read::<V4>(&buffer)).unwrap();
        verify(&buffer.bytes()).unwrap();
        assert_eq!(read::<V4>(&buffer).ttl, ttl - 1);
        let buffer = Buffer::new(&six().ttl(ttl).udp(b""));
        decrement_ttl(buffer.frame(), &read::<V6>(&buffer)).unwrap();
        assert_eq!(buffer.bytes(), six().ttl(ttl - 1).udp(b""));
    }
}

/// An ICMP error from `outer`'s source to its destination about what `inner` sent, `quoted` bytes of it.
fn complaint(outer: &Builder, kind: u8, inner: &[u8], quoted: usize) -> Vec<u8> {
    outer.icmp(kind, 0, 0, &inner[14..][..quoted.min(inner.len() - 14)])
}

#[test]
fn icmp_error_from_a_client_reaches_the_backend() {
    // Client 10.1.2.3:1000 of service 192.168.5.6:80; the backend is 172.16.0.7:8080.
    let reply = Builder::new(
        "192.168.5.6:80".parse().unwrap(),
        "10.1.2.3:1000".parse().unwrap(),
    );
    let to = tuple::<V4>("10.1.2.3:1000", "172.16.0.7:8080", 0);
    let router = Builder::new(
        "10.255.0.1:0".parse().unwrap(),
        "192.168.5.6:0".parse().unwrap(),
    );
    let segment = reply.tcp(16, &[], &[5; 40]);
    for (inner, quoted) in [
        (&segment, 28),
        (&segment, 36),
        (&segment, 37),
        (&segment, 38),
        (&segment, 80),
        (&reply.clone().options(&[1; 4]).udp(&[1; 9]), 80),
        (&reply.udp_unchecked(b"x"), 28),
        (&reply.sctp(b"1234"), 28),
    ] {
        let frame = complaint(&router, 11, inner, quoted);
        let buffer = Buffer::new(&frame);
        let packet = read::<V4>(&buffer);
        let to = Tuple::new(to.src, to.dst, to.sport, to.dport, packet.tuple.proto);
        let to = if to.proto == proto::SCTP {
            Tuple::new(to.src, to.dst, 1000_u16.to_be(), 80_u16.to_be(), to.proto)
        } else {
            to
        };
        translate_icmp_error(buffer.frame(), &packet, &to, false).unwrap();
        verify(&buffer.bytes()).unwrap();
        let after = read::<V4>(&buffer);
        assert_eq!(after.tuple, to.reversed());
        let (src, dst) = after.addresses(buffer.frame()).unwrap();
        assert_eq!((src.to_ne_bytes(), dst), ([10, 255, 0, 1], to.dst));
    }
}

#[test]
fn icmp_error_from_a_backend_reaches_the_client_in_the_service_name() {
    let forwarded = Builder::new(
        "[2001:db8::1]:1000".parse().unwrap(),
        "[fd00::9]:8080".parse().unwrap(),
    );
    let to = tuple::<V6>("[2001:db8::2]:80", "[2001:db8::1]:1000", 17);
    for (from, hide) in [
        ("[fd00::9]:0", false),
        ("[fd00::fe]:0", true),
        ("[fd00::fe]:0", false),
    ] {
        let outer = Builder::new(from.parse().unwrap(), "[2001:db8::1]:0".parse().unwrap());
        let frame = complaint(&outer, 1, &forwarded.udp(&[1; 30]), 999);
        let buffer = Buffer::new(&frame);
        let packet = read::<V6>(&buffer);
        translate_icmp_error(buffer.frame(), &packet, &to, hide).unwrap();
        verify(&buffer.bytes()).unwrap();
        let after = read::<V6>(&buffer);
        assert_eq!(after.tuple, to.reversed());
        let (src, _) = after.addresses(buffer.frame()).unwrap();
        assert_eq!(src == to.src, hide || from.contains("::9"));
    }
}

#[test]
fn link_layer_with_any_tags_before_and_after() {
    let hop = |vlan| Hop {
        source: Mac { a: 1, b: 2, c: 3 },
        target: Mac { a: 4, b: 5, c: 6 },
        vlan,
        ..Hop::default()
    };
    for frame in [
        four().udp(b"x"),
        four().vlan(9).udp(b"x"),
        four().provider(8).vlan(9).udp(b"x"),
    ] {
        for vlan in [0, 0x2007] {
            let mut buffer = Buffer::new(&frame);
            let l3 = read::<V4>(&buffer).l3;
            link::<V4, _>(&mut buffer, l3, &hop(vlan)).unwrap();
            let bytes = buffer.bytes();
            assert_eq!(bytes[..6], [4, 0, 5, 0, 6, 0]);
            assert_eq!(bytes[6..12], [1, 0, 2, 0, 3, 0]);
            let tag: &[u8] = if vlan == 0 {
                &[8, 0]
            } else {
                &[0x81, 0, 0x20, 7, 8, 0]
            };
            assert_eq!(bytes[12..12 + tag.len()], *tag);
            assert_eq!(bytes[12 + tag.len()..], frame[l3..]);
        }
    }
}

#[test]
fn mss_is_lowered_wherever_it_is() {
    for before in 0..8 {
        for offered in [536, 1459, 1460, 1461, 9000] {
            let frame = four().tcp(2, &tcp_options(before, offered), b"");
            let buffer = Buffer::new(&frame);
            clamp_mss(buffer.frame(), &read::<V4>(&buffer), 1460).unwrap();
            let wanted = four().tcp(2, &tcp_options(before, offered.min(1460)), b"");
            assert_eq!(buffer.bytes(), wanted, "{before} {offered}");
        }
    }
    for options in [
        &[0, 2, 4, 0xff][..],
        &[3, 0, 2, 4, 0xff, 0xff, 0, 0],
        &[2, 3, 0xff, 0],
        &[8, 200, 2, 4],
    ] {
        let frame = six().tcp(2, options, b"\x02\x04\xff\xff");
        let buffer = Buffer::new(&frame);
        clamp_mss(buffer.frame(), &read::<V6>(&buffer), 1220).unwrap();
        assert_eq!(buffer.bytes(), frame);
    }
}

proptest! {
    #[test]
    fn any_translation_is_right_and_can_be_undone(
        a in any::<[u32; 8]>(), ports in any::<[u16; 4]>(), payload in proptest::collection::vec(any::<u8>(), 0..99), tcp: bool
    ) {
        let v4 = |a: u32, port| std::net::SocketAddr::new(std::net::Ipv4Addr::from(a).into(), port);
        let builder = Builder::new(v4(a[0], ports[0]), v4(a[1], ports[1]));
        let frame = if tcp { builder.tcp(16, &[], &payload) } else { builder.udp(&payload) };
        there_and_back::<V4>(&frame, &Tuple::new(a[2], a[3], ports[2], ports[3], 0));
        let v6 = |a: u32, b: u32, port| {
            let bits = u128::from(a) << 77 ^ u128::from(b);
            std::net::SocketAddr::new(std::net::Ipv6Addr::from(bits).into(), port)
        };
        let builder = Builder::new(v6(a[0], a[1], ports[0]), v6(a[2], a[3], ports[1]));
        let frame = if tcp { builder.tcp(16, &[], &payload) } else { builder.udp(&payload) };
        let wide = |a, b, c| crate::abi::Addr6 { a, b, c, d: a ^ b };
        there_and_back::<V6>(&frame, &Tuple::new(wide(a[4], a[5], a[6]), wide(a[7], a[0], 0), ports[2], ports[3], 0));
    }
}
