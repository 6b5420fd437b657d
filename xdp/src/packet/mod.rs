//! What a packet is: from the frame's bytes to the few facts that decide its way.
//!
//! [`parse`] reads Ethernet (`ethernet`), then [`mod@v4`] or [`mod@v6`] the IP header and what precedes the transport header,
//! [`mod@transport`] the ports, [`mod@icmp`] the packet that an ICMP error complains of. What is read is checked against the frame's
//! end and against the lengths that the packet itself states. Changing packets is [`mod@crate::rewrite`]'s work.

mod ethernet;
mod frame;
pub mod header;
mod icmp;
mod transport;
mod v4;
mod v6;

pub(crate) use self::frame::merge;
pub use self::{
    frame::Frame,
    icmp::{Inside, Narrow, narrow, next_hop_mtu},
};
use crate::abi::{Family, PassReason, Reason, Tuple, V4, V6};
use crate::verifier::below;

/// What the program needs to know of a packet of one family. Offsets are from the frame's first byte.
#[derive(Clone, Copy, Debug)]
pub struct Packet<F: Family> {
    /// Where the IP header begins.
    pub l3: usize,
    /// Where the transport header begins (of an ICMP error: ICMP's).
    pub l4: usize,
    /// What names the flow: of an ICMP error, the tuple of the packet it complains of, as that one was sent.
    ///
    /// Of an ICMP error the protocol may also be that of a tunnel (4, 41, 47), with ports of 0: it may speak of what
    /// we encapsulated.
    pub tuple: Tuple<F>,
    /// Length of the IP packet with its header, bytes.
    pub length: u32,
    /// What it is.
    pub kind: Kind,
    /// Time to live, hop limit.
    pub ttl: u8,
    /// ToS or traffic class.
    pub tos: u8,
    /// TCP's flags byte; 0 for other protocols.
    pub tcp_flags: u8,
    /// IPv4's "do not fragment"; always set for IPv6.
    pub dont_fragment: bool,
    /// The identification of a fragment, as in the packet.
    pub id: u32,
    /// Of an ICMP error: where the header of the packet it complains of begins, and its transport header.
    pub inner_l3: usize,
    /// See `inner_l3`.
    pub inner_l4: usize,
}

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole packet.
    Whole,
    /// The first fragment: it has the ports.
    FirstFragment,
    /// A later fragment: `tuple`'s ports are 0 until the first one's are looked up.
    LaterFragment,
    /// An ICMP or ICMPv6 error about a packet of a flow.
    IcmpError,
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Parsed {
    /// An IPv4 packet that may belong to a flow.
    V4(Packet<V4>),
    /// An IPv6 packet that may belong to a flow.
    V6(Packet<V6>),
    /// Nothing for us.
    Pass(PassReason),
    /// Nothing for anybody.
    Drop(Reason),
}

/// Why a frame is no packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Pass(PassReason),
    Drop(Reason),
}

const MALFORMED: Other = Other::Drop(Reason::Malformed);
const UNPARSED: Other = Other::Pass(PassReason::Unparsed);
const PROTOCOL: Other = Other::Pass(PassReason::Protocol);

/// Reads a frame.
#[inline(always)]
pub fn parse(frame: Frame) -> Parsed {
    let other = match ethernet::parse(frame) {
        Ok((V4::ETHERTYPE, l3)) => match v4::parse(frame, l3) {
            Ok(packet) => return Parsed::V4(packet),
            Err(other) => other,
        },
        Ok((V6::ETHERTYPE, l3)) => match v6::parse(frame, l3) {
            Ok(packet) => return Parsed::V6(packet),
            Err(other) => other,
        },
        Ok(_) => Other::Pass(PassReason::NotIp),
        Err(other) => other,
    };
    match other {
        Other::Pass(reason) => Parsed::Pass(reason),
        Other::Drop(reason) => Parsed::Drop(reason),
    }
}

/// Reads a frame if it is of the most common kind: IPv4 without tags and options, a whole packet of TCP or UDP. None: it
/// is for [`fn@parse`], which would find the same in it, with more instructions. (Numbers alone, and no result of other
/// functions: the compiler then keeps all of it in registers.)
#[inline(always)]
pub fn common(frame: Frame) -> Option<Packet<V4>> {
    const L3: usize = size_of::<header::Ethernet>();
    const L4: usize = L3 + size_of::<header::Ipv4>();
    const NO_OPTIONS: u8 = 0x45;
    const FRAGMENT: u16 = 0x3fff;
    let ethernet: header::Ethernet = frame.read(0)?;
    if ethernet.ethertype != V4::ETHERTYPE.to_be() || ethernet::group(ethernet.target.a) {
        return None;
    }
    let ip: header::Ipv4 = frame.read(L3)?;
    // Verifiers of older kernels do not know that what was swapped is as small as before.
    let length = below(usize::from(u16::from_be(ip.length)), 0xffff);
    if ip.version_ihl != NO_OPTIONS
        || ip.fragment & FRAGMENT.to_be() != 0
        || !frame.holds(L3 + length)
    {
        return None;
    }
    let ports: u32 = frame.read(L4)?;
    let payload = length.wrapping_sub(L4 - L3);
    let tcp_flags = if ip.proto == header::proto::TCP {
        let tcp: header::Tcp = frame.read(L4)?;
        let header = usize::from(tcp.offset >> 4) * 4;
        if header < size_of::<header::Tcp>() || length < L4 - L3 || payload < header {
            return None;
        }
        tcp.flags
    } else if ip.proto == header::proto::UDP {
        let udp: header::Udp = frame.read(L4)?;
        let said = usize::from(u16::from_be(udp.length));
        if said < size_of::<header::Udp>() || length < L4 - L3 || payload < said {
            return None;
        }
        0
    } else {
        return None;
    };
    let (sport, dport) = if cfg!(target_endian = "little") {
        (ports as u16, (ports >> 16) as u16)
    } else {
        ((ports >> 16) as u16, ports as u16)
    };
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

impl<F: Family> Packet<F> {
    /// The IP header's source and destination. They are `tuple`'s but for an ICMP error.
    #[inline(always)]
    pub fn addresses(&self, frame: Frame) -> Option<(F::Addr, F::Addr)> {
        Some((
            frame.read(self.l3 + Self::SRC)?,
            frame.read(self.l3 + Self::DST)?,
        ))
    }

    /// Where the source address lies in the IP header.
    pub(crate) const SRC: usize = if F::IS_V6 { 8 } else { 12 };
    /// Where the destination address lies.
    pub(crate) const DST: usize = Self::SRC + size_of::<F::Addr>();
}

#[cfg(test)]
mod tests;
