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

/// What a port range is looked up by: longest prefix match over protocol, address and the port's bits.
///
/// A range is put in as the prefixes that make it up: `prefix` is 32 + the address' bits + the leading bits of the port.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RangeKey<F: Family> {
    /// How many bits of what follows count.
    pub prefix: u32,
    /// IP protocol.
    pub proto: u8,
    /// Zero.
    pub zero1: u8,
    /// Zero.
    pub zero2: u16,
    /// The virtual address.
    pub address: F::Addr,
    /// Port, network byte order.
    pub port: u16,
    /// Zero.
    pub zero3: u16,
}

// SAFETY: `repr(C)`: 8 bytes, a 4-aligned address, 4 bytes.
unsafe impl<F: Family> Plain for RangeKey<F> {}

impl<F: Family> RangeKey<F> {
    /// Bits before the port.
    pub const BEFORE_PORT: u32 = 32 + 8 * size_of::<F::Addr>() as u32;
}

/// What a destination's home is looked up by (`lblc`, `lblcr`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalityKey<F: Family> {
    /// The address the client asked for.
    pub dst: F::Addr,
    /// Slot of the service.
    pub service: u32,
}

// SAFETY: 4-aligned parts.
unsafe impl<F: Family> Plain for LocalityKey<F> {}

/// The backends a destination is at home with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locality {
    /// Slots of backends, `u32::MAX` where there is none: `lblc` uses the first alone.
    pub backends: [u32; 6],
    /// The tick at which the set last grew or shrank.
    pub changed: u32,
    /// The tick at which it was last used.
    pub used: u32,
}

// SAFETY: eight numbers.
unsafe impl Plain for Locality {}

/// A neighbour to be resolved, in the map RESOLVE; its value is the tick at which it was last missed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResolveKey {
    /// The device it is reached by.
    pub ifindex: u32,
    /// 4 or 6.
    pub family: u32,
    /// The neighbour's address; an IPv4 one in the first word.
    pub address: super::Addr6,
}

// SAFETY: 24 bytes of numbers.
unsafe impl Plain for ResolveKey {}
