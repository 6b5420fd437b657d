//! QUIC-LB (draft-ietf-quic-load-balancers-21): a server puts its id into the connection IDs that it hands out, so that
//! a client that comes from another address is led to the server that knows it.
//!
//! [`mod@header`] finds the connection ID in a packet, [`mod@open`] the server id in it, with [`mod@aes`] if it is
//! encrypted, and [`fn@named`] the backend that has it. [`mod@config`] prepares, in user space, what the program reads.
//! None of it is done for packets of known flows: their flow says where they go.

pub mod aes;
pub mod config;
pub mod header;
pub mod open;
#[cfg(test)]
mod tests;

use crate::{
    abi::{Family, QuicCipher, QuicId, QuicKey, backend_flags},
    decide::{NO_SLOT, Tables, get},
    packet::{
        Kind, Packet,
        header::{Udp, proto},
    },
};

/// Where a packet's UDP payload begins and ends, as offsets in the frame; none if that is not in it.
#[inline(always)]
pub(crate) fn payload<F: Family>(packet: &Packet<F>) -> Option<(u32, u32)> {
    // A later fragment has no UDP header.
    if packet.tuple.proto != proto::UDP || !matches!(packet.kind, Kind::Whole | Kind::FirstFragment)
    {
        return None;
    }
    let begin = packet.l4 as u32 + size_of::<Udp>() as u32;
    Some((begin, packet.l3 as u32 + packet.length))
}

/// The slot of the backend that the connection ID in a UDP payload names, [`NO_SLOT`] if it names none.
///
/// `rotations` has a bit for each rotation id of the service, and with `ciphers` a hidden server id is opened; the payload lies from `begin` to `end` in the frame.
///
/// A long header begins a connection, most likely, with an ID that the client made up: where that happens to name a
/// backend that takes nothing new, it names none. A backend that drains still gets what a short header brings it.
#[inline(always)]
pub fn named<F: Family, T: Tables<F>>(
    tables: &T,
    service: u32,
    (rotations, ciphers): (u32, bool),
    begin: u32,
    end: u32,
) -> u32 {
    let Some(id) = header::find(tables.frame(), begin, end) else {
        return NO_SLOT;
    };
    if rotations >> id.rotation & 1 == 0 {
        return NO_SLOT;
    }
    let key = QuicKey {
        service,
        rotation: id.rotation,
    };
    let Some(config) = tables.quic_config(&key) else {
        return NO_SLOT;
    };
    if id.length <= get!(config.length) {
        return NO_SLOT;
    }
    if !ciphers && QuicCipher::of(get!(config.cipher)) != QuicCipher::Plain {
        return NO_SLOT;
    }
    let length = get!(config.id_length);
    let (high, low) = open::open(config, &id.block);
    let key = QuicId {
        service,
        length,
        high: high & get!(config.id_high),
        low: low & get!(config.id_low),
    };
    let Some(slot) = tables.quic_id(&key) else {
        return NO_SLOT;
    };
    let Some(backend) = tables.backend(slot) else {
        return NO_SLOT;
    };
    let flags = get!(backend.flags);
    let there = flags & (backend_flags::PRESENT | backend_flags::REMOVED) == backend_flags::PRESENT;
    if !there || get!(backend.service) != service {
        return NO_SLOT;
    }
    let takes = flags & backend_flags::TAKES != 0 && get!(backend.weight) > 0;
    if id.long && !takes {
        return NO_SLOT;
    }
    slot
}
