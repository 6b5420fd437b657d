//! What keepalived and FRR put on a wire decodes, is taken, and is written again to the byte; so are the frames with which
//! they tell the link where an address is.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

use proto::{
    time::Utc,
    vrrp::{
        codec::{Checksum, Decoded, Packet, V2Auth, decode, encode},
        garp::{ArpForm, MacAddr, NaFlags, announce},
        machine::{Auth, Cast, Config, Settings},
        terms::{Family, Version},
        wire::Wire,
    },
};

macro_rules! captures {
    ($($name:literal: $adverts:literal, $announcements:literal;)*) => {
        /// Each with the number of its adverts and of its announcements.
        const CAPTURES: &[(&str, &[u8], usize, usize)] = &[
            $(($name, include_bytes!(concat!("captures/", $name, ".pcap")), $adverts, $announcements),)*
        ];
    };
}

captures! {
    "v2-ip4-mcast-1s": 6, 20;
    "v2-ip4-mcast-1s-prio0": 3, 5;
    "v2-ip4-ucast-1s": 6, 20;
    "v2-ip4-ucast-1s-prio0": 3, 5;
    "v3-ip4-mcast-0.1s": 17, 15;
    "v3-ip4-mcast-0.1s-prio0": 12, 10;
    "v3-ip4-mcast-0.1s-vmac": 17, 15;
    "v3-ip4-mcast-0.1s-vmac-prio0": 13, 10;
    "v3-ip4-mcast-1s": 5, 20;
    "v3-ip4-mcast-1s-prio0": 3, 5;
    "v3-ip4-ucast-0.1s": 17, 15;
    "v3-ip4-ucast-0.1s-prio0": 14, 25;
    "v3-ip6-mcast-0.1s": 17, 30;
    "v3-ip6-mcast-0.1s-prio0": 13, 20;
    "v3-ip6-mcast-0.1s-vmac": 17, 30;
    "v3-ip6-mcast-0.1s-vmac-prio0": 14, 30;
    "v3-ip6-mcast-1s": 6, 40;
    "v3-ip6-mcast-1s-prio0": 3, 10;
    "v3-ip6-ucast-0.1s": 16, 30;
    "v3-ip6-ucast-0.1s-prio0": 13, 40;
    "v3-keepalived-vs-frr": 131, 12;
}

/// The frames of a capture in the byte order of the machine that wrote it: little.
fn frames(mut file: &[u8]) -> Vec<&[u8]> {
    assert_eq!(file[..4], 0xa1b2_c3d4_u32.to_le_bytes());
    file = &file[24..];
    let mut frames = Vec::new();
    while let Some((header, rest)) = file.split_first_chunk::<16>() {
        let [.., a, b, c, d, _, _, _, _] = *header;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap();
        frames.push(&rest[..length]);
        file = &rest[length..];
    }
    frames
}

/// The advert's packet in a frame, if it is one.
fn packet(frame: &[u8]) -> Option<Packet<'_>> {
    let v6 = |at: usize| IpAddr::V6(Ipv6Addr::from(*frame[at..].first_chunk().unwrap()));
    match frame[12..14] {
        [0x08, 0x00] if frame[23] == 112 => Some(Packet::from_ipv4(&frame[14..]).unwrap()),
        [0x86, 0xdd] if frame[20] == 112 => Some(Packet {
            source: v6(22),
            destination: v6(38),
            hop_limit: frame[21],
            message: &frame[54..],
        }),
        _ => None,
    }
}

fn adverts(file: &[u8]) -> Vec<(&[u8], Packet<'_>)> {
    let all = frames(file).into_iter();
    all.filter_map(|frame| Some((frame, packet(frame)?)))
        .collect()
}

