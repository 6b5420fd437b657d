//! Frames sent to a device and seen to come out of it: a packet socket at the other end.

use super::source::device_index;
use crate::Result;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The other end of a pair of virtual devices.
pub(super) struct Wire {
    socket: OwnedFd,
}

impl Wire {
    /// Opens `device`; frames sent go in at its peer.
    pub(super) fn open(device: &str) -> Result<Wire> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let fail = |what: &str| format!("{device}: {what}: {}", io::Error::last_os_error());
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no memory is given to the call.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(protocol)) };
        if fd < 0 {
            return Err(fail("packet socket"));
        }
        // SAFETY: it was just opened, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: zeroes are an address of no family.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = device_index(device)? as i32;
        let length = size_of_val(&address) as u32;
        // SAFETY: the address is as long as is said.
        let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
        if bound < 0 {
            return Err(fail("bind"));
        }
        // What this socket itself sends would be heard too.
        let yes = 1i32;
        // SAFETY: the value is as long as is said.
        let set = unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                (&raw const yes).cast(),
                size_of_val(&yes) as u32,
            )
        };
        if set < 0 {
            return Err(fail("PACKET_IGNORE_OUTGOING"));
        }
        Ok(Wire { socket })
    }

    /// Sends a frame.
    pub(super) fn send(&self, frame: &[u8]) -> Result {
        rustix::io::write(&self.socket, frame)
            .map(drop)
            .map_err(|e| format!("sending: {e}"))
    }

    /// The frames of IP that come until none has come for `quiet`; neighbours' questions and the like are left out.
    pub(super) fn received(&self, quiet: Duration) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut last = Instant::now();
        let mut buffer = [0; 4096];
        while last.elapsed() < quiet && frames.len() < 10_000 {
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(length) => {
                    let frame = &buffer[..length];
                    if is_of_ours(frame) {
                        frames.push(frame.to_vec());
                        last = Instant::now();
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        frames
    }
}

/// Whether it is IPv4, or IPv6 that is no neighbour discovery, multicast listening or the like.
fn is_of_ours(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([8, 0]) => true,
        Some([0x86, 0xdd]) => {
            let discovery = frame.get(20) == Some(&58) && frame.get(54).is_some_and(|t| *t >= 130);
            let options = frame.get(20) == Some(&0);
            !discovery && !options
        }
        _ => false,
    }
}
