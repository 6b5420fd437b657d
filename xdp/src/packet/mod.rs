//! What a packet is: from the frame's bytes to the few facts that decide its way.
//!
//! [`parse`] reads Ethernet (`ethernet`), then [`mod@v4`] or [`mod@v6`] the IP header and what precedes the transport header,
//! [`mod@transport`] the ports, [`mod@icmp`] the packet that an ICMP error complains of. What is read is checked against the frame's
//! end and against the lengths that the packet itself states. Changing packets is [`mod@crate::rewrite`]'s work.

mod common;
mod ethernet;
mod frame;
pub mod header;
mod icmp;
mod transport;
mod v4;
mod v6;

pub(crate) use self::frame::merge;
pub use self::{
    common::{common4, common6, known4, known6},
    frame::{Frame, Part},
    icmp::{Inside, Narrow, narrow, next_hop_mtu},
};
use crate::abi::{Family, PassReason, Reason, Tuple, V4, V6};

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
