//! A device that only frees what it is given to send: a tap that nobody reads, with its queue full.
//!
//! It takes the stack's packets and those of XDP alike, so both sides of a comparison leave by it.

use crate::Result;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

/// The device; it is there as long as this is.
pub(super) struct Tap {
    _file: File,
}

impl Tap {
    /// Makes it.
    pub(super) fn make(name: &str) -> Result<Tap> {
        let path = "/dev/net/tun";
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|e| format!("{path}: {e}"))?;
        // SAFETY: zeroes are a request without name and flags.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()).take(15) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
        // SAFETY: the request outlives the call, and its name ends with a zero.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if done < 0 {
            return Err(format!("{name}: {}", io::Error::last_os_error()));
        }
        Ok(Tap { _file: file })
    }
}
