//! ICMP and ICMPv6 errors, which belong to the flow of the packet they complain of. All other ICMP is the stack's.

use super::{
    Frame, Kind, MALFORMED, Other, Packet,
    header::{Icmp, Udp, proto},
    v4, v6,
};
use crate::{
    abi::{Addr6, Family, Tuple, V4, V6},
    verifier::below,
};

/// ICMP types (RFC 792).
mod icmp4 {
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const QUENCH: u8 = 4;
    pub(super) const TIME_EXCEEDED: u8 = 11;
    pub(super) const PARAMETER: u8 = 12;
    /// Code of `UNREACHABLE`.
    pub(super) const FRAGMENTATION_NEEDED: u8 = 4;
}

/// ICMPv6 types (RFC 4443).
mod icmp6 {
    pub(super) const UNREACHABLE: u8 = 1;
    pub(super) const TOO_BIG: u8 = 2;
    pub(super) const PARAMETER: u8 = 4;
}

/// Makes an ICMP packet an error of a flow; false if it is something else.
#[inline(always)]
pub(super) fn v4(frame: Frame, packet: &mut Packet<V4>) -> Result<bool, Other> {
    let icmp: Icmp = frame.read(packet.l4).ok_or(MALFORMED)?;
    let known = matches!(
        icmp.kind,
        icmp4::UNREACHABLE | icmp4::QUENCH | icmp4::TIME_EXCEEDED | icmp4::PARAMETER
    );
    if !known {
        return Ok(false);
    }
    let at = packet.l4 + size_of::<Icmp>();
    let Some(length) = (packet.l3 + packet.length as usize).checked_sub(at) else {
        return Err(MALFORMED);
    };
    let Some((tuple, l4)) = v4::inner(frame, at, length)? else {
        return Ok(false);
    };
    packet.kind = Kind::IcmpError;
    packet.tuple = tuple;
    packet.inner_l3 = at;
    packet.inner_l4 = l4;
    Ok(true)
}

/// The same for ICMPv6.
#[inline(always)]
pub(super) fn v6(frame: Frame, packet: &mut Packet<V6>) -> Result<bool, Other> {
    let icmp: Icmp = frame.read(packet.l4).ok_or(MALFORMED)?;
    if icmp.kind < icmp6::UNREACHABLE || icmp.kind > icmp6::PARAMETER {
        return Ok(false);
    }
    let at = packet.l4 + size_of::<Icmp>();
    let Some(length) = (packet.l3 + packet.length as usize).checked_sub(at) else {
        return Err(MALFORMED);
    };
    let Some((tuple, l4)) = v6::inner(frame, at, length)? else {
        return Ok(false);
    };
    packet.kind = Kind::IcmpError;
    packet.tuple = tuple;
    packet.inner_l3 = at;
    packet.inner_l4 = l4;
    Ok(true)
}

/// The MTU that an ICMP error tells: of "fragmentation needed" (RFC 1191; 0 from a router that does not know it)
/// and of "packet too big". None if it is another error.
#[inline(always)]
pub fn next_hop_mtu<F: Family>(frame: Frame, packet: &Packet<F>) -> Option<u32> {
    if packet.kind != Kind::IcmpError {
        return None;
    }
    let icmp: Icmp = frame.read(packet.l4)?;
    if F::IS_V6 {
        return (icmp.kind == icmp6::TOO_BIG).then_some(u32::from_be(icmp.rest));
    }
    let told = icmp.kind == icmp4::UNREACHABLE && icmp.code == icmp4::FRAGMENTATION_NEEDED;
    told.then_some(u32::from_be(icmp.rest) & 0xffff)
}

/// What a router says of a tunnel of ours: a packet was too big for it.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// What fits, bytes of IP.
    pub mtu: u32,
    /// Where the tunnel leads, as [`Family::widen`] makes it.
    pub to: Addr6,
    /// The packet in it.
    pub inside: Inside,
}

/// The packet in a tunnel.
#[derive(Clone, Copy, Debug)]
pub enum Inside {
    /// Of IPv4.
    V4(Tuple<V4>),
    /// Of IPv6.
    V6(Tuple<V6>),
}

/// Reads an ICMP error that may say that a packet we had encapsulated was too big. None: it does not, or quotes too
/// little to say whose packet it was.
#[inline(always)]
pub fn narrow<F: Family>(frame: Frame, packet: &Packet<F>) -> Option<Narrow> {
    let mtu = next_hop_mtu(frame, packet)?;
    let l4 = below(packet.inner_l4, 0x3fff);
    let (skip, protocol) = match packet.tuple.proto {
        proto::IPIP | proto::IPV6 => (0, packet.tuple.proto),
        proto::GRE => {
            let word = u32::from_be(frame.read(l4)?);
            let protocol = match word as u16 {
                V4::ETHERTYPE => proto::IPIP,
                V6::ETHERTYPE => proto::IPV6,
                _ => return None,
            };
            match word >> 16 {
                0 => (4, protocol),
                0x8000 => (8, protocol),
                _ => return None,
            }
        }
        proto::UDP => {
            // GUE's version, length of options, protocol, flags.
            let [kind, protocol, flags, more] =
                frame.read::<u32>(l4 + size_of::<Udp>())?.to_ne_bytes();
            if kind != 0 || flags != 0 || more != 0 {
                return None;
            }
            (size_of::<Udp>() + 4, protocol)
        }
        _ => return None,
    };
    let at = l4 + skip;
    let length = (packet.l3 + packet.length as usize).checked_sub(at)?;
    let inside = match protocol {
        proto::IPIP => Inside::V4(v4::inner(frame, at, length).ok()??.0),
        proto::IPV6 => Inside::V6(v6::inner(frame, at, length).ok()??.0),
        _ => return None,
    };
    let to = F::widen(packet.tuple.dst);
    Some(Narrow { mtu, to, inside })
}
