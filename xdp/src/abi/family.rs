//! Address families: one source, two tight instances.

use super::{Plain, Slot, Tuple};
use crate::decide::Entry;

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
    /// A hash of a flow's key that nobody can foresee who does not know `secret`.
    fn mix(key: &Tuple<Self>, secret: u64) -> u64;
    /// Whether the key of a slot is this one.
    fn is_key(slot: Entry<Slot<Self>>, key: &Tuple<Self>) -> bool;
}

/// Two words of 32 bits as one of 64.
#[inline(always)]
fn both(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// What no address tells of a key: ports and protocol.
#[inline(always)]
fn rest<F: Family>(key: &Tuple<F>) -> u64 {
    both(
        u32::from(key.sport) | u32::from(key.dport) << 16,
        u32::from(key.proto),
    )
}

/// A word more in a hash: what differs in it changes the upper half of the result, and by the shift the lower one.
#[inline(always)]
fn stir(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 32
}

/// The last word of a hash.
#[inline(always)]
fn last(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The n-th eight bytes of a slot.
///
/// # Safety
/// The slot must have so many.
#[inline(always)]
unsafe fn word<F: Family>(slot: Entry<Slot<F>>, n: usize) -> u64 {
    // SAFETY: as the caller says; slots are aligned to eight bytes where tables are.
    unsafe { slot.as_ptr().cast::<u64>().add(n).read() }
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

    #[inline(always)]
    fn mix(key: &Tuple<Self>, secret: u64) -> u64 {
        last(stir(secret, both(key.src, key.dst)), rest(key))
    }

    #[inline(always)]
    fn is_key(slot: Entry<Slot<Self>>, key: &Tuple<Self>) -> bool {
        // SAFETY: a key has 16 bytes.
        unsafe { word(slot, 0) == both(key.src, key.dst) && word(slot, 1) == rest(key) }
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

    #[inline(always)]
    fn mix(key: &Tuple<Self>, secret: u64) -> u64 {
        let (src, dst) = (key.src, key.dst);
        let hash = stir(secret, both(src.c, src.d));
        let hash = stir(hash, both(src.a, src.b));
        let hash = stir(hash, both(dst.c, dst.d));
        let hash = stir(hash, both(dst.a, dst.b));
        last(hash, rest(key))
    }

    #[inline(always)]
    fn is_key(slot: Entry<Slot<Self>>, key: &Tuple<Self>) -> bool {
        let (src, dst) = (key.src, key.dst);
        // SAFETY: a key has 40 bytes.
        unsafe {
            word(slot, 0) == both(src.a, src.b)
                && word(slot, 1) == both(src.c, src.d)
                && word(slot, 2) == both(dst.a, dst.b)
                && word(slot, 3) == both(dst.c, dst.d)
                && word(slot, 4) == rest(key)
        }
    }
}
