//! Reads an advert: every field, the length and the checksum, or a reason why not. Nothing here trusts a byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Advert, Checksum, Packet, Trailer, V2Auth};
use crate::{
    checksum::Sum,
    vrrp::{
        limits::{AUTH_DATA, HEADER, PROTOCOL, TRAILER},
        refusal::Refusal,
        terms::{Addresses, Family, Interval, Priority, Version, Vrid},
    },
};

/// An advert that is well formed. Whether it is for us, and to be trusted, [`Wire`](crate::vrrp::wire::Wire) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// As it came.
    pub packet: Packet<'a>,
    /// What it says.
    pub advert: Advert,
    /// Which of the two forms its checksum has; over IPv6, and in version 2, there is only one.
    pub checksum: Checksum,
    /// What follows the message, if it is authenticated.
    pub trailer: Option<Trailer>,
}

impl Decoded<'_> {
    /// The message without the trailer.
    pub(in crate::vrrp) fn body(&self) -> &[u8] {
        let end = self.packet.message.len();
        let cut = if self.trailer.is_some() { TRAILER } else { 0 };
        &self.packet.message[..end - cut]
    }
}

/// Reads the message of `packet` (RFC 3768, 5.3; RFC 9568, 5.2). Allocates only the addresses: at most 255.
///
/// # Errors
/// Says what is wrong with it.
pub fn decode(packet: Packet<'_>) -> Result<Decoded<'_>, Refusal> {
    let message = packet.message;
    let header: &[u8; HEADER] = message.first_chunk().ok_or(Refusal::Cut {
        needed: HEADER,
        found: message.len(),
    })?;
    let [kind, vrid, priority, count, a, b, ..] = *header;
    let family = Family::of(packet.source);
    let version = match (kind >> 4, family) {
        (2, Family::V4) => Version::V2,
        (3, _) => Version::V3,
        (other, _) => return Err(Refusal::UnknownVersion(other)),
    };
    if kind & 0xf != 1 {
        return Err(Refusal::Type(kind & 0xf));
    }
    let vrid = Vrid::new(vrid).ok_or(Refusal::NoVrid)?;
    let addressed = HEADER + usize::from(count) * family.size();
    let (body, trailer) = split(message, length(version, addressed))?;
    let checksum = check(&packet, version, body)?;
    let (interval, auth) = match version {
        Version::V2 => {
            let auth = auth(a, &body[addressed..])?;
            (Interval::from_seconds(b), auth)
        }
        // The upper four bits are reserved, to be ignored.
        Version::V3 => (
            Interval::from_centis(u16::from_be_bytes([a & 0xf, b])),
            V2Auth::None,
        ),
    };
    let advert = Advert {
        version,
        vrid,
        priority: Priority(priority),
        interval: interval.ok_or(Refusal::NoInterval)?,
        addresses: addresses(family, &body[HEADER..addressed]).ok_or(Refusal::NoAddresses)?,
        auth,
    };
    Ok(Decoded {
        packet,
        advert,
        checksum,
        trailer,
    })
}

const fn length(version: Version, addressed: usize) -> usize {
    match version {
        Version::V2 => addressed + AUTH_DATA,
        Version::V3 => addressed,
    }
}

/// The message of `length` bytes and what follows: nothing, or a trailer.
fn split(message: &[u8], length: usize) -> Result<(&[u8], Option<Trailer>), Refusal> {
    let wrong = Refusal::Length {
        expected: length,
        found: message.len(),
    };
    let (body, rest) = message.split_at_checked(length).ok_or(wrong)?;
    match <&[u8; TRAILER]>::try_from(rest) {
        Ok(trailer) => Ok((body, Some(Trailer::read(trailer)))),
        Err(_) if rest.is_empty() => Ok((body, None)),
        Err(_) => Err(Refusal::Length {
            expected: length,
            found: message.len(),
        }),
    }
}

/// Which form of checksum is right. Over IPv6 the kernel makes it, over all that it sends; else it leaves the trailer out.
fn check(packet: &Packet<'_>, version: Version, body: &[u8]) -> Result<Checksum, Refusal> {
    let plain = Sum::default().add(body).finish();
    let whole = match packet.source {
        IpAddr::V4(_) => body,
        IpAddr::V6(_) => packet.message,
    };
    let with_header = Sum::default()
        .pseudo(packet.source, packet.destination, PROTOCOL, whole.len())
        .add(whole)
        .finish();
    match (version, packet.source) {
        (Version::V2, _) if plain == 0 => Ok(Checksum::MessageOnly),
        (Version::V3, _) if with_header == 0 => Ok(Checksum::WithPseudoHeader),
        (Version::V3, IpAddr::V4(_)) if plain == 0 => Ok(Checksum::MessageOnly),
        _ => Err(Refusal::Checksum),
    }
}

fn auth(kind: u8, data: &[u8]) -> Result<V2Auth, Refusal> {
    match (kind, data.first_chunk()) {
        (0, _) => Ok(V2Auth::None),
        (1, Some(password)) => Ok(V2Auth::Password(*password)),
        (2, _) => Err(Refusal::AuthHeader),
        (other, _) => Err(Refusal::UnknownAuth(other)),
    }
}

fn addresses(family: Family, bytes: &[u8]) -> Option<Addresses> {
    match family {
        Family::V4 => {
            let (each, _) = bytes.as_chunks::<4>();
            Addresses::new(each.iter().map(|b| IpAddr::V4(Ipv4Addr::from(*b))))
        }
        Family::V6 => {
            let (each, _) = bytes.as_chunks::<16>();
            Addresses::new(each.iter().map(|b| IpAddr::V6(Ipv6Addr::from(*b))))
        }
    }
}
