//! The most common packets: without tags, options and extension headers, whole, of TCP or UDP. They are read with fewer
//! instructions than [`fn@super::parse`] takes, which would find the same in them. (Numbers alone, and no result of other
//! functions: the compiler then keeps all of it in registers.)

use super::{
    Frame, Kind, Packet, ethernet,
    header::{Ethernet, Ipv4, Ipv6, Tcp, Udp, proto},
};
use crate::{
    abi::{Family, Tuple, V4, V6},
    verifier::below,
};

/// Where the IP header is.
const L3: usize = size_of::<Ethernet>();

/// Reads a frame of IPv4. None: it is for [`fn@super::parse`].
#[inline(always)]
pub fn common4(frame: Frame) -> Option<Packet<V4>> {
    const L4: usize = L3 + size_of::<Ipv4>();
    const NO_OPTIONS: u8 = 0x45;
    const FRAGMENT: u16 = 0x3fff;
    let ethernet: Ethernet = frame.read(0)?;
    if ethernet.ethertype != V4::ETHERTYPE.to_be() || ethernet::group(ethernet.target.a) {
        return None;
    }
    let ip: Ipv4 = frame.read(L3)?;
    // Verifiers of older kernels do not know that what was swapped is as small as before.
    let length = below(usize::from(u16::from_be(ip.length)), 0xffff);
    if ip.version_ihl != NO_OPTIONS
        || ip.fragment & FRAGMENT.to_be() != 0
        || !frame.holds(L3 + length)
        || length < L4 - L3
    {
        return None;
    }
    let tcp_flags = transport(frame, L4, ip.proto, length - (L4 - L3))?;
    let (sport, dport) = ports(frame, L4)?;
    Some(Packet {
        l3: L3,
        l4: L4,
        tuple: Tuple::new(ip.src, ip.dst, sport, dport, ip.proto),
        length: length as u32,
        kind: Kind::Whole,
        ttl: ip.ttl,
        tos: ip.tos,
        tcp_flags,
        dont_fragment: ip.fragment & 0x4000_u16.to_be() != 0,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    })
}

/// Reads a frame of IPv6, as [`common4`].
#[inline(always)]
pub fn common6(frame: Frame) -> Option<Packet<V6>> {
    const L4: usize = L3 + size_of::<Ipv6>();
    let ethernet: Ethernet = frame.read(0)?;
    if ethernet.ethertype != V6::ETHERTYPE.to_be() || ethernet::group(ethernet.target.a) {
        return None;
    }
    let ip: Ipv6 = frame.read(L3)?;
    let word = u32::from_be(ip.word);
    let payload = below(usize::from(u16::from_be(ip.length)), 0xffff);
    if word >> 28 != 6 || !frame.holds(L4 + payload) {
        return None;
    }
    let tcp_flags = transport(frame, L4, ip.next, payload)?;
    let (sport, dport) = ports(frame, L4)?;
    Some(Packet {
        l3: L3,
        l4: L4,
        tuple: Tuple::new(ip.src, ip.dst, sport, dport, ip.next),
        length: (size_of::<Ipv6>() + payload) as u32,
        kind: Kind::Whole,
        ttl: ip.hops,
        tos: (word >> 20) as u8,
        tcp_flags,
        dont_fragment: true,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    })
}

/// Reads a frame again that [`common4`] has read before, and finds the same but for TCP's flags.
#[inline(always)]
pub fn known4(frame: Frame) -> Option<Packet<V4>> {
    const L4: usize = L3 + size_of::<Ipv4>();
    let part = frame.part(L3, size_of::<Ipv4>() + size_of::<u32>())?;
    let ip: Ipv4 = part.read(0)?;
    let (sport, dport) = halves(part.read(L4 - L3)?);
    Some(Packet {
        l3: L3,
        l4: L4,
        tuple: Tuple::new(ip.src, ip.dst, sport, dport, ip.proto),
        length: u32::from(u16::from_be(ip.length)),
        kind: Kind::Whole,
        ttl: ip.ttl,
        tos: ip.tos,
        tcp_flags: 0,
        dont_fragment: ip.fragment & 0x4000_u16.to_be() != 0,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    })
}

/// The same of IPv6.
#[inline(always)]
pub fn known6(frame: Frame) -> Option<Packet<V6>> {
    const L4: usize = L3 + size_of::<Ipv6>();
    let part = frame.part(L3, size_of::<Ipv6>() + size_of::<u32>())?;
    let ip: Ipv6 = part.read(0)?;
    let (sport, dport) = halves(part.read(L4 - L3)?);
    Some(Packet {
        l3: L3,
        l4: L4,
        tuple: Tuple::new(ip.src, ip.dst, sport, dport, ip.next),
        length: size_of::<Ipv6>() as u32 + u32::from(u16::from_be(ip.length)),
        kind: Kind::Whole,
        ttl: ip.hops,
        tos: (u32::from_be(ip.word) >> 20) as u8,
        tcp_flags: 0,
        dont_fragment: true,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    })
}

/// TCP's flags, 0 of UDP, if the lengths in the transport header can be true.
#[inline(always)]
fn transport(frame: Frame, l4: usize, protocol: u8, payload: usize) -> Option<u8> {
    if protocol == proto::TCP {
        let tcp: Tcp = frame.read(l4)?;
        let header = usize::from(tcp.offset >> 4) * 4;
        (header >= size_of::<Tcp>() && payload >= header).then_some(tcp.flags)
    } else if protocol == proto::UDP {
        let udp: Udp = frame.read(l4)?;
        let said = usize::from(u16::from_be(udp.length));
        (said >= size_of::<Udp>() && payload >= said).then_some(0)
    } else {
        None
    }
}

/// Both ports, read as one word.
#[inline(always)]
fn ports(frame: Frame, l4: usize) -> Option<(u16, u16)> {
    frame.read(l4).map(halves)
}

/// The halves of a word, in the packet's order.
#[inline(always)]
fn halves(word: u32) -> (u16, u16) {
    if cfg!(target_endian = "little") {
        (word as u16, (word >> 16) as u16)
    } else {
        ((word >> 16) as u16, word as u16)
    }
}
