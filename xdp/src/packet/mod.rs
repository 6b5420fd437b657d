//! What a packet is: from the frame's bytes to the few facts that decide its way.

mod frame;

pub use self::frame::Frame;
use crate::abi::{Family, Tuple};

/// What the program needs to know of a packet of one family. Offsets are from the frame's first byte.
#[derive(Clone, Copy, Debug)]
pub struct Packet<F: Family> {
    /// Where the IP header begins.
    pub l3: usize,
    /// Where the transport header begins (of an ICMP error: ICMP's).
    pub l4: usize,
    /// What names the flow: of an ICMP error, the tuple of the packet it complains of, as that one was sent.
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
