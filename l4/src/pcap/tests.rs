//! Captures as tools write them, in both byte orders, and broken ones.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// An IPv4 packet of so many bytes.
fn ip(length: usize) -> Vec<u8> {
    let mut packet = vec![0; length];
    packet[0] = 0x45;
    packet
}

/// A pcap file of one packet, of which `captured` bytes are there.
fn classic(big: bool, link: u32, data: &[u8], length: u32) -> Vec<u8> {
    let u32 = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let mut file = u32(0xa1b2_c3d4).to_vec();
    for word in [
        0x0002_0004,
        0,
        0,
        65_535,
        link,
        1,
        2,
        data.len() as u32,
        length,
    ] {
        file.extend(u32(word));
    }
    file.extend_from_slice(data);
    file
}

/// A pcapng block.
fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let u32 = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let padded = body.len().next_multiple_of(4);
    let length = u32(padded as u32 + 12);
    let mut block = u32(kind).to_vec();
    block.extend(length);
    block.extend_from_slice(body);
    block.resize(8 + padded, 0);
    block.extend(length);
    block
}

fn ng(big: bool, data: &[u8], length: u32) -> Vec<u8> {
    let u32 = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let u16 = |n: u16| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let mut section = u32(0x1a2b_3c4d).to_vec();
    section.extend([0; 12]);
    let mut interface = u16(101).to_vec();
    interface.extend([0, 0]);
    interface.extend(u32(0));
    let mut packet = Vec::new();
    for word in [0, 1, 2, data.len() as u32, length] {
        packet.extend(u32(word));
    }
    packet.extend_from_slice(data);
    let mut simple = u32(length).to_vec();
    simple.extend_from_slice(data);
    simple.resize(4 + length as usize, 0);
    [
        block(big, 0x0a0d_0d0a, &section),
        block(big, 1, &interface),
        block(big, 0x4000_0001, b"something else"),
        block(big, 6, &packet),
        block(big, 3, &simple),
    ]
    .concat()
}

#[test]
fn both_formats_are_read_in_both_orders() {
    for big in [false, true] {
        let capture = read(&classic(big, 101, &ip(20), 40), 10).unwrap();
        assert_eq!(capture.trouble, None);
        let [packet] = &capture.packets[..] else {
            panic!("{capture:?}");
        };
        // An Ethernet header before it, and what was cut off after it.
        assert_eq!((packet.captured, packet.frame.len()), (34, 54));
        assert_eq!(&packet.frame[12..15], [0x08, 0x00, 0x45]);

        let capture = read(&ng(big, &ip(20), 40), 10).unwrap();
        assert_eq!(capture.trouble, None, "{big}");
        assert_eq!(capture.packets.len(), 2);
        assert_eq!(capture.packets[0].frame, packet.frame);
        assert_eq!(capture.packets[1].frame.len(), 54);
    }
}

#[test]
fn other_link_layers_become_ethernet() {
    let cooked = [&[0; 14][..], &[0x86, 0xdd], &[0x60; 40]].concat();
    let cooked2 = [&[0x08, 0x00][..], &[0; 18], &ip(20)].concat();
    let loopback = [&[2, 0, 0, 0][..], &ip(20)].concat();
    for (link, data, ethertype) in [
        (113, &cooked, [0x86, 0xdd]),
        (276, &cooked2, [0x08, 0x00]),
        (0, &loopback, [0x08, 0x00]),
    ] {
        let file = classic(false, link, data, data.len() as u32);
        let capture = read(&file, 10).unwrap();
        assert_eq!(capture.packets[0].frame[12..14], ethertype, "{link}");
        assert!([0x45, 0x60].contains(&capture.packets[0].frame[14]));
    }
    let ethernet = vec![7; 60];
    let capture = read(&classic(false, 1, &ethernet, 60), 10).unwrap();
    assert_eq!(capture.packets[0].frame, ethernet);
    let strange = read(&classic(false, 147, &ethernet, 60), 10).unwrap();
    assert_eq!((strange.packets.len(), strange.unknown), (0, 1));
}

#[test]
fn what_is_broken_is_said_and_what_came_before_is_kept() {
    let good = classic(false, 101, &ip(20), 20);
    let two = [&good[..], &good[24..]].concat();
    let capture = read(&two[..two.len() - 1], 10).unwrap();
    assert_eq!(capture.packets.len(), 1);
    assert_eq!(capture.trouble.as_deref(), Some("it ends within a packet"));
    let capture = read(&two, 1).unwrap();
    assert!(capture.more && capture.packets.len() == 1);
    assert!(read(b"GET / HTTP/1.1", 1).is_err());
    assert!(read(b"", 1).is_err());
    // A length that says more than memory has is not believed.
    let huge = classic(false, 101, &ip(20), u32::MAX);
    assert_eq!(read(&huge, 1).unwrap().packets[0].frame.len(), LONGEST);
}

proptest! {
    #[test]
    fn no_bytes_break_it(mut file in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..4_usize) {
        let magic = [[0x0a, 0x0d, 0x0d, 0x0a], [0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0; 4]][kind];
        if file.len() >= 4 {
            file[..4].copy_from_slice(&magic);
        }
        let _ = read(&file, 100);
    }

    #[test]
    fn no_change_to_a_good_file_breaks_it(at in 0..200_usize, byte: u8, big: bool) {
        let mut file = ng(big, &ip(20), 40);
        let at = at % file.len();
        file[at] = byte;
        if let Ok(capture) = read(&file, 100) {
            prop_assert!(capture.packets.iter().all(|p| p.frame.len() <= LONGEST && p.captured <= p.frame.len()));
        }
    }
}
