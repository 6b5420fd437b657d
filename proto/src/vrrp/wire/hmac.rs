//! The code of an authenticated advert: HMAC-SHA256, cut to 128 bits, as draft-cassen-vrrp-auth-hmac has it and
//! keepalived from 2.4 on speaks it (`auth_hmac`).
//!
//! It covers a pseudo-header of 20 bytes (family 4 or 6, version, virtual router id, zero, the source's address with
//! zeros after an IPv4 one), the message with a checksum of zero, and the trailer with a code of zero. So an advert cannot
//! be made into one of another virtual router or sender, and the destination and its checksum do not matter.

use std::net::IpAddr;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

use super::{Key, Keys};
use crate::vrrp::{
    codec::{Advert, CODE, Decoded, SCHEME, Trailer, unsummed},
    refusal::Refusal,
    terms::Family,
};

/// Whether it is of the scheme there is.
pub(super) fn check_form(trailer: &Trailer) -> Result<(), Refusal> {
    if trailer.scheme != SCHEME || trailer.reserved != 0 {
        return Err(Refusal::Trailer);
    }
    Ok(())
}

/// Whether the trailer's code is the one that `key` makes.
pub(super) fn verify(key: &Key, decoded: &Decoded<'_>, trailer: &Trailer) -> Result<(), Refusal> {
    let mut message = decoded.body().to_vec();
    message[6..8].fill(0);
    let code = code(
        key,
        &decoded.advert,
        decoded.packet.source,
        &message,
        trailer,
    );
    verify_slices_are_equal(&code, &trailer.code).map_err(|_| Refusal::Code)
}

/// The trailer of `advert` as it is sent from `source`.
pub(super) fn sign(keys: &Keys, advert: &Advert, source: IpAddr, sequence: u64) -> Trailer {
    let (id, key) = keys.active();
    let mut trailer = Trailer {
        scheme: SCHEME,
        key: id,
        reserved: 0,
        sequence,
        code: [0; CODE],
    };
    trailer.code = code(key, advert, source, &unsummed(advert), &trailer);
    trailer
}

fn code(
    key: &Key,
    advert: &Advert,
    source: IpAddr,
    message: &[u8],
    trailer: &Trailer,
) -> [u8; CODE] {
    let blank = Trailer {
        code: [0; CODE],
        ..*trailer
    };
    let mut context = hmac::Context::with_key(key.ready());
    context.update(&pseudo_header(advert, source));
    context.update(message);
    context.update(&blank.bytes());
    let tag = context.sign();
    let mut code = [0; CODE];
    code.copy_from_slice(&tag.as_ref()[..CODE]);
    code
}

fn pseudo_header(advert: &Advert, source: IpAddr) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = match Family::of(source) {
        Family::V4 => 4,
        Family::V6 => 6,
    };
    header[1] = advert.version.number();
    header[2] = advert.vrid.number();
    match source {
        IpAddr::V4(v4) => header[4..8].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => header[4..].copy_from_slice(&v6.octets()),
    }
    header
}
