//! Encapsulation towards a `tunnel` backend: IP in IP, GUE, GRE.

use super::{
    Room,
    checksum::not_zero,
    link,
    sum::{self, Sum},
};
use crate::{
    abi::{Encap, Family, Hop},
    packet::{
        Frame, Packet,
        header::{Ipv4, Ipv6, Ports, Udp, proto},
    },
};

/// Time to live of the outer header.
const TTL: u8 = 64;
/// GUE's header without options.
const GUE: usize = 4;
/// GRE's header without options.
const GRE: usize = 4;
/// GRE's flag: a checksum and its padding follow.
const GRE_CHECKSUM: u16 = 0x8000;
/// Source ports of GUE are from here on: the range for ports that nobody registers.
const PORTS: u16 = 0xc000;

/// What goes around a packet.
#[derive(Clone, Copy, Debug)]
pub struct Outer<F: Family> {
    /// From: our address.
    pub src: F::Addr,
    /// To: the backend's.
    pub dst: F::Addr,
    /// How.
    pub encap: Encap,
    /// Destination port of GUE, network byte order.
    pub port: u16,
    /// Whether the outer UDP or GRE header carries a checksum.
    pub checksum: bool,
    /// Of the flow: source port of GUE, flow label of IPv6, so that paths and queues are spread by flow.
    pub hash: u32,
}

/// How many bytes an encapsulation with an outer header of family `F` adds.
#[inline(always)]
pub fn overhead<F: Family>(encap: Encap, checksum: bool) -> usize {
    F::HEADER + between(encap, checksum)
}

/// Bytes between the outer IP header and the inner one.
#[inline(always)]
fn between(encap: Encap, checksum: bool) -> usize {
    match encap {
        Encap::IpIp => 0,
        Encap::Gue => size_of::<Udp>() + GUE,
        Encap::Gre if checksum => GRE + 4,
        Encap::Gre => GRE,
    }
}

/// Puts an outer header around a packet of family `I`, and the link-layer header towards `hop` before it.
///
/// ToS and ECN are copied (RFC 6040, normal mode), and with IPv4 "do not fragment". The caller has seen that the
/// result fits the way.
#[inline(always)]
pub fn encapsulate<I: Family, O: Family, R: Room>(
    room: &mut R,
    packet: &Packet<I>,
    outer: &Outer<O>,
    hop: &Hop,
) -> Option<()> {
    let l3 = link::header_length(hop);
    let middle = between(outer.encap, outer.checksum);
    let added = O::HEADER + middle;
    // What is unique in an IPv4 packet that may be fragmented: the identification and the fragment's offset.
    let id = if I::IS_V6 || packet.dont_fragment {
        0
    } else {
        let ip: Ipv4 = room.frame().read(packet.l3)?;
        ip.id ^ ip.fragment
    };
    // Tags that are no more wanted lie where the outer header comes.
    room.grow((l3 + added).checked_sub(packet.l3)?)?;
    let frame = room.frame();
    link::put::<O>(frame, hop)?;
    let length = added as u32 + packet.length;
    let proto = put_between::<I, O>(frame, l3 + O::HEADER, packet.length as usize, outer)?;
    if O::IS_V6 {
        let label = outer.hash & 0xf_ffff;
        let ip = Ipv6 {
            word: (6 << 28 | u32::from(packet.tos) << 20 | label).to_be(),
            length: ((length as usize).checked_sub(O::HEADER)? as u16).to_be(),
            next: proto,
            hops: TTL,
            src: O::widen(outer.src),
            dst: O::widen(outer.dst),
        };
        return frame.write(l3, ip);
    }
    let mut ip = Ipv4 {
        version_ihl: 0x45,
        tos: packet.tos,
        length: (length as u16).to_be(),
        id,
        fragment: if packet.dont_fragment {
            0x4000_u16.to_be()
        } else {
            0
        },
        ttl: TTL,
        proto,
        checksum: 0,
        src: O::widen(outer.src).a,
        dst: O::widen(outer.dst).a,
    };
    ip.checksum = sum::ipv4_header(&ip);
    frame.write(l3, ip)
}

/// Writes what lies between the two IP headers at `at`; the inner packet of `length` bytes follows. What the outer
/// header's protocol field says.
#[inline(always)]
fn put_between<I: Family, O: Family>(
    frame: Frame,
    at: usize,
    length: usize,
    outer: &Outer<O>,
) -> Option<u8> {
    let inner = if I::IS_V6 { proto::IPV6 } else { proto::IPIP };
    match outer.encap {
        Encap::IpIp => Some(inner),
        Encap::Gre => {
            let flags = if outer.checksum { GRE_CHECKSUM } else { 0 };
            frame.write(at, flags.to_be())?;
            frame.write(at + 2, I::ETHERTYPE.to_be())?;
            if outer.checksum {
                frame.write(at + GRE, 0_u32)?;
                let mut sum = Sum::default();
                sum.range(frame, at, GRE + 4 + length)?;
                frame.write(at + GRE, sum.checksum())?;
            }
            Some(proto::GRE)
        }
        Encap::Gue => {
            let length = size_of::<Udp>() + GUE + length;
            let hash = (outer.hash ^ (outer.hash >> 16)) as u16;
            let mut udp = Udp {
                ports: Ports {
                    src: (PORTS | hash).to_be(),
                    dst: outer.port,
                },
                length: (length as u16).to_be(),
                checksum: 0,
            };
            frame.write(at, udp)?;
            // Version 0, no options, data: all zero but for the protocol.
            frame.write(
                at + size_of::<Udp>(),
                u32::from_be_bytes([0, inner, 0, 0]).to_be(),
            )?;
            if outer.checksum {
                let mut sum = Sum::default();
                sum.pseudo::<O>(outer.src, outer.dst, proto::UDP, length as u32);
                sum.range(frame, at, length)?;
                udp.checksum = not_zero(sum.checksum());
                frame.write(at, udp)?;
            }
            Some(proto::UDP)
        }
    }
}
