//! IPv6 (RFC 8200) and its extension headers.

use super::{
    Frame, Kind, MALFORMED, Other, PROTOCOL, Packet, UNPARSED,
    header::{Ipv6, Ipv6Fragment, proto},
    icmp, merge, transport, v4,
};
use crate::abi::{EXTENSION_HEADERS, Tuple, V6};
use crate::verifier::below;

/// Bits of the fragment header's offset field.
const OFFSET: u16 = 0xfff8;
const MORE: u16 = 1;

/// The longest extension header that is gone over, in units of 8 bytes: what keeps offsets small.
const LONGEST: usize = 32;

/// What the extension headers lead to.
struct Chain {
    /// Where the header after them begins.
    at: usize,
    /// Its protocol.
    proto: u8,
    /// The fragment header's offset and flag, the machine's order; 0 without one.
    fragment: u16,
    /// Its identification.
    id: u32,
}

/// The packet whose header begins at `l3`.
#[inline(always)]
pub(super) fn parse(frame: Frame, l3: usize) -> Result<Packet<V6>, Other> {
    let ip: Ipv6 = frame.read(l3).ok_or(MALFORMED)?;
    let word = u32::from_be(ip.word);
    let payload = below(usize::from(u16::from_be(ip.length)), 0xffff);
    let header = size_of::<Ipv6>();
    if word >> 28 != 6 || !frame.holds(l3 + header + payload) {
        return Err(MALFORMED);
    }
    if payload == 0 && ip.next == proto::HOP_BY_HOP {
        // A jumbogram (RFC 2675).
        return Err(UNPARSED);
    }
    let mut chain = Chain {
        at: l3 + header,
        proto: ip.next,
        fragment: 0,
        id: 0,
    };
    if is_extension(ip.next) {
        walk(frame, &mut chain)?;
    }
    let length = header + payload;
    let Some(rest) = (l3 + length).checked_sub(chain.at) else {
        return Err(MALFORMED);
    };
    let mut packet = Packet {
        l3,
        l4: chain.at,
        tuple: Tuple::new(ip.src, ip.dst, 0, 0, chain.proto),
        length: length as u32,
        kind: Kind::Whole,
        ttl: ip.hops,
        tos: (word >> 20) as u8,
        tcp_flags: 0,
        dont_fragment: true,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    };
    if transport::is_balanced(chain.proto) {
        if chain.fragment & (MORE | OFFSET) != 0 {
            packet.id = chain.id;
            packet.kind = Kind::FirstFragment;
            if chain.fragment & OFFSET != 0 {
                packet.kind = Kind::LaterFragment;
                return Ok(packet);
            }
        }
        let whole = packet.kind == Kind::Whole;
        let transport = transport::parse(frame, chain.at, chain.proto, rest, whole)?;
        packet.tuple.sport = transport.ports.src;
        packet.tuple.dport = transport.ports.dst;
        packet.tcp_flags = transport.tcp_flags;
        return Ok(packet);
    }
    if chain.proto == proto::ICMPV6
        && chain.fragment & (MORE | OFFSET) == 0
        && icmp::v6(frame, &mut packet)?
    {
        return Ok(packet);
    }
    Err(PROTOCOL)
}

/// The packet that an ICMPv6 error complains of, as [`v4::inner`].
#[inline(always)]
pub(super) fn inner(
    frame: Frame,
    l3: usize,
    length: usize,
) -> Result<Option<(Tuple<V6>, usize)>, Other> {
    let ip: Ipv6 = frame.read(l3).ok_or(MALFORMED)?;
    if u32::from_be(ip.word) >> 28 != 6 {
        return Err(MALFORMED);
    }
    let mut chain = Chain {
        at: l3 + size_of::<Ipv6>(),
        proto: ip.next,
        fragment: 0,
        id: 0,
    };
    if is_extension(ip.next) {
        walk(frame, &mut chain)?;
    }
    if chain.at + 8 > l3 + length {
        return Err(MALFORMED);
    }
    if chain.fragment & OFFSET != 0 {
        return Ok(None);
    }
    let Some(ports) = v4::inner_ports(frame, chain.at, chain.proto)? else {
        return Ok(None);
    };
    let tuple = Tuple::new(ip.src, ip.dst, ports.src, ports.dst, chain.proto);
    Ok(Some((tuple, chain.at)))
}

#[inline(always)]
fn is_extension(next: u8) -> bool {
    matches!(
        next,
        proto::HOP_BY_HOP | proto::ROUTING | proto::FRAGMENT | proto::DESTINATION | proto::AH
    )
}

/// Goes over the extension headers. Behind the header of a later fragment is data, not headers.
#[inline(always)]
fn walk(frame: Frame, chain: &mut Chain) -> Result<(), Other> {
    for _ in 0..EXTENSION_HEADERS {
        if !is_extension(chain.proto) {
            break;
        }
        // All of them are at least 8 bytes long, and begin with the next one's type.
        let header: Ipv6Fragment = frame.read(chain.at).ok_or(MALFORMED)?;
        match chain.proto {
            proto::FRAGMENT => {
                chain.proto = header.next;
                chain.at += size_of::<Ipv6Fragment>();
                chain.fragment = u16::from_be(header.fragment);
                chain.id = header.id;
                if chain.fragment & OFFSET != 0 {
                    chain.at = merge(chain.at);
                    return Ok(());
                }
            }
            proto::AH => return Err(UNPARSED),
            // A routing header with segments left: the destination is not yet the one that counts.
            proto::ROUTING if header.fragment.to_ne_bytes()[1] != 0 => return Err(UNPARSED),
            _ => {
                // The byte after the type: the length in units of 8 bytes, the first not counted.
                let units = usize::from(header.reserved) + 1;
                if units > LONGEST {
                    return Err(UNPARSED);
                }
                chain.proto = header.next;
                chain.at += units * 8;
            }
        }
    }
    chain.at = merge(chain.at);
    if is_extension(chain.proto) {
        Err(UNPARSED)
    } else {
        Ok(())
    }
}
