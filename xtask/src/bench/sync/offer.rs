//! Connections as the first node sees them begin: a client's SYN and ACK, each connection from an address of its own.

use super::super::failover::place::Place;
use crate::Result;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Frames handed to the kernel at once: no more than a virtual cable holds.
const AT_ONCE: usize = 64;
/// Ethernet, IPv6, TCP.
const LONGEST: usize = 14 + 40 + 20;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// How many, and how fast.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) v6: bool,
    pub(super) count: u32,
    /// A second; as fast as they can be made without.
    pub(super) pace: Option<u32>,
}

/// A frame and its length.
type Frame = ([u8; LONGEST], usize);

impl Offer {
    /// Has them begin, from the host of this thread.
    pub(super) fn make(&self) -> Result {
        let socket = open()?;
        let began = Instant::now();
        let mut frames = Vec::with_capacity(AT_ONCE);
        for number in 0..self.count {
            for flags in [SYN, ACK] {
                frames.push(self.frame(number, flags));
            }
            if frames.len() == AT_ONCE || number + 1 == self.count {
                send(&socket, &frames)?;
                frames.clear();
                if let Some(pace) = self.pace {
                    let due = Duration::from_secs_f64(f64::from(number + 1) / f64::from(pace));
                    std::thread::sleep(due.saturating_sub(began.elapsed()));
                }
            }
        }
        Ok(())
    }

    fn frame(&self, number: u32, flags: u8) -> Frame {
        let mut frame = [0; LONGEST];
        frame[..6].copy_from_slice(&Place::mac(0));
        frame[6..12].copy_from_slice(&Place::mac(super::place::CLIENT));
        let at = if self.v6 {
            frame[12..14].copy_from_slice(&[0x86, 0xdd]);
            frame[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 20, 6, 64]);
            let [a, b] = [(number >> 16) as u16, number as u16];
            let client = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, a, b);
            frame[22..38].copy_from_slice(&client.octets());
            let vip = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);
            frame[38..54].copy_from_slice(&vip.octets());
            54
        } else {
            frame[12..14].copy_from_slice(&[8, 0]);
            frame[14..24].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
            // 172.16.0.0/12 has room for a million.
            let client = Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 16, 0, 0)) + number);
            frame[26..30].copy_from_slice(&client.octets());
            frame[30..34].copy_from_slice(&super::place::VIP.octets());
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            34
        };
        // Nobody looks at TCP's sum on this way: the service changes Ethernet's addresses alone.
        let tcp = &mut frame[at..at + 20];
        tcp[..4].copy_from_slice(&[0x9c, 0x40, 0, 80]);
        (tcp[12], tcp[13]) = (5 << 4, flags);
        (frame, at + 20)
    }
}

/// The checksum of a header whose own is zero (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let pairs = header.chunks_exact(2);
    let mut sum: u32 = pairs.map(|p| u32::from(p[0]) << 8 | u32::from(p[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A packet socket that sends by `eth0`.
fn open() -> Result<OwnedFd> {
    let fail = |what: &str| format!("{what}: {}", io::Error::last_os_error());
    // SAFETY: it takes numbers alone. Without a protocol it hears nothing.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(fail("a packet socket"));
    }
    // SAFETY: the kernel just gave it, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: text that ends with a zero byte, which is only read.
    let index = unsafe { libc::if_nametoindex(c"eth0".as_ptr()) };
    // SAFETY: zeroes are an address of no interface.
    let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_ifindex = index.cast_signed();
    let length = mem::size_of_val(&to) as libc::socklen_t;
    // SAFETY: the address is of the length that is told, and outlives the call.
    let done = unsafe { libc::bind(socket.as_raw_fd(), (&raw const to).cast(), length) };
    if index == 0 || done < 0 {
        return Err(fail("eth0"));
    }
    Ok(socket)
}

fn send(socket: &OwnedFd, frames: &[Frame]) -> Result {
    let mut parts: Vec<libc::iovec> = frames
        .iter()
        .map(|(bytes, length)| libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: *length,
        })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: zeroes are a message without address, parts and control.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let mut done = 0;
    while let Some(rest) = messages.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the messages point to frames that outlive the call, which only reads them.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
        if sent < 0 {
            let error = io::Error::last_os_error();
            // The queue of the device is full for a moment.
            if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EINTR)) {
                continue;
            }
            return Err(format!("sending: {error}"));
        }
        done += sent as usize;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_of_their_lengths_and_sums() {
        for (v6, length) in [(false, 54), (true, 74)] {
            let offer = Offer {
                v6,
                count: 1,
                pace: None,
            };
            let (frame, own) = offer.frame(0x000f_4240 - 1, SYN);
            assert_eq!(own, length);
            assert_eq!(frame[own - 7], SYN);
            if !v6 {
                assert_eq!(checksum(&frame[14..34]), 0);
                assert_eq!(frame[26..30], [172, 31, 66, 63]);
            }
        }
    }
}
