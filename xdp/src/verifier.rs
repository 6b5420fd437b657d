//! What only the kernel's verifier needs: it must see for itself what the compiler knows already.

/// A number of which the compiler cannot know how it was come by. Else it may compute an address once for the check and
/// once more for the access, and the verifier does not see that both are the same.
#[inline(always)]
pub fn opaque(number: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut number = number;
        // SAFETY: changes nothing. (With no instruction at all, two source lines would be at one place, which the
        // kernel refuses.)
        unsafe {
            core::arch::asm!("{number} = {number}", number = inout(reg) number, options(pure, nomem, nostack))
        };
        number
    }
    #[cfg(not(target_arch = "bpf"))]
    number
}

/// Some bits of a number. The compiler may know that it has no others, and leave it at that; the verifier may not.
#[inline(always)]
pub fn below(number: usize, mask: usize) -> usize {
    opaque(number) & mask
}
