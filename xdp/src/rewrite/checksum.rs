//! The Internet checksum (RFC 1071), mended for what changed (RFC 1624) instead of computed anew.

use crate::abi::Family;

/// What changed in what a checksum covers: a sum in one's complement.
///
/// All words are taken as they lie in the packet: the sum does not care for byte order, as long as each word begins
/// at an even offset of what the checksum covers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delta(u64);

impl Delta {
    /// Nothing changed.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self(0)
    }

    /// A word of 16 bits became another.
    #[inline(always)]
    pub(super) fn word(&mut self, old: u16, new: u16) {
        self.0 += u64::from(!old) + u64::from(new);
    }

    /// Two adjoining words became others.
    #[inline(always)]
    pub(super) fn words(&mut self, old: u32, new: u32) {
        self.0 += u64::from(!old) + u64::from(new);
    }

    /// A word of 16 bits became this much less, without a borrow.
    #[inline(always)]
    pub(super) fn less(&mut self, by: u16) {
        self.0 += u64::from(!by);
    }

    /// The checksum after that alone (RFC 1141): fewer instructions.
    #[inline(always)]
    pub(super) fn mend_less(by: u16, checksum: u16) -> u16 {
        let sum = u32::from(checksum) + u32::from(by);
        (sum + u32::from(sum >= 0xffff)) as u16
    }

    /// An address became another.
    #[inline(always)]
    pub(super) fn address<F: Family>(&mut self, old: F::Addr, new: F::Addr) {
        let (old, new) = (F::widen(old), F::widen(new));
        self.words(old.a, new.a);
        if F::IS_V6 {
            self.words(old.b, new.b);
            self.words(old.c, new.c);
            self.words(old.d, new.d);
        }
    }

    /// What another one says, too.
    #[inline(always)]
    pub(super) fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    /// The checksum after the change. Equal to one computed anew, if it was right.
    #[inline(always)]
    pub(super) fn mend(self, checksum: u16) -> u16 {
        !fold(self.0 + u64::from(!checksum))
    }

    /// The same for UDP: 0 means "none" and stays; one that comes out as 0 is written as its other form.
    #[inline(always)]
    pub(super) fn mend_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        not_zero(self.mend(checksum))
    }
}

/// UDP's way to write a checksum of 0.
#[inline(always)]
pub(super) fn not_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// A sum of words, carries brought round.
#[inline(always)]
pub(super) fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}
