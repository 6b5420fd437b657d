//! An advert from the network: it decodes or has a reason, what decodes is written again as it was, and whatever it says, a
//! node that hears it keeps its invariants.
//!
//! The first byte says what follows: 0 an IPv4 packet, 1 a message over IPv4 whose checksum is made right (so that
//! what is behind it is reached), else source, destination, hop limit and message over IPv6.
#![no_main]

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use proto::{
    time::{Instant, Utc},
    vrrp::{
        codec::{Decoded, Packet, V2Auth, decode, encode},
        group::{Group, GroupInput, Member},
        machine::{Auth, Config, Input, Settings},
        refusal::Refusal,
        terms::{Family, Version},
        wire::{AntiReplay, Key, Keys, Mode, Wire},
    },
};

/// A message with a checksum that is right without pseudo-header.
fn summed(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    // The trailer of an authenticated one is not covered.
    let covered = match message.get(3) {
        Some(count) => {
            let auth = if message[0] >> 4 == 2 { 8 } else { 0 };
            message.len().min(8 + usize::from(*count) * 4 + auth)
        }
        None => 0,
    };
    if covered >= 8 {
        message[6..8].fill(0);
        let words = message[..covered].chunks(2);
        let sum: u32 = words
            .map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)))
            .sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let sum = !(((folded & 0xffff) + (folded >> 16)) as u16);
        message[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

fn over_ipv6(data: &[u8]) -> Option<Packet<'_>> {
    let (source, data) = data.split_first_chunk::<16>()?;
    let (destination, data) = data.split_first_chunk::<16>()?;
    let (hop_limit, message) = data.split_first()?;
    Some(Packet {
        source: IpAddr::V6(Ipv6Addr::from(*source)),
        destination: IpAddr::V6(Ipv6Addr::from(*destination)),
        hop_limit: *hop_limit,
        message,
    })
}

/// Written again it is the same, but for what is not looked at.
fn check_codec(decoded: &Decoded<'_>) {
    let Packet {
        source,
        destination,
        ..
    } = decoded.packet;
    if decoded.trailer.is_some() {
        return;
    }
    let again = encode(&decoded.advert, decoded.checksum, source, destination);
    let packet = Packet {
        message: &again,
        ..decoded.packet
    };
    let again = decode(packet).expect("what we write, we can read");
    assert_eq!(again.advert, decoded.advert);
}

/// A node that is set as the sender seems to be hears the advert over and over.
fn check_machine(decoded: &Decoded<'_>) {
    let advert = &decoded.advert;
    let mut settings = Settings::new(advert.vrid, advert.addresses.clone());
    settings.version = advert.version;
    settings.interval = advert.interval;
    settings.auth = match advert.auth {
        V2Auth::None if decoded.trailer.is_some() => {
            let key = Key::new(&[7; 32]).expect("long enough");
            let keys = Keys::new([(1, key)], 1, Mode::Permissive, AntiReplay::Sequence);
            Auth::Keys(keys.expect("valid keys"))
        }
        V2Auth::None => Auth::None,
        password => Auth::Password(password),
    };
    // The same address twice is no configuration.
    let Ok(config) = Config::new(settings) else {
        return;
    };
    let ours = match advert.addresses.family() {
        Family::V4 => IpAddr::from([10, 66, 0, 3]),
        Family::V6 => IpAddr::from([0xfd; 16]),
    };
    let mut wire = Wire::new(config.clone());
    let mut group = Group::new([config], None, Instant::ZERO).expect("a group of one");
    group.handle(GroupInput::Start, Instant::ZERO);
    group.handle(
        GroupInput::Member(Member(0), Input::LinkUp(ours)),
        Instant::ZERO,
    );
    let mut now = Instant::ZERO;
    for _ in 0..6 {
        if let Ok(accepted) = wire.read(decoded.clone(), Some(ours), Utc::default()) {
            let input = Input::Advert {
                from: accepted.from,
                advert: accepted.advert,
            };
            group.handle(GroupInput::Member(Member(0), input), now);
        }
        while group.poll_output().is_some() {}
        now += advert.interval.duration() + Duration::from_nanos(1);
        group.handle(GroupInput::Tick, now);
    }
}

fn check(packet: Result<Packet<'_>, Refusal>) {
    match packet.and_then(decode) {
        Ok(decoded) => {
            assert!(decoded.advert.interval.fits(decoded.advert.version));
            assert!(decoded.advert.version != Version::V2 || decoded.packet.source.is_ipv4());
            check_codec(&decoded);
            check_machine(&decoded);
        }
        Err(refusal) => {
            let _ = refusal.cause();
            assert!(!refusal.to_string().is_empty());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind {
        0 => check(Packet::from_ipv4(data)),
        1 => {
            let message = summed(data);
            check(Ok(Packet {
                source: IpAddr::from([10, 66, 0, 1]),
                destination: Family::V4.group(),
                hop_limit: 255,
                message: &message,
            }));
        }
        _ => {
            if let Some(packet) = over_ipv6(data) {
                check(Ok(packet));
            }
        }
    }
});
