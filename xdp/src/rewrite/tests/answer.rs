//! Frames that become answers.

use super::{Read, addr, four, read, six};
use crate::{
    abi::{V4, V6},
    packet::{Kind, header::proto},
    rewrite::{Room, offered_mss, syn_ack, too_big, ttl_exceeded},
    testing::{Buffer, Builder, tcp_options, verify},
};

/// The error a packet causes, judged: its type, code and the field behind, and how much it quotes.
fn error<F: Read>(frame: &[u8], mtu: Option<u32>) -> (u8, u8, u32, usize) {
    let mut buffer = Buffer::new(frame);
    let packet = read::<F>(&buffer);
    let from = packet.tuple.dst;
    match mtu {
        Some(mtu) => too_big(&mut buffer, &packet, from, mtu).unwrap(),
        None => ttl_exceeded(&mut buffer, &packet, from).unwrap(),
    }
    let bytes = buffer.bytes();
    verify(&bytes).unwrap();
    assert_eq!((&bytes[..6], &bytes[6..12]), (&frame[6..12], &frame[..6]));
    assert_eq!(bytes[12..packet.l3], frame[12..packet.l3]);
    let l4 = packet.l3 + F::HEADER;
    let quoted = &bytes[l4 + 8..];
    assert_eq!(*quoted, frame[packet.l3..][..quoted.len()]);
    let after = read::<F>(&buffer);
    assert_eq!(after.kind, Kind::IcmpError);
    assert_eq!(after.tuple.src, packet.tuple.src);
    let addresses = after.addresses(buffer.frame()).unwrap();
    assert_eq!(addresses, (from, packet.tuple.src));
    let rest = u32::from_be_bytes([bytes[l4 + 4], bytes[l4 + 5], bytes[l4 + 6], bytes[l4 + 7]]);
    (bytes[l4], bytes[l4 + 1], rest, quoted.len())
}

#[test]
fn too_big_tells_the_mtu_and_quotes_as_much_as_fits() {
    let big = [1; 1460];
    assert_eq!(
        error::<V4>(&four().tcp(16, &[], &big), Some(1480)),
        (3, 4, 1480, 548)
    );
    assert_eq!(
        error::<V4>(&four().vlan(3).udp(&big), Some(1400)),
        (3, 4, 1400, 548)
    );
    let tagged = six().provider(1).vlan(2).extension(60, &[0; 6]);
    assert_eq!(error::<V6>(&tagged.udp(&big), Some(1440)).3, 1232);
    // ICMPv6 makes no difference for later fragments.
    let mut buffer = Buffer::new(&six().fragment(48, false, 1).udp(&big));
    let packet = read::<V6>(&buffer);
    too_big(&mut buffer, &packet, packet.tuple.dst, 1440).unwrap();
    verify(&buffer.bytes()).unwrap();
    // Any length of the quote, odd ones too.
    for length in 0..40 {
        assert_eq!(
            error::<V4>(&four().udp(&big[..length]), Some(68)).3,
            28 + length
        );
    }
}

#[test]
fn time_exceeded() {
    assert_eq!(
        error::<V4>(&four().ttl(1).udp(b"abc"), None),
        (11, 0, 0, 31)
    );
    assert_eq!(
        error::<V6>(&six().ttl(1).tcp(2, &[], b""), None),
        (3, 0, 0, 60)
    );
    // Padding is not quoted.
    let mut padded = four().ttl(1).udp(b"abc");
    padded.resize(60, 0);
    assert_eq!(error::<V4>(&padded, None).3, 31);
}

#[test]
fn no_error_about_errors_later_fragments_and_groups() {
    let about = |frame: &[u8]| {
        let mut buffer = Buffer::new(frame);
        let packet = read::<V4>(&buffer);
        too_big(&mut buffer, &packet, packet.tuple.dst, 1400)
    };
    let quoted = four().udp(b"")[14..].to_vec();
    assert_eq!(about(&four().icmp(3, 3, 0, &quoted)), None);
    assert_eq!(about(&four().fragment(48, false, 1).udp(&[0; 99])), None);
    for source in [
        "224.0.0.1:1",
        "0.0.0.0:1",
        "255.255.255.255:1",
        "127.0.0.1:1",
    ] {
        let builder = Builder::new(addr(source), addr("10.0.0.1:1"));
        assert_eq!(about(&builder.udp(b"")), None, "{source}");
    }
}

/// The answer to a SYN, against one made from scratch.
fn cookie<F: Read>(frame: &[u8], answer: &Builder) {
    let mut buffer = Buffer::new(frame);
    let packet = read::<F>(&buffer);
    syn_ack(&mut buffer, &packet, 0xaabb_ccdd, 1460).unwrap();
    let answer = answer
        .clone()
        .ttl(64)
        .id(0)
        .label(0)
        .numbers(0xaabb_ccdd, 0x0102_0305)
        .window(0);
    let mut wanted = answer.tcp(0x12, &tcp_options(0, 1460), b"");
    wanted[..6].copy_from_slice(&frame[6..12]);
    wanted[6..12].copy_from_slice(&frame[..6]);
    assert_eq!(buffer.bytes(), wanted);
}

#[test]
fn a_syn_becomes_its_answer() {
    let back = Builder::new(addr("192.168.5.6:80"), addr("10.1.2.3:1000"));
    cookie::<V4>(&four().tcp(2, &[], b""), &back);
    let tagged = four().vlan(4).tcp(0xc2, &tcp_options(8, 1460), b"");
    cookie::<V4>(&tagged, &back.clone().vlan(4));
    // What the IP header had more is not in the answer.
    cookie::<V4>(&four().options(&[1; 8]).tcp(2, &[], b"data"), &back);
    let back = Builder::new(addr("[2001:db8::2]:80"), addr("[2001:db8::1]:1000"));
    cookie::<V6>(&six().tcp(2, &tcp_options(0, 9000), b"data"), &back);
    let chained = six().extension(proto::DESTINATION, &[1; 6]);
    cookie::<V6>(&chained.tcp(2, &[], b""), &back);
    for frame in [
        four().tcp(0x12, &[], b""),
        four().tcp(6, &[], b""),
        four()
            .fragment(0, true, 7)
            .tcp(2, &tcp_options(0, 1), &[0; 50]),
        four().udp(b""),
    ] {
        let mut buffer = Buffer::new(&frame);
        let packet = read::<V4>(&buffer);
        assert_eq!(syn_ack(&mut buffer, &packet, 1, 1460), None);
        assert_eq!(buffer.bytes(), frame);
    }
}

#[test]
fn the_mss_that_a_syn_offers() {
    let offered = |options: &[u8]| {
        let buffer = Buffer::new(&four().tcp(2, options, b""));
        let packet = read::<V4>(&buffer);
        offered_mss(buffer.frame(), &packet)
    };
    assert_eq!(offered(&[]), Some(0));
    for before in 0..20 {
        assert_eq!(offered(&tcp_options(before, 1234)), Some(1234));
    }
    assert_eq!(offered(&[4, 2, 2, 4, 0x12, 0x34, 1, 1]), Some(0x1234));
    // Ended before it, of another length, of no length.
    assert_eq!(offered(&[0, 2, 4, 1, 1, 1, 1, 1]), Some(0));
    assert_eq!(offered(&[2, 3, 1, 1]), Some(0));
    assert_eq!(offered(&[9, 0, 2, 4, 1, 1, 1, 1]), Some(0));
}
