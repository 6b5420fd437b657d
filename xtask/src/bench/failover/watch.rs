//! Who tells the link that it has the virtual address, and who other directors that it is master, as the client hears it: by
//! the kernel's time of arrival.

use super::place::{Mac, VIP};
use crate::Result;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes of an Ethernet frame with ARP for IPv4 in it (RFC 826).
const FRAME: usize = 14 + 28;

/// Bytes of an IPv4 header without options.
const HEADER: usize = 20;

/// The protocol of VRRP over IP.
const VRRP: u8 = 112;

/// Hears all that is said on a link.
pub(super) struct Watch {
    socket: OwnedFd,
    /// When the last advert of each arrived, of those taken.
    adverts: HashMap<Mac, Duration>,
}

/// What is listened for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// A gratuitous ARP for the virtual address.
    Announcement,
    /// A message of VRRP over IPv4, with this priority.
    Advert(u8),
}

/// What came of listening.
enum Received {
    Nothing,
    /// Something that is of no interest.
    Other,
    Heard(Heard),
}

/// A frame that arrived.
pub(super) struct Heard {
    pub(super) what: What,
    pub(super) from: Mac,
    /// Since 1970.
    pub(super) at: Duration,
}

/// The time by the clock that arrivals are stamped with, since 1970.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Realtime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Watch {
    /// Listens on all links of the network namespace of this thread.
    pub(super) fn open() -> Result<Watch> {
        let fail = |what: &str| format!("{what}: {}", io::Error::last_os_error());
        let protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
        // SAFETY: it takes numbers alone.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                protocol,
            )
        };
        if fd < 0 {
            return Err(fail("a packet socket (it needs root)"));
        }
        // SAFETY: the kernel just gave it, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let on: libc::c_int = 1;
        // SAFETY: the value is an int that outlives the call, and the length is an int's.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                mem::size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if done < 0 {
            return Err(fail("SO_TIMESTAMPNS"));
        }
        Ok(Watch {
            socket,
            adverts: HashMap::new(),
        })
    }

    /// Has the kernel keep all from it but VRRP and ARP of the directors, in either direction.
    pub(super) fn only_directors(&self) -> Result {
        let step = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let load = libc::BPF_LD | libc::BPF_ABS;
        let same = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let [of_all, of_one, of_other] = [&[2u8, 0, 0, 0][..], &[0, 1], &[0, 2]]
            .map(|part| part.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        let mut steps = [
            step(load | libc::BPF_W, 0, 0, 6),
            step(same, 0, 8, of_all),
            step(load | libc::BPF_H, 0, 0, 10),
            step(same, 1, 0, of_one),
            step(same, 0, 5, of_other),
            step(load | libc::BPF_H, 0, 0, 12),
            step(same, 2, 0, libc::ETH_P_ARP as u32),
            step(load | libc::BPF_B, 0, 0, 14 + 9),
            step(same, 0, 1, u32::from(VRRP)),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        ];
        let program = libc::sock_fprog {
            len: steps.len() as u16,
            filter: steps.as_mut_ptr(),
        };
        // SAFETY: the program points to as many steps as it tells, and both outlive the call.
        let done = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                mem::size_of_val(&program) as libc::socklen_t,
            )
        };
        if done < 0 {
            return Err(format!("SO_ATTACH_FILTER: {}", io::Error::last_os_error()));
        }
        Ok(())
    }

    /// How many frames did not get into it since this was last asked.
    pub(super) fn unheard(&self) -> Result<u32> {
        // SAFETY: zeroes are numbers.
        let mut counts: libc::tpacket_stats = unsafe { mem::zeroed() };
        let mut length = mem::size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the buffer is as long as it tells, and outlives the call.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut length,
            )
        };
        if done < 0 {
            return Err(format!("PACKET_STATISTICS: {}", io::Error::last_os_error()));
        }
        Ok(counts.tp_drops)
    }

    /// What comes next, within `limit`; nothing of what else comes.
    pub(super) fn hear(&mut self, limit: Duration) -> Result<Option<Heard>> {
        set_socket_timeout(&self.socket, Timeout::Recv, Some(limit))
            .map_err(|e| format!("SO_RCVTIMEO: {e}"))?;
        match self.receive(0)? {
            Received::Heard(heard) => Ok(Some(heard)),
            Received::Nothing | Received::Other => Ok(None),
        }
    }

    /// When the first announcement by `from` of those not taken yet arrives, within `limit`; what comes before it is taken.
    pub(super) fn announced(&mut self, from: Mac, limit: Duration) -> Result<Option<Duration>> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            set_socket_timeout(&self.socket, Timeout::Recv, Some(left))
                .map_err(|e| format!("SO_RCVTIMEO: {e}"))?;
            if let Received::Heard(heard) = self.receive(0)?
                && heard.what == What::Announcement
                && heard.from == from
            {
                return Ok(Some(heard.at));
            }
        }
    }

    /// Takes what has come in; whether `from` announced itself in it.
    pub(super) fn drain(&mut self, from: Mac) -> Result<bool> {
        let mut announced = false;
        loop {
            match self.receive(libc::MSG_DONTWAIT)? {
                Received::Nothing => return Ok(announced),
                Received::Other => {}
                Received::Heard(heard) => {
                    announced |= heard.what == What::Announcement && heard.from == from;
                }
            }
        }
    }

    /// When the last advert by `from` arrived, of what was taken.
    pub(super) fn advert(&self, from: Mac) -> Option<Duration> {
        self.adverts.get(&from).copied()
    }

    /// The next frame.
    fn receive(&mut self, flags: libc::c_int) -> Result<Received> {
        let mut frame = [0u8; FRAME];
        // As long as a header and a timespec, and aligned like them.
        let mut control = [0u64; 8];
        let mut part = libc::iovec {
            iov_base: frame.as_mut_ptr().cast(),
            iov_len: frame.len(),
        };
        // SAFETY: zeroes are a message without address, parts and control.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = mem::size_of_val(&control);
        // SAFETY: the message points to buffers of the lengths it tells, which outlive the call.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, flags) };
        if length < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Received::Nothing),
                // The client's own link is new.
                _ if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(Received::Other),
                _ => Err(format!("the packet socket: {error}")),
            };
        }
        let Some((what, from)) = frame.get(..length as usize).and_then(told) else {
            return Ok(Received::Other);
        };
        let at = stamp(&message).ok_or("the kernel stamped no time on a frame")?;
        if let What::Advert(_) = what {
            let _ = self.adverts.insert(from, at);
        }
        Ok(Received::Heard(Heard { what, from, at }))
    }
}