/// A node that speaks as the capture's nodes do.
fn third_node(name: &str, decoded: &Decoded<'_>) -> Wire {
    let advert = &decoded.advert;
    let mut settings = Settings::new(advert.vrid, advert.addresses.clone());
    settings.version = advert.version;
    settings.interval = advert.interval;
    settings.auth = match advert.auth {
        V2Auth::None => Auth::None,
        password => Auth::Password(password),
    };
    if name.contains("ucast") {
        settings.cast = Cast::unicast(vec![decoded.packet.source]);
    }
    Wire::new(Config::new(settings).unwrap())
}

#[test]
fn every_advert_decodes_and_encodes_to_the_byte() {
    for (name, file, count, _) in CAPTURES {
        let adverts = adverts(file);
        assert_eq!(adverts.len(), *count, "{name}");
        for (_, packet) in adverts {
            let decoded = decode(packet).unwrap_or_else(|why| panic!("{name}: {why}"));
            let again = encode(
                &decoded.advert,
                decoded.checksum,
                packet.source,
                packet.destination,
            );
            assert_eq!(again, packet.message, "{name}");
        }
    }
}

#[test]
fn every_advert_is_taken_by_a_third_node_and_sealed_alike() {
    let now = Utc::default();
    for (name, file, ..) in CAPTURES {
        for (_, packet) in adverts(file) {
            let decoded = decode(packet).unwrap();
            let mut wire = third_node(name, &decoded);
            let accepted = wire.read(decoded.clone(), None, now);
            let accepted = accepted.unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(accepted.from, packet.source);
            if decoded.checksum == Checksum::default() {
                let sealed = wire.write(&accepted.advert, packet.source, now);
                assert_eq!(sealed.to(packet.destination), packet.message, "{name}");
            }
        }
    }
}

#[test]
fn versions_families_checksums_and_releases_are_all_there() {
    let mut seen = BTreeSet::new();
    for (name, file, ..) in CAPTURES {
        for (frame, packet) in adverts(file) {
            let Decoded {
                advert, checksum, ..
            } = decode(packet).unwrap();
            let family = advert.addresses.family();
            seen.insert((advert.version, family, advert.priority.0));
            let plain = checksum == Checksum::MessageOnly;
            assert_eq!(plain, advert.version == Version::V2, "{name}");
            let mac = MacAddr::of_virtual_router(family, advert.vrid);
            // FRR has no other.
            if !name.contains("frr") {
                let is_virtual = frame[6..12] == mac.0;
                assert_eq!(is_virtual, name.contains("vmac"), "{name}");
            }
        }
    }
    for priority in [0, 100, 150] {
        for (version, family) in [
            (Version::V2, Family::V4),
            (Version::V3, Family::V4),
            (Version::V3, Family::V6),
        ] {
            assert!(seen.contains(&(version, family, priority)));
        }
    }
}

const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// The address that a frame announces, and the form, if it does that.
fn announced(frame: &[u8]) -> Option<(IpAddr, ArpForm)> {
    let v4 = |at: usize| IpAddr::from(*frame[at..].first_chunk::<4>().unwrap());
    match frame[12..14] {
        [0x08, 0x06] if frame[..6] == MacAddr::BROADCAST.0 && v4(28) == v4(38) => {
            let reply = frame[21] == 2;
            let form = if reply {
                ArpForm::Reply
            } else {
                ArpForm::Request
            };
            Some((v4(28), form))
        }
        [0x86, 0xdd] if frame[..6] == ALL_NODES && frame[20] == 58 && frame[54] == 136 => Some((
            IpAddr::from(*frame[62..].first_chunk::<16>()?),
            ArpForm::Request,
        )),
        _ => None,
    }
}

#[test]
fn announcements_are_keepaliveds_to_the_byte() {
    for (name, file, _, count) in CAPTURES {
        let mut found = 0;
        for frame in frames(file) {
            let Some((address, form)) = announced(frame) else {
                continue;
            };
            let mac = MacAddr(*frame[6..].first_chunk().unwrap());
            let router = NaFlags {
                router: address.is_ipv6() && frame[58] & 0x80 != 0,
            };
            assert_eq!(announce(address, mac, form, router), frame, "{name}");
            found += 1;
        }
        assert_eq!(found, *count, "{name}");
    }
}
