//! Writes an advert.

use std::net::IpAddr;

use super::{Advert, Checksum, V2Auth};
use crate::{
    checksum::Sum,
    vrrp::{
        limits::{AUTH_DATA, HEADER, MAX_ADDRESSES, PROTOCOL},
        terms::{Family, Version},
    },
};

const CHECKSUM: std::ops::Range<usize> = 6..8;

/// The message of `advert`, without an IP header and without a trailer, as it goes from `source` to `destination`.
/// `checksum` matters in version 3 over IPv4 alone.
#[must_use]
pub fn encode(advert: &Advert, checksum: Checksum, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let mut message = unsummed(advert);
    let plain = advert.version == Version::V2
        || (advert.addresses.family() == Family::V4 && checksum == Checksum::MessageOnly);
    let sum = if plain {
        Sum::default()
    } else {
        Sum::default().pseudo(source, destination, PROTOCOL, message.len())
    };
    put_checksum(&mut message, sum);
    message
}

/// The message with a checksum of zero.
pub(in crate::vrrp) fn unsummed(advert: &Advert) -> Vec<u8> {
    let list = advert.addresses.list();
    let count = u8::try_from(list.len()).unwrap_or(u8::MAX);
    let size = HEADER + list.len() * advert.addresses.family().size() + AUTH_DATA;
    let mut message = Vec::with_capacity(size);
    message.push(advert.version.number() << 4 | 1);
    message.extend([advert.vrid.number(), advert.priority.0, count]);
    match advert.version {
        Version::V2 => message.extend([advert.auth.number(), advert.interval.seconds()]),
        Version::V3 => message.extend(advert.interval.centis().to_be_bytes()),
    }
    message.extend([0, 0]);
    for address in list.iter().take(MAX_ADDRESSES) {
        match address {
            IpAddr::V4(v4) => message.extend(v4.octets()),
            IpAddr::V6(v6) => message.extend(v6.octets()),
        }
    }
    if advert.version == Version::V2 {
        message.extend(match advert.auth {
            V2Auth::None => [0; AUTH_DATA],
            V2Auth::Password(password) => password,
        });
    }
    message
}

/// Writes the checksum of `message`, added to `sum`, into it.
pub(in crate::vrrp) fn put_checksum(message: &mut [u8], sum: Sum) {
    message[CHECKSUM].fill(0);
    let sum = sum.add(message).finish();
    message[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
}