/// The time of arrival that came with `message`, whose control buffer must be there still.
fn stamp(message: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel filled the control buffer and its length.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: by its type a timespec follows, which need not be aligned.
    let time: libc::timespec = unsafe {
        libc::CMSG_DATA(header)
            .cast::<libc::timespec>()
            .read_unaligned()
    };
    Some(Duration::new(
        time.tv_sec.try_into().ok()?,
        time.tv_nsec.try_into().ok()?,
    ))
}

/// What `frame` tells, and who does: an announcement has the virtual address as sender and target (RFC 5227 section 3).
fn told(frame: &[u8]) -> Option<(What, Mac)> {
    let (head, body) = frame.split_at_checked(14)?;
    if head.ends_with(&[0x08, 0x00]) {
        let from = head[6..12].try_into().ok()?;
        // Its header has no options: they are not in what directors send.
        let priority = *body.get(HEADER + 2)?;
        return (body.get(9) == Some(&VRRP)).then_some((What::Advert(priority), from));
    }
    let arp = body.get(..28)?;
    let gratuitous = head.ends_with(&[0x08, 0x06])
        && arp.starts_with(&[0, 1, 8, 0, 6, 4])
        && arp[14..18] == VIP.octets()
        && arp[24..28] == VIP.octets();
    let from = arp[8..14].try_into().ok()?;
    gratuitous.then_some((What::Announcement, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_told_from_a_question() {
        let mut frame = [0u8; FRAME];
        frame[12..14].copy_from_slice(&[8, 6]);
        frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        frame[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[28..32].copy_from_slice(&VIP.octets());
        frame[38..42].copy_from_slice(&VIP.octets());
        let from = [2, 0, 0, 0, 0, 1];
        assert_eq!(told(&frame), Some((What::Announcement, from)));
        assert_eq!(told(&frame[..41]), None);
        // The holder of the address asks for somebody else.
        frame[41] ^= 1;
        assert_eq!(told(&frame), None);
    }

    #[test]
    fn an_advert_is_told_from_other_packets() {
        let mut frame = [0u8; FRAME];
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(told(&frame), None);
        frame[23] = VRRP;
        frame[36] = 100;
        let advert = What::Advert(100);
        assert_eq!(told(&frame), Some((advert, [2, 0, 0, 0, 0, 1])));
    }
}
