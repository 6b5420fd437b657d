//! What is no advert has a reason; what is one survives the way there and back.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::{Advert, Checksum, Packet, V2Auth, decode, encode, put_checksum};
use crate::{
    checksum::Sum,
    vrrp::{
        refusal::Refusal,
        terms::{Addresses, Family, Interval, Priority, Version, Vrid},
    },
};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 66, 0, 1));
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

fn advert(version: Version) -> Advert {
    Advert {
        version,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority(150),
        interval: Interval::DEFAULT,
        addresses: Addresses::new([IpAddr::from([10, 66, 0, 100])]).unwrap(),
        auth: V2Auth::None,
    }
}

const fn packet(message: &[u8]) -> Packet<'_> {
    Packet {
        source: SOURCE,
        destination: GROUP,
        hop_limit: 255,
        message,
    }
}

/// Why an advert of `version` is refused once `change` was done to its bytes, with its checksum right again.
fn refused(version: Version, change: impl FnOnce(&mut Vec<u8>)) -> Refusal {
    let mut message = encode(&advert(version), Checksum::MessageOnly, SOURCE, GROUP);
    change(&mut message);
    if message.len() >= 8 {
        put_checksum(&mut message, Sum::default());
    }
    decode(packet(&message)).unwrap_err()
}

#[test]
fn every_wrong_field_has_its_reason() {
    let v3 = |change: fn(&mut Vec<u8>)| refused(Version::V3, change);
    let v2 = |change: fn(&mut Vec<u8>)| refused(Version::V2, change);
    assert_eq!(v3(|m| m[0] = 0x41), Refusal::UnknownVersion(4));
    assert_eq!(v3(|m| m[0] = 0x32), Refusal::Type(2));
    assert_eq!(v3(|m| m[1] = 0), Refusal::NoVrid);
    let length = |expected, found| Refusal::Length { expected, found };
    assert_eq!(v3(|m| m[3] = 0), length(8, 12));
    assert_eq!(v3(|m| m[3] = 2), length(16, 12));
    assert_eq!(v3(|m| m.push(0)), length(12, 13));
    assert_eq!(v3(|m| m.extend([0; 27])), length(12, 39));
    assert_eq!(v3(|m| m.truncate(11)), length(12, 11));
    let none = |m: &mut Vec<u8>| {
        m[3] = 0;
        m.truncate(8);
    };
    assert_eq!(v3(none), Refusal::NoAddresses);
    let cut = |m: &mut Vec<u8>| m.truncate(7);
    assert_eq!(
        v3(cut),
        Refusal::Cut {
            needed: 8,
            found: 7
        }
    );
    assert_eq!(v3(|m| m[4..6].fill(0)), Refusal::NoInterval);
    assert_eq!(v2(|m| m[5] = 0), Refusal::NoInterval);
    assert_eq!(v2(|m| m[4] = 2), Refusal::AuthHeader);
    assert_eq!(v2(|m| m[4] = 3), Refusal::UnknownAuth(3));
    // Without its authentication data.
    assert_eq!(v2(|m| m.truncate(12)), length(20, 12));
}

#[test]
fn a_flipped_bit_is_a_wrong_checksum() {
    for version in [Version::V2, Version::V3] {
        let mut message = encode(&advert(version), Checksum::MessageOnly, SOURCE, GROUP);
        message[2] ^= 1;
        assert_eq!(decode(packet(&message)), Err(Refusal::Checksum));
    }
}

#[test]
fn version_2_does_not_exist_over_ipv6() {
    let message = encode(&advert(Version::V2), Checksum::MessageOnly, SOURCE, GROUP);
    let packet = Packet {
        source: IpAddr::from([0xfe; 16]),
        destination: Family::V6.group(),
        ..packet(&message)
    };
    assert_eq!(decode(packet), Err(Refusal::UnknownVersion(2)));
}

#[test]
fn reserved_bits_of_version_3_are_not_looked_at() {
    let mut message = encode(&advert(Version::V3), Checksum::MessageOnly, SOURCE, GROUP);
    message[4] |= 0xf0;
    put_checksum(&mut message, Sum::default());
    assert_eq!(
        decode(packet(&message)).unwrap().advert,
        advert(Version::V3)
    );
}

