//! An array map as shared memory: what is written here, the program sees at once, and the other way round.

use std::{
    io,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use xdp::{abi::Plain, decide::Entry};

use super::object::MapInfo;

/// An array map mapped into memory.
#[derive(Debug)]
pub(crate) struct Shared<V> {
    start: NonNull<u8>,
    bytes: usize,
    entries: u32,
    types: PhantomData<V>,
}

// SAFETY: it is memory that other threads (and the kernel) change anyway; all access is by atomics or volatile copies.
unsafe impl<V> Send for Shared<V> {}
// SAFETY: as above.
unsafe impl<V> Sync for Shared<V> {}

impl<V: Plain> Shared<V> {
    /// Bytes from one value to the next.
    const STRIDE: usize = size_of::<V>().next_multiple_of(8);

    /// Maps it.
    ///
    /// # Errors
    /// It is no array of such values, or was not made to be mapped.
    pub(crate) fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let info = MapInfo::of(map)?;
        info.expect::<u32>(size_of::<V>())?;
        let page = rustix::param::page_size();
        let bytes = (info.max_entries as usize * Self::STRIDE).next_multiple_of(page);
        // SAFETY: a new mapping of the map's own size, where the kernel likes.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.as_fd(),
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            start,
            bytes,
            entries: info.max_entries,
            types: PhantomData,
        })
    }

    /// Where a value begins; none past the end.
    fn at(&self, index: u32) -> Option<NonNull<u8>> {
        // SAFETY: within the mapping.
        (index < self.entries).then(|| unsafe { self.start.add(index as usize * Self::STRIDE) })
    }

    /// How many values there are.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// A value as the program's own code takes it; none past the end.
    pub(crate) fn entry(&self, index: u32) -> Option<Entry<V>> {
        // SAFETY: within the mapping, aligned to eight bytes; it is used as long as `self` is there.
        self.at(index).map(|at| unsafe { Entry::new(at.cast()) })
    }

    /// A copy of a value; one part of it may be older than another.
    pub(crate) fn get(&self, index: u32) -> Option<V> {
        // SAFETY: within the mapping, aligned to eight bytes; any bits are a `V`.
        self.at(index)
            .map(|at| unsafe { at.cast::<V>().read_volatile() })
    }

    /// The 32-bit word at `offset` bytes of a value, shared with the program.
    pub(crate) fn word(&self, index: u32, offset: usize) -> Option<&AtomicU32> {
        debug_assert!(offset + 4 <= size_of::<V>() && offset.is_multiple_of(4));
        // SAFETY: within the mapping, aligned; lives as long as `self`; everybody changes it atomically.
        self.at(index)
            .map(|at| unsafe { AtomicU32::from_ptr(at.add(offset).cast().as_ptr()) })
    }
}

impl Shared<u32> {
    /// Stores a number.
    pub(crate) fn set(&self, index: u32, value: u32) {
        if let Some(word) = self.word(index, 0) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl<V> Drop for Shared<V> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nothing of it is lent out any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
