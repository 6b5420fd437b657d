//! ICMP errors that we cause: the frame becomes the error, on its way back to the packet's sender.

use super::{
    Room,
    sum::{self, Sum},
};
use crate::{
    abi::{Family, V4},
    packet::{
        Frame, Kind, Packet,
        header::{Ethernet, Icmp, Ipv4, Ipv6, Tag, proto},
    },
};

/// Time to live of what we send.
pub(super) const TTL: u8 = 64;
/// ToS of ICMP errors: internetwork control (RFC 1812, 4.3.2.5).
const TOS: u8 = 0xc0;
/// How long an ICMP error may be with its IP header: 576 bytes (RFC 1812, 4.3.2.3) and IPv6's least MTU (RFC 4443, 2.4).
const LONGEST4: usize = 576;
const LONGEST6: usize = 1280;

/// Turns a packet that does not fit the way into the error that says so: "fragmentation needed" (RFC 1191), for IPv6
/// "packet too big" (RFC 4443). From `from`; the frame is to leave by the device it came in by.
///
/// The packet must be as it came. None if no error may be sent about it (RFC 1812, 4.3.2.7), or there was no room.
#[inline(always)]
pub fn too_big<F: Family, R: Room>(
    room: &mut R,
    packet: &Packet<F>,
    from: F::Addr,
    mtu: u32,
) -> Option<()> {
    let (kind, code) = if F::IS_V6 { (2, 0) } else { (3, 4) };
    let icmp = Icmp {
        kind,
        code,
        checksum: 0,
        rest: mtu.to_be(),
    };
    answer(room, packet, from, icmp)
}

/// Turns a packet whose time to live ended into the error that says so. As [`too_big`].
#[inline(always)]
pub fn ttl_exceeded<F: Family, R: Room>(
    room: &mut R,
    packet: &Packet<F>,
    from: F::Addr,
) -> Option<()> {
    let icmp = Icmp {
        kind: if F::IS_V6 { 3 } else { 11 },
        code: 0,
        checksum: 0,
        rest: 0,
    };
    answer(room, packet, from, icmp)
}

/// Turns a packet to a port where nobody takes it into the error that says so. As [`too_big`].
#[inline(always)]
pub fn unreachable<F: Family, R: Room>(
    room: &mut R,
    packet: &Packet<F>,
    from: F::Addr,
) -> Option<()> {
    let (kind, code) = if F::IS_V6 { (1, 4) } else { (3, 3) };
    let icmp = Icmp {
        kind,
        code,
        checksum: 0,
        rest: 0,
    };
    answer(room, packet, from, icmp)
}

#[inline(always)]
fn answer<F: Family, R: Room>(
    room: &mut R,
    packet: &Packet<F>,
    from: F::Addr,
    mut icmp: Icmp,
) -> Option<()> {
    let to = packet.tuple.src;
    if packet.kind == Kind::IcmpError || !is_one_host::<F>(to) {
        return None;
    }
    if !F::IS_V6 && packet.kind == Kind::LaterFragment {
        return None;
    }
    let added = F::HEADER + size_of::<Icmp>();
    let longest = if F::IS_V6 { LONGEST6 } else { LONGEST4 };
    let quoted = (packet.length as usize).min(longest - added);
    let l3 = packet.l3;
    if !room.frame().ends_at(l3 + quoted) {
        room.cut(l3 + quoted)?;
    }
    room.grow(added)?;
    let frame = room.frame();
    back(frame, added, l3)?;
    let length = added + quoted;
    let l4 = l3 + F::HEADER;
    ip_header::<F>(
        frame,
        l3,
        from,
        to,
        length,
        if F::IS_V6 { 0 } else { TOS },
        F::ICMP,
    )?;
    frame.write(l4, icmp)?;
    let mut sum = Sum::default();
    if F::IS_V6 {
        sum.pseudo::<F>(from, to, proto::ICMPV6, (length - F::HEADER) as u32);
    }
    sum.range(room, l4, length - F::HEADER)?;
    icmp.checksum = sum.checksum();
    frame.write(l4, icmp)
}

/// Writes an IP header without options for a packet of `length` bytes that we send.
#[inline(always)]
pub(super) fn ip_header<F: Family>(
    frame: Frame,
    l3: usize,
    src: F::Addr,
    dst: F::Addr,
    length: usize,
    tos: u8,
    proto: u8,
) -> Option<()> {
    if F::IS_V6 {
        let ip = Ipv6 {
            word: (6 << 28 | u32::from(tos) << 20).to_be(),
            length: (length.wrapping_sub(F::HEADER) as u16).to_be(),
            next: proto,
            hops: TTL,
            src: F::widen(src),
            dst: F::widen(dst),
        };
        return frame.write(l3, ip);
    }
    let mut ip = Ipv4 {
        version_ihl: 0x45,
        tos,
        length: (length as u16).to_be(),
        // Never fragmented, so it names nothing (RFC 6864).
        id: 0,
        fragment: 0x4000_u16.to_be(),
        ttl: TTL,
        proto,
        checksum: 0,
        src: V4::narrow(F::widen(src)),
        dst: V4::narrow(F::widen(dst)),
    };
    ip.checksum = sum::ipv4_header(&ip);
    frame.write(l3, ip)
}

/// Moves the link-layer header of `length` bytes from `at` to the frame's start, sender and receiver exchanged. Tags stay.
#[inline(always)]
fn back(frame: Frame, at: usize, length: usize) -> Option<()> {
    let ethernet: Ethernet = frame.read(at)?;
    frame.write(0, swapped(ethernet))?;
    let tags = size_of::<Ethernet>();
    if length > tags {
        let tag: Tag = frame.read(at + tags)?;
        frame.write(tags, tag)?;
    }
    let tags = tags + size_of::<Tag>();
    if length > tags {
        let tag: Tag = frame.read(at + tags)?;
        frame.write(tags, tag)?;
    }
    Some(())
}

/// Sender and receiver exchanged.
#[inline(always)]
pub(super) fn swapped(ethernet: Ethernet) -> Ethernet {
    Ethernet {
        target: ethernet.source,
        source: ethernet.target,
        ethertype: ethernet.ethertype,
    }
}

/// Whether an address is of one host: not unspecified, multicast, broadcast or (IPv4) reserved.
#[inline(always)]
pub(crate) fn is_one_host<F: Family>(address: F::Addr) -> bool {
    let wide = F::widen(address);
    let first = u32::from_be(wide.a) >> 24;
    if F::IS_V6 {
        return first != 0xff && (wide.a | wide.b | wide.c | wide.d) != 0;
    }
    first != 0 && first != 127 && first < 224
}
