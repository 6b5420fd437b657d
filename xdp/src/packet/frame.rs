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
        self.end - self.start
    }

    /// Whether it has no bytes.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The value at an offset, none if it does not lie wholly in the frame.
    #[inline(always)]
    pub fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: it lies in the frame, and any bits are a `T`.
        Some(unsafe { ptr::read_unaligned(at as *const T) })
    }

    /// Puts a value at an offset; none if it does not lie wholly in the frame.
    #[inline(always)]
    pub fn write<T: Plain>(&self, offset: usize, value: T) -> Option<()> {
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: it lies in the frame.
        unsafe { ptr::write_unaligned(at as *mut T, value) };
        Some(())
    }
}
