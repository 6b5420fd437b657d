//! The bytes of a frame, read and written with a check each time: the kernel's verifier demands it, and on the host
//! it is what makes a hostile packet harmless.

use core::ptr;

use crate::abi::Plain;

/// A frame in memory, from its Ethernet header on. On both sides a pair of addresses.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    /// The frame between two addresses.
    ///
    /// # Safety
    /// The bytes from `start` to `end` must stay readable and writable while the frame or a copy of it is used.
    #[inline(always)]
    pub unsafe fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The bytes of a slice as a frame.
    ///
    /// # Safety
    /// The frame must not be used once the slice's borrow has ended.
    pub unsafe fn of(bytes: &mut [u8]) -> Self {
        let start = bytes.as_mut_ptr() as usize;
        Self {
            start,
            end: start + bytes.len(),
        }
    }

    /// Its length, bytes. To compare with it, [`Frame::holds`] and [`Frame::ends_at`] are cheaper.
    #[inline(always)]
    pub fn len(&self) -> usize {
        // The compiler would subtract in 32 bits where only these are used, and the verifier allows no such thing with
        // addresses: make it need all of them.
        opaque(self.end.wrapping_sub(self.start))
    }

    /// Whether its first `length` bytes are there.
    #[inline(always)]
    pub fn holds(&self, length: usize) -> bool {
        self.start.wrapping_add(length) <= self.end
    }

    /// Whether it is `length` bytes long.
    #[inline(always)]
    pub fn ends_at(&self, length: usize) -> bool {
        self.holds(length) && !self.holds(length + 1)
    }

    /// Whether it has no bytes.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The address of an offset.
    ///
    /// The compiler must know nothing of it: it would leave out checks that follow from others and compare with sums of
    /// its own, and the verifier, which knows an address checked only by a comparison with the very end, would not follow.
    #[inline(always)]
    fn at(&self, offset: usize) -> usize {
        opaque(self.start.wrapping_add(offset))
    }

    /// The value at an offset, none if it does not lie wholly in the frame.
    #[inline(always)]
    pub fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        let at = self.at(offset);
        if at.wrapping_add(size_of::<T>()) > self.end {
            return None;
        }
        // SAFETY: it lies in the frame, and any bits are a `T`.
        Some(unsafe { load(at as *const T) })
    }

    /// Puts a value at an offset; none if it does not lie wholly in the frame.
    #[inline(always)]
    pub fn write<T: Plain>(&self, offset: usize, value: T) -> Option<()> {
        let at = self.at(offset);
        if at.wrapping_add(size_of::<T>()) > self.end {
            return None;
        }
        // SAFETY: it lies in the frame.
        unsafe { store(at as *mut T, value) };
        Some(())
    }
}

/// A part of a frame whose bytes are all there: one check for many reads and writes, whose own are of constants.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    at: usize,
    length: usize,
}

impl Frame {
    /// Its part of `length` bytes at an offset; none if that does not lie wholly in the frame.
    #[inline(always)]
    pub fn part(&self, offset: usize, length: usize) -> Option<Part> {
        let at = self.at(offset);
        (at.wrapping_add(length) <= self.end).then_some(Part { at, length })
    }
}

impl Part {
    /// The value at an offset of the part, none if it does not lie wholly in it.
    #[inline(always)]
    pub fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        if offset + size_of::<T>() > self.length {
            return None;
        }
        // SAFETY: it lies in the frame, and any bits are a `T`.
        Some(unsafe { load(self.at.wrapping_add(offset) as *const T) })
    }

    /// Puts a value at an offset of the part; none if it does not lie wholly in it.
    #[inline(always)]
    pub fn write<T: Plain>(&self, offset: usize, value: T) -> Option<()> {
        if offset + size_of::<T>() > self.length {
            return None;
        }
        // SAFETY: it lies in the frame.
        unsafe { store(self.at.wrapping_add(offset) as *mut T, value) };
        Some(())
    }
}

/// Reads from any address.
///
/// # Safety
/// The bytes must be readable.
#[inline(always)]
unsafe fn load<T: Plain>(at: *const T) -> T {
    // A load that must suit any alignment becomes one of single bytes in BPF's code; its machine needs none of that:
    // the verifier refuses unaligned loads where the processor cannot do them.
    if cfg!(target_arch = "bpf") {
        // SAFETY: readable, as the caller says; the machine loads from any address.
        unsafe { ptr::read(at) }
    } else {
        // SAFETY: readable, as the caller says.
        unsafe { ptr::read_unaligned(at) }
    }
}

/// Writes to any address.
///
/// # Safety
/// The bytes must be writable.
#[inline(always)]
unsafe fn store<T: Plain>(at: *mut T, value: T) {
    // As in `load`.
    if cfg!(target_arch = "bpf") {
        // SAFETY: writable, as the caller says; the machine stores to any address.
        unsafe { ptr::write(at, value) }
    } else {
        // SAFETY: writable, as the caller says.
        unsafe { ptr::write_unaligned(at, value) }
    }
}

/// The same offset, of which the verifier knows nothing afterwards but that it is less than 4096: what follows is then
/// gone through once, and not for each way that led here.
#[inline(always)]
pub(crate) fn merge(offset: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    let offset = {
        let mut offset = offset;
        // SAFETY: a register's two low bytes are exchanged twice. (The verifier forgets a number whose bytes move.)
        unsafe {
            core::arch::asm!(
                "{0} = be16 {0}",
                "{0} = be16 {0}",
                "{0} &= 0xfff",
                inout(reg) offset,
                options(pure, nomem, nostack)
            );
        };
        offset
    };
    offset
}

/// The same number, of which the compiler knows nothing afterwards.
#[inline(always)]
fn opaque(number: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    let number = {
        let mut number = number;
        // SAFETY: a register is moved to itself. (With no instruction at all, the line table has two entries for the next
        // one, which the kernel refuses.)
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
        number
    };
    number
}
