//! IPv4 (RFC 791).

use super::{
    Frame, Kind, MALFORMED, Other, PROTOCOL, Packet,
    header::{Ipv4, Ports, proto},
    icmp, merge, transport,
};
use crate::abi::{Tuple, V4};
use crate::verifier::below;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// The packet whose header begins at `l3`.
#[inline(always)]
pub(super) fn parse(frame: Frame, l3: usize) -> Result<Packet<V4>, Other> {
    let ip: Ipv4 = frame.read(l3).ok_or(MALFORMED)?;
    let header = header_length(&ip).ok_or(MALFORMED)?;
    let length = below(usize::from(u16::from_be(ip.length)), 0xffff);
    if length < header || !frame.holds(l3 + length) {
        return Err(MALFORMED);
    }
    let l4 = l3 + header;
    let fragment = u16::from_be(ip.fragment);
    let mut packet = Packet {
        l3,
        l4,
        tuple: Tuple::new(ip.src, ip.dst, 0, 0, ip.proto),
        length: length as u32,
        kind: Kind::Whole,
        ttl: ip.ttl,
        tos: ip.tos,
        tcp_flags: 0,
        dont_fragment: fragment & DONT_FRAGMENT != 0,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    };
    if transport::is_balanced(ip.proto) {
        if fragment & (MORE | OFFSET) != 0 {
            packet.id = u32::from(ip.id);
            packet.kind = Kind::FirstFragment;
            if fragment & OFFSET != 0 {
                packet.kind = Kind::LaterFragment;
                return Ok(packet);
            }
        }
        let whole = packet.kind == Kind::Whole;
        let transport = transport::parse(frame, l4, ip.proto, length - header, whole)?;
        packet.tuple.sport = transport.ports.src;
        packet.tuple.dport = transport.ports.dst;
        packet.tcp_flags = transport.tcp_flags;
        return Ok(packet);
    }
    if ip.proto == proto::ICMP && fragment & (MORE | OFFSET) == 0 && icmp::v4(frame, &mut packet)? {
        return Ok(packet);
    }
    Err(PROTOCOL)
}

/// Length of the header with its options, bytes; none if it is no IPv4 header.
#[inline(always)]
pub(super) fn header_length(ip: &Ipv4) -> Option<usize> {
    let length = usize::from(ip.version_ihl & 0xf) * 4;
    (ip.version_ihl >> 4 == 4 && length >= size_of::<Ipv4>()).then_some(length)
}

/// The packet that an ICMP error complains of, whose header begins at `l3` and of which `length` bytes are there:
/// its tuple and where its transport header begins. None: it names no flow.
#[inline(always)]
pub(super) fn inner(
    frame: Frame,
    l3: usize,
    length: usize,
) -> Result<Option<(Tuple<V4>, usize)>, Other> {
    let ip: Ipv4 = frame.read(l3).ok_or(MALFORMED)?;
    let header = header_length(&ip).ok_or(MALFORMED)?;
    if usize::from(u16::from_be(ip.length)) < header || length < header + 8 {
        return Err(MALFORMED);
    }
    if u16::from_be(ip.fragment) & OFFSET != 0 {
        return Ok(None);
    }
    let l4 = merge(l3 + header);
    let Some(ports) = inner_ports(frame, l4, ip.proto)? else {
        return Ok(None);
    };
    let tuple = Tuple::new(ip.src, ip.dst, ports.src, ports.dst, ip.proto);
    Ok(Some((tuple, l4)))
}

/// The ports of the packet that an ICMP error complains of, 0 for those of tunnels.
#[inline(always)]
pub(super) fn inner_ports(frame: Frame, l4: usize, protocol: u8) -> Result<Option<Ports>, Other> {
    if transport::is_balanced(protocol) {
        return frame.read(l4).map(Some).ok_or(MALFORMED);
    }
    let tunnel = protocol == proto::IPIP || protocol == proto::IPV6 || protocol == proto::GRE;
    Ok(tunnel.then_some(Ports { src: 0, dst: 0 }))
}
