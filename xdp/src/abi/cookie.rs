//! What SYN cookies need: the secret, and what is known of each service's handshakes.

use super::Plain;

/// What cookies are made with; one entry. It is in no other table, so that nobody shows it with other settings.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Secret {
    /// The key of the hash. 0: there is none yet.
    pub key: [u64; 2],
    /// Handshakes of one service that may be open before cookies answer for it (`syn-cookies = "auto"`).
    pub open: u32,
    /// Zero.
    pub zero: u32,
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Secret")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

// SAFETY: numbers, 24 bytes filled.
unsafe impl Plain for Secret {}

/// A service's handshakes (`syn-cookies = "auto"` alone): changed atomically by the program and by user space (the map is
/// shared memory).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Guard {
    /// Handshakes that have begun and are not complete. Below zero for a moment while it is put right.
    pub open: u32,
    /// The tick at which a cookie was last sent; 0: none was.
    pub sent: u32,
}

// SAFETY: two numbers.
unsafe impl Plain for Guard {}

/// Cookies of one service on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cookies {
    /// SYNs that were answered with one.
    pub sent: u64,
    /// Those that came back, and began a flow.
    pub accepted: u64,
    /// Acknowledgements that brought back what was no cookie of ours, and were dropped.
    pub bad: u64,
}

// SAFETY: three numbers.
unsafe impl Plain for Cookies {}