#[test]
fn a_checksum_is_right_with_and_without_pseudo_header() {
    for form in [Checksum::WithPseudoHeader, Checksum::MessageOnly] {
        let message = encode(&advert(Version::V3), form, SOURCE, GROUP);
        assert_eq!(decode(packet(&message)).unwrap().checksum, form);
    }
    let message = encode(
        &advert(Version::V3),
        Checksum::WithPseudoHeader,
        SOURCE,
        GROUP,
    );
    let elsewhere = Packet {
        destination: SOURCE,
        ..packet(&message)
    };
    assert_eq!(decode(elsewhere), Err(Refusal::Checksum));
}

/// An IPv4 packet with a message of four bytes.
fn ip(change: impl FnOnce(&mut [u8])) -> Result<(u8, usize), Refusal> {
    let mut bytes = vec![0; 24];
    bytes[0] = 0x45;
    bytes[3] = 24;
    bytes[8] = 255;
    bytes[9] = 112;
    bytes.extend([0; 22]);
    change(&mut bytes);
    let packet = Packet::from_ipv4(&bytes)?;
    Ok((packet.hop_limit, packet.message.len()))
}

#[test]
fn an_ip_header_is_read_and_padding_left_out() {
    assert_eq!(ip(|_| ()), Ok((255, 4)));
    assert_eq!(ip(|b| b[0] = 0x46), Ok((255, 0)));
    assert_eq!(ip(|b| b[0] = 0x65), Err(Refusal::NotIpv4));
    assert_eq!(ip(|b| b[0] = 0x44), Err(Refusal::NotIpv4));
    assert_eq!(ip(|b| b[9] = 51), Err(Refusal::AuthHeader));
    assert_eq!(ip(|b| b[9] = 17), Err(Refusal::OtherProtocol(17)));
    assert_eq!(ip(|b| b[6] = 0x20), Err(Refusal::Fragment));
    assert_eq!(ip(|b| b[7] = 1), Err(Refusal::Fragment));
    let cut = |needed| Err(Refusal::Cut { needed, found: 46 });
    assert_eq!(ip(|b| b[3] = 47), cut(47));
    assert_eq!(ip(|b| b[3] = 10), cut(20));
    let nothing = Packet::from_ipv4(&[0x45; 19]);
    assert_eq!(
        nothing,
        Err(Refusal::Cut {
            needed: 20,
            found: 19
        })
    );
}

fn any_addresses() -> impl Strategy<Value = Addresses> {
    let v4 = any::<[u8; 4]>().prop_map(IpAddr::from);
    let v6 = any::<[u8; 16]>().prop_map(IpAddr::from);
    prop_oneof![
        prop::collection::vec(v4, 1..=255),
        prop::collection::vec(v6, 1..=255),
    ]
    .prop_map(|list| Addresses::new(list).unwrap())
}

prop_compose! {
    fn any_advert()(
        addresses in any_addresses(),
        v2 in any::<bool>(),
        vrid in 1..=255_u8,
        priority in any::<u8>(),
        centis in 1..=4095_u16,
        seconds in 1..=255_u8,
        password in prop::option::of(any::<[u8; 8]>()),
    ) -> Advert {
        let v2 = v2 && addresses.family() == Family::V4;
        let interval = if v2 { Interval::from_seconds(seconds) } else { Interval::from_centis(centis) };
        Advert {
            version: if v2 { Version::V2 } else { Version::V3 },
            vrid: Vrid::new(vrid).unwrap(),
            priority: Priority(priority),
            interval: interval.unwrap(),
            addresses,
            auth: password.filter(|_| v2).map_or(V2Auth::None, V2Auth::Password),
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(advert in any_advert(), plain in any::<bool>()) {
        let family = advert.addresses.family();
        let source = match family {
            Family::V4 => SOURCE,
            Family::V6 => IpAddr::from([0xfe; 16]),
        };
        let form = if plain { Checksum::MessageOnly } else { Checksum::WithPseudoHeader };
        let message = encode(&advert, form, source, family.group());
        let packet = Packet { source, destination: family.group(), hop_limit: 255, message: &message };
        let decoded = decode(packet).unwrap();
        prop_assert_eq!(&decoded.advert, &advert);
        prop_assert_eq!(decoded.trailer, None);
        let again = encode(&decoded.advert, decoded.checksum, source, family.group());
        prop_assert_eq!(&again, &message);
    }

    #[test]
    fn whatever_comes_has_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Packet::from_ipv4(&bytes).and_then(decode);
        let _ = decode(packet(&bytes));
    }
}
