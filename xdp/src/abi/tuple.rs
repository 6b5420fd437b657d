//! What names a flow, and a fragmented packet.

use super::{Family, Plain};

/// The five things that name a flow, as the packets of one direction carry them.
///
/// SCTP and UDP have ports as TCP does. 16 bytes for IPv4, 40 for IPv6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple<F: Family> {
    /// Source address.
    pub src: F::Addr,
    /// Destination address.
    pub dst: F::Addr,
    /// Source port, network byte order.
    pub sport: u16,
    /// Destination port, network byte order.
    pub dport: u16,
    /// IP protocol: 6, 17 or 132.
    pub proto: u8,
    /// Zero.
    pub zero1: u8,
    /// Zero.
    pub zero2: u16,
}

// SAFETY: `repr(C)`; addresses are 4-aligned, the rest adds up to 8 bytes: no padding.
unsafe impl<F: Family> Plain for Tuple<F> {}

impl<F: Family> Tuple<F> {
    /// A tuple.
    #[inline(always)]
    pub fn new(src: F::Addr, dst: F::Addr, sport: u16, dport: u16, proto: u8) -> Self {
        Self {
            src,
            dst,
            sport,
            dport,
            proto,
            zero1: 0,
            zero2: 0,
        }
    }

    /// As the other side's packets carry it.
    #[inline(always)]
    pub fn reversed(&self) -> Self {
        Self::new(self.dst, self.src, self.dport, self.sport, self.proto)
    }
}

/// What names the fragments of one packet (RFC 791, RFC 8200).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragmentKey<F: Family> {
    /// Source address.
    pub src: F::Addr,
    /// Destination address.
    pub dst: F::Addr,
    /// The identification field (16 bits in IPv4), as in the packet.
    pub id: u32,
    /// IP protocol of what was fragmented.
    pub proto: u8,
    /// Zero.
    pub zero1: u8,
    /// Zero.
    pub zero2: u16,
}

// SAFETY: as `Tuple`.
unsafe impl<F: Family> Plain for FragmentKey<F> {}

/// What the first fragment told of the others.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Source port, network byte order.
    pub sport: u16,
    /// Destination port, network byte order.
    pub dport: u16,
    /// When it stops counting (the same identification comes again).
    pub expires: u32,
}

// SAFETY: numbers, 8 bytes.
unsafe impl Plain for Fragment {}
