//! ICMP and ICMPv6 errors, which belong to the flow of the packet they complain of. All other ICMP is the stack's.

use super::{Frame, Kind, MALFORMED, Other, Packet, header::Icmp, v4, v6};
use crate::abi::{Family, V4, V6};

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
