//! Address families: one source, two tight instances.

use super::Plain;

/// An IPv4 address as in the packet (network byte order).
pub type Addr4 = u32;

/// An IPv6 address as four words, each as in the packet. Not a byte array: the kernel's compiler calls no `memcpy`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Addr6 {
    /// Bytes 0 to 3.
    pub a: u32,
    /// Bytes 4 to 7.
    pub b: u32,
    /// Bytes 8 to 11.
    pub c: u32,
    /// Bytes 12 to 15.
    pub d: u32,
}

// SAFETY: four numbers, no padding.
unsafe impl Plain for Addr6 {}

/// IPv4 or IPv6, as a type: what differs between the two.
pub trait Family: Copy + Eq + core::fmt::Debug + core::hash::Hash + 'static {
    /// An address of it.
    type Addr: Plain + PartialEq + Eq + core::fmt::Debug + Default + core::hash::Hash;
    /// The value of the Ethernet type field, in the machine's byte order.
    const ETHERTYPE: u16;
    /// `AF_INET` or `AF_INET6`.
    const AF: u8;
    /// Length of the fixed header, bytes.
    const HEADER: usize;
    /// ICMP's protocol number.
    const ICMP: u8;
    /// Whether it is IPv6.
    const IS_V6: bool;

    /// The address folded into 32 bits, for hashing (IPVS folds v6 the same way: the XOR of its words).
    fn fold(address: Self::Addr) -> u32;
    /// The address with all but its first `prefix` bits cleared.
    fn mask(address: Self::Addr, mask: &Addr6) -> Self::Addr;
    /// The address as 16 bytes' worth of words; an IPv4 address in the first.
    fn widen(address: Self::Addr) -> Addr6;
    /// The reverse of [`Family::widen`].
    fn narrow(address: Addr6) -> Self::Addr;
}

/// IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct V4;

/// IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct V6;

impl Family for V4 {
    type Addr = Addr4;
    const ETHERTYPE: u16 = 0x0800;
    const AF: u8 = 2;
    const HEADER: usize = 20;
    const ICMP: u8 = 1;
    const IS_V6: bool = false;

    #[inline(always)]
    fn fold(address: Addr4) -> u32 {
        address
    }

    #[inline(always)]
    fn mask(address: Addr4, mask: &Addr6) -> Addr4 {
        address & mask.a
    }

    #[inline(always)]
    fn widen(address: Addr4) -> Addr6 {
        Addr6 {
            a: address,
            b: 0,
            c: 0,
            d: 0,
        }
    }

    #[inline(always)]
    fn narrow(address: Addr6) -> Addr4 {
        address.a
    }
}

impl Family for V6 {
    type Addr = Addr6;
    const ETHERTYPE: u16 = 0x86dd;
    const AF: u8 = 10;
    const HEADER: usize = 40;
    const ICMP: u8 = 58;
    const IS_V6: bool = true;

    #[inline(always)]
    fn fold(address: Addr6) -> u32 {
        address.a ^ address.b ^ address.c ^ address.d
    }

    #[inline(always)]
    fn mask(address: Addr6, mask: &Addr6) -> Addr6 {
        Addr6 {
            a: address.a & mask.a,
            b: address.b & mask.b,
            c: address.c & mask.c,
            d: address.d & mask.d,
        }
    }

    #[inline(always)]
    fn widen(address: Addr6) -> Addr6 {
        address
    }

    #[inline(always)]
    fn narrow(address: Addr6) -> Addr6 {
        address
    }
}
