//! Frames that become answers.

use super::{Read, four, read, six};
use crate::{
    abi::{Family, V4, V6},
    packet::{Kind, header::proto},
    rewrite::{Room, syn_ack, too_big, ttl_exceeded},
    testing::{Buffer, tcp_options, verify},
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
        let builder = crate::testing::Builder::new(super::addr(source), super::addr("10.0.0.1:1"));
        assert_eq!(about(&builder.udp(b"")), None, "{source}");
    }
}

fn cookie<F: Read>(frame: &[u8]) {
    let mut buffer = Buffer::new(frame);
    let packet = read::<F>(&buffer);
    syn_ack(&mut buffer, &packet, 0xaabb_ccdd, 1460).unwrap();
    let bytes = buffer.bytes();
    verify(&bytes).unwrap();
    assert_eq!((&bytes[..6], &bytes[6..12]), (&frame[6..12], &frame[..6]));
    let after = read::<F>(&buffer);
    assert_eq!(after.tuple, packet.tuple.reversed());
    assert_eq!((after.tcp_flags, after.tuple.proto), (0x12, proto::TCP));
    let tcp = &bytes[after.l4..];
    assert_eq!((tcp.len(), after.length as usize), (24, F::HEADER + 24));
    assert_eq!(tcp[4..12], [0xaa, 0xbb, 0xcc, 0xdd, 1, 2, 3, 5]);
    assert_eq!(tcp[20..], [2, 4, 5, 0xb4]);
}

#[test]
fn a_syn_becomes_its_answer() {
    cookie::<V4>(&four().tcp(2, &[], b""));
    cookie::<V4>(&four().vlan(4).tcp(0xc2, &tcp_options(8, 1460), b""));
    cookie::<V6>(&six().tcp(2, &tcp_options(0, 9000), b"data"));
    for frame in [
        four().tcp(0x12, &[], b""),
        four().options(&[1; 4]).tcp(2, &[], b""),
        four().udp(b""),
    ] {
        let mut buffer = Buffer::new(&frame);
        let packet = read::<V4>(&buffer);
        assert_eq!(syn_ack(&mut buffer, &packet, 1, 1460), None);
        assert_eq!(buffer.bytes(), frame);
    }
    let chained = six().extension(V6::ICMP + 2, &[0; 6]).tcp(2, &[], b"");
    let mut buffer = Buffer::new(&chained);
    let packet = read::<V6>(&buffer);
    assert_eq!(syn_ack(&mut buffer, &packet, 1, 1460), None);
}
