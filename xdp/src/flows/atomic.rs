//! Words that are changed by several processors at once, in the kernel and on the host.

/// Puts `new` where `old` is. What was there: `old`, if it was done.
///
/// # Safety
/// The word must be readable and writable, and aligned.
#[inline(always)]
pub(super) unsafe fn exchange(at: *mut u64, old: u64, new: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        use core::intrinsics::{AtomicOrdering, atomic_cxchg};
        // SAFETY: as the caller says.
        let (was, _) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                at, old, new,
            )
        };
        was
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
        // SAFETY: as the caller says; everybody changes it atomically.
        let word = unsafe { AtomicU64::from_ptr(at) };
        match word.compare_exchange(old, new, SeqCst, SeqCst) {
            Ok(was) | Err(was) => was,
        }
    }
}

/// Adds. What was written before is seen by whoever sees the sum.
///
/// # Safety
/// As [`exchange`].
#[inline(always)]
pub(super) unsafe fn add(at: *mut u64, by: u64) {
    #[cfg(target_arch = "bpf")]
    {
        use core::intrinsics::{AtomicOrdering, atomic_xadd};
        // SAFETY: as the caller says.
        let was = unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(at, by) };
        // Only the instruction that tells what was there keeps the order on all machines.
        let _ = crate::verifier::opaque(was as usize);
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
        // SAFETY: as the caller says; everybody changes it atomically.
        let word = unsafe { AtomicU64::from_ptr(at) };
        let _ = word.fetch_add(by, SeqCst);
    }
}

/// The word as it is.
///
/// # Safety
/// The word must be readable and aligned.
#[inline(always)]
pub(super) unsafe fn load(at: *const u64) -> u64 {
    // SAFETY: as the caller says. Volatile: it is looked at once.
    unsafe { core::ptr::read_volatile(at) }
}
