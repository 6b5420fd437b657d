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
        Frame, Kind, Packet,
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
    /// Whether the outer UDP or GRE header carries a checksum, where it follows from the packet's own: for whole TCP
    /// packets, and UDP ones that have a checksum.
    pub checksum: bool,
    /// Of the flow: source port of GUE, flow label of IPv6, so that paths and queues are spread by flow.
    pub hash: u32,
}

/// How many bytes an encapsulation with an outer header of family `F` adds at most.
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
    around(room, packet, outer, hop, link::header_length(hop))
}

/// The same where it is known that the link-layer header will be `l3` bytes long.
#[inline(always)]
pub fn around<I: Family, O: Family, R: Room>(
    room: &mut R,
    packet: &Packet<I>,
    outer: &Outer<O>,
    hop: &Hop,
    l3: usize,
) -> Option<()> {
    let checksum = if outer.checksum && outer.encap != Encap::IpIp {
        implied(room.frame(), packet)
    } else {
        None
    };
    let middle = between(outer.encap, checksum.is_some());
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
    let length = added as u32 + packet.length;
    let proto = put_between::<I, O>(frame, l3 + O::HEADER, packet, outer, checksum)?;
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
        return link::put_before::<O, _>(frame, hop, l3, ip);
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
    link::put_before::<O, _>(frame, hop, l3, ip)
}

/// Writes what lies between the two IP headers at `at`; the inner packet follows. What the outer header's protocol
/// field says.
#[inline(always)]
fn put_between<I: Family, O: Family>(
    frame: Frame,
    at: usize,
    packet: &Packet<I>,
    outer: &Outer<O>,
    checksum: Option<Sum>,
) -> Option<u8> {
    let inner = if I::IS_V6 { proto::IPV6 } else { proto::IPIP };
    match outer.encap {
        Encap::IpIp => Some(inner),
        Encap::Gre => {
            let flags = if checksum.is_some() { GRE_CHECKSUM } else { 0 };
            let word = (u32::from(flags) << 16 | u32::from(I::ETHERTYPE)).to_be();
            frame.write(at, word)?;
            if let Some(mut sum) = checksum {
                sum.words(word);
                // Behind the checksum are two bytes of zero.
                frame.write(at + GRE, sum.checksum())?;
                frame.write(at + GRE + 2, 0_u16)?;
            }
            Some(proto::GRE)
        }
        Encap::Gue => {
            let length = (size_of::<Udp>() + GUE) as u32 + packet.length;
            let hash = (outer.hash ^ (outer.hash >> 16)) as u16;
            let mut udp = Udp {
                ports: Ports {
                    src: (PORTS | hash).to_be(),
                    dst: outer.port,
                },
                length: (length as u16).to_be(),
                checksum: 0,
            };
            // Version 0, no options, data: all zero but for the protocol.
            let gue = (u32::from(inner) << 16).to_be();
            if let Some(mut sum) = checksum {
                sum.pseudo::<O>(outer.src, outer.dst, proto::UDP, length);
                sum.word(udp.ports.src);
                sum.word(udp.ports.dst);
                sum.word(udp.length);
                sum.words(gue);
                udp.checksum = not_zero(sum.checksum());
            }
            frame.write(at, udp)?;
            frame.write(at + size_of::<Udp>(), gue)?;
            Some(proto::UDP)
        }
    }
}

/// The sum of a whole packet, from its own checksums: what a right checksum covers adds up to nothing, so only headers
/// need to be read. If the packet's own checksum is wrong, so is what follows from this, and the packet is dropped
/// a little earlier than it would be.
///
/// None where there is nothing to go by: fragments, SCTP, UDP without a checksum, ICMP, extension headers.
#[inline(always)]
fn implied<F: Family>(frame: Frame, packet: &Packet<F>) -> Option<Sum> {
    if packet.kind != Kind::Whole || (F::IS_V6 && packet.l4 != packet.l3 + F::HEADER) {
        return None;
    }
    if packet.tuple.proto == proto::UDP {
        let udp: Udp = frame.read(packet.l4)?;
        if udp.checksum == 0 {
            return None;
        }
    } else if packet.tuple.proto != proto::TCP {
        return None;
    }
    let rest = (packet.l3 + packet.length as usize).checked_sub(packet.l4)?;
    let (src, dst) = (packet.tuple.src, packet.tuple.dst);
    let mut pseudo = Sum::default();
    pseudo.pseudo::<F>(src, dst, packet.tuple.proto, rest as u32);
    // An IPv4 header adds up to nothing, too.
    let mut sum = Sum::default();
    if F::IS_V6 {
        let ip: Ipv6 = frame.read(packet.l3)?;
        sum.words(ip.word);
        sum.word(ip.length);
        sum.word((u16::from(ip.next) << 8 | u16::from(ip.hops)).to_be());
        sum.address::<F>(F::narrow(ip.src));
        sum.address::<F>(F::narrow(ip.dst));
    }
    sum.word(pseudo.checksum());
    Some(sum)
}
