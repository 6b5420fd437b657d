//! Adverts as bytes and back: versions 2 and 3, IPv4 and IPv6.
//!
//! [`Packet`] is what came from the network, with as much of its IP header as matters; [`decode()`] reads it, or says why
//! not ([`Refusal`](super::refusal::Refusal)); [`encode()`] writes. What depends on a configuration (hop limit, peers,
//! passwords, keys) is checked after that by [`Wire`](super::wire::Wire).

mod advert;
mod decode;
mod encode;
mod packet;
#[cfg(test)]
mod tests;
mod trailer;

pub use self::{
    advert::{Advert, Checksum, V2Auth},
    decode::{Decoded, decode},
    encode::encode,
    packet::Packet,
    trailer::Trailer,
};
pub(super) use self::{
    encode::{put_checksum, unsummed},
    trailer::{CODE, SCHEME},
};
