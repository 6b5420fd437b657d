//! The headers as they lie in a frame: what has more than one byte is in network byte order.

use crate::abi::{Addr4, Addr6, Mac, Plain};

/// IP protocol numbers.
pub mod proto {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// GRE.
    pub const GRE: u8 = 47;
    /// Authentication header (IPsec).
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// TCP's flags.
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Begins a connection.
    pub const SYN: u8 = 2;
    /// Ends one at once.
    pub const RST: u8 = 4;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 16;
}

/// Ethernet's header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// To whom.
    pub target: Mac,
    /// From whom.
    pub source: Mac,
    /// What follows.
    pub ethertype: u16,
}

/// A VLAN tag, from the tag's control information on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Priority, drop eligibility, VLAN.
    pub tci: u16,
    /// What follows.
    pub ethertype: u16,
}

/// IPv4's fixed header (RFC 791).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Version and header length in 32-bit words.
    pub version_ihl: u8,
    /// Type of service.
    pub tos: u8,
    /// Length of the packet.
    pub length: u16,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol.
    pub proto: u8,
    /// Checksum of the header.
    pub checksum: u16,
    /// Source.
    pub src: Addr4,
    /// Destination.
    pub dst: Addr4,
}

/// IPv6's fixed header (RFC 8200).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Version, traffic class, flow label.
    pub word: u32,
    /// Length of what follows this header.
    pub length: u16,
    /// Type of the next header.
    pub next: u8,
    /// Hop limit.
    pub hops: u8,
    /// Source.
    pub src: Addr6,
    /// Destination.
    pub dst: Addr6,
}

/// IPv6's fragment header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Fragment {
    /// Type of the next header.
    pub next: u8,
    /// Zero.
    pub reserved: u8,
    /// Offset in units of 8 bytes (upper 13 bits) and the "more" flag.
    pub fragment: u16,
    /// Identification.
    pub id: u32,
}

/// The ports of TCP, UDP and SCTP.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source.
    pub src: u16,
    /// Destination.
    pub dst: u16,
}

/// TCP's fixed header (RFC 9293).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Ports.
    pub ports: Ports,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Header length in 32-bit words, in the upper four bits.
    pub offset: u8,
    /// Of [`tcp_flags`].
    pub flags: u8,
    /// Receive window.
    pub window: u16,
    /// Checksum.
    pub checksum: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

/// UDP's header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Ports.
    pub ports: Ports,
    /// Length with this header.
    pub length: u16,
    /// Checksum; 0: none.
    pub checksum: u16,
}

/// ICMP's and ICMPv6's header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum.
    pub checksum: u16,
    /// By type: IPv4 next-hop MTU in the lower half, ICMPv6 MTU.
    pub rest: u32,
}

// SAFETY: numbers, 14 bytes of 16-bit words.
unsafe impl Plain for Ethernet {}
// SAFETY: numbers.
unsafe impl Plain for Tag {}
// SAFETY: numbers, 20 bytes filled.
unsafe impl Plain for Ipv4 {}
// SAFETY: numbers, 40 bytes filled.
unsafe impl Plain for Ipv6 {}
// SAFETY: numbers, 8 bytes filled.
unsafe impl Plain for Ipv6Fragment {}
// SAFETY: numbers.
unsafe impl Plain for Ports {}
// SAFETY: numbers, 20 bytes filled.
unsafe impl Plain for Tcp {}
// SAFETY: numbers, 8 bytes filled.
unsafe impl Plain for Udp {}
// SAFETY: numbers, 8 bytes filled.
unsafe impl Plain for Icmp {}

const _: () = assert!(size_of::<Ethernet>() == 14);
const _: () = assert!(size_of::<Ipv4>() == 20);
const _: () = assert!(size_of::<Ipv6>() == 40);
const _: () = assert!(size_of::<Tcp>() == 20);
