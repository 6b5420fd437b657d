//! Which service a packet is for.

use super::{Journey, Route, Tables, Verdict};
use crate::{
    abi::{Endpoint, Family, RangeKey, Tuple, settings_flags},
    packet::{
        Packet,
        header::{
            proto,
            tcp_flags::{ACK, RST, SYN},
        },
    },
};

use super::get;

/// The slot of the service at a packet's destination: by its port, else by a range that covers it, else by the address
/// alone.
#[inline(always)]
pub(super) fn find<F: Family, T: Tables<F>>(tables: &T, tuple: &Tuple<F>) -> Option<u32> {
    let mut endpoint = Endpoint {
        address: tuple.dst,
        port: tuple.dport,
        proto: tuple.proto,
        side: Endpoint::<F>::CLIENTS,
    };
    if let Some(slot) = tables.endpoint(&endpoint) {
        return Some(slot);
    }
    let settings = tables.settings()?;
    if get!(settings.flags) & settings_flags::RANGES != 0 {
        let key = RangeKey {
            prefix: RangeKey::<F>::BEFORE_PORT + 16,
            proto: tuple.proto,
            zero1: 0,
            zero2: 0,
            address: tuple.dst,
            port: tuple.dport,
            zero3: 0,
        };
        if let Some(slot) = tables.range(&key) {
            return Some(slot);
        }
    }
    endpoint.port = 0;
    tables.endpoint(&endpoint)
}

/// Whether a packet is what a backend of address translation answers in the middle of a connection by TCP, to a source of full
/// NAT or on its way to somebody else. Nothing but a flow says what it is to become.
#[inline(always)]
pub(super) fn answers<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    verdict: &mut Verdict<F>,
) -> bool {
    if packet.tuple.proto != proto::TCP || packet.tcp_flags & (SYN | ACK | RST) == SYN {
        return false;
    }
    let mut endpoint = Endpoint {
        address: packet.tuple.src,
        port: packet.tuple.sport,
        proto: packet.tuple.proto,
        side: Endpoint::<F>::BACKENDS,
    };
    if tables.endpoint(&endpoint).is_none() {
        endpoint.port = 0;
        if tables.endpoint(&endpoint).is_none() {
            return false;
        }
    }
    // Of full NAT it is to this machine, where others are what that asked for itself (checks).
    (endpoint.address, endpoint.port) = (packet.tuple.dst, 0);
    endpoint.side = Endpoint::<F>::SOURCES;
    if tables.endpoint(&endpoint).is_some() && is_source_port(tables, packet.tuple.dport) {
        return true;
    }
    let journey = Journey {
        src: packet.tuple.src,
        dst: packet.tuple.dst,
        tos: packet.tos,
    };
    tables.route(&journey, &mut verdict.hop) as u32 != Route::NoRoute as u32
}

/// Whether full NAT sends from this port, network byte order.
#[inline(always)]
fn is_source_port<F: Family, T: Tables<F>>(tables: &T, port: u16) -> bool {
    let Some(settings) = tables.settings() else {
        return false;
    };
    let (range, port) = (get!(settings.source_ports), u32::from(u16::from_be(port)));
    port >= range >> 16 && port <= range & 0xffff
}
