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

    /// Its length, bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    /// Whether it has no bytes.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The value at an offset, none if it does not lie wholly in the frame.
    #[inline(always)]
    pub fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        let at = self.start.wrapping_add(offset);
        if at.wrapping_add(size_of::<T>()) > self.end {
            return None;
        }
        // SAFETY: it lies in the frame, and any bits are a `T`.
        Some(unsafe { load(at as *const T) })
    }

    /// Puts a value at an offset; none if it does not lie wholly in the frame.
    #[inline(always)]
    pub fn write<T: Plain>(&self, offset: usize, value: T) -> Option<()> {
        let at = self.start.wrapping_add(offset);
        if at.wrapping_add(size_of::<T>()) > self.end {
            return None;
        }
        // SAFETY: it lies in the frame.
        unsafe { store(at as *mut T, value) };
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
