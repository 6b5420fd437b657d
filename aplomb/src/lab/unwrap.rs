//! The far end of a tunnel, for servers in a namespace: what comes wrapped is unwrapped and handed to the kernel again, as
//! a tunnel device would do it, which not every kernel has.
//!
//! Packets come from raw sockets (IP in IP of all families, GRE) and from a UDP port (GUE), and go up through a tun
//! device.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{
        AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind, ipproto, recv,
        socket_with,
    },
};

/// Where GUE comes: IANA's port of it.
pub(super) const GUE_PORT: u16 = 6080;
/// The device's name.
pub(super) const DEVICE: &str = "unwrap0";
/// IP protocols: IPv4, IPv6 and GRE in IP.
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrap {
    /// IP in IP.
    Plain,
    Gre,
    Gue,
}

struct Source {
    socket: OwnedFd,
    wrap: Wrap,
    /// A raw socket of IPv4 gives the outer header too; one of IPv6 does not.
    with_header: bool,
}

/// Opens the sockets and the device in the calling thread's network namespace, and gives the work to be done on a thread
/// that may go on for ever.
pub(super) fn prepare() -> io::Result<impl FnOnce() + Send + use<>> {
    let mut device = tun()?;
    let sources = sources()?;
    Ok(move || {
        let mut buffer = vec![0; 65_536];
        loop {
            let mut on: Vec<PollFd<'_>> = sources
                .iter()
                .map(|source| PollFd::new(&source.socket, PollFlags::IN))
                .collect();
            let _ = poll(&mut on, None);
            for source in &sources {
                carry(source, &mut buffer, &mut device);
            }
        }
    })
}

/// Carries what has come by one of them; a bounded number, so that none waits for ever.
fn carry(source: &Source, buffer: &mut [u8], device: &mut File) {
    for _ in 0..64 {
        let received = recv(&source.socket, &mut *buffer, RecvFlags::DONTWAIT);
        let Ok((length, _)) = received else {
            return;
        };
        let packet = buffer.get(..length).and_then(|outer| {
            let payload = if source.with_header {
                after_header(outer)?
            } else {
                outer
            };
            unwrap(source.wrap, payload)
        });
        if let Some(packet) = packet {
            // A packet that the device refuses is lost, as on any link.
            let _ = device.write(packet);
        }
    }
}

fn sources() -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for (family, with_header) in [(AddressFamily::INET, true), (AddressFamily::INET6, false)] {
        for (protocol, wrap) in [(IPV4, Wrap::Plain), (IPV6, Wrap::Plain), (GRE, Wrap::Gre)] {
            let number = std::num::NonZeroU32::new(protocol.into()).map(Protocol::from_raw);
            let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, number)?;
            sources.push(Source {
                socket,
                wrap,
                with_header,
            });
        }
    }
    let socket = socket_with(
        AddressFamily::INET6,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(ipproto::UDP),
    )?;
    let any = std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, GUE_PORT, 0, 0);
    bind(&socket, &any)?;
    sources.push(Source {
        socket,
        wrap: Wrap::Gue,
        with_header: false,
    });
    Ok(sources)
}

/// What is in the packet of an outer IPv4 header.
fn after_header(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0xf) * 4..)
}

/// The packet within.
fn unwrap(wrap: Wrap, payload: &[u8]) -> Option<&[u8]> {
    let packet = match wrap {
        Wrap::Plain => payload,
        Wrap::Gre => {
            // RFC 2784 and 2890: a checksum, a key and a number may follow, four bytes each.
            let flags = payload.first()?;
            let more = [0x80, 0x20, 0x10].iter().filter(|bit| flags & **bit != 0);
            payload.get(4 + more.count() * 4..)?
        }
        Wrap::Gue => {
            // Version 0, data (not control), so many words of options.
            let first = payload.first()?;
            (first & 0xe0 == 0).then_some(())?;
            payload.get(4 + usize::from(first & 0x1f) * 4..)?
        }
    };
    matches!(packet.first()? >> 4, 4 | 6).then_some(packet)
}

/// `struct ifreq` with flags in it.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// A tun device of packets without a header of its own.
fn tun() -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
        rest: [0; 22],
    };
    request.name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    // SAFETY: the request reads and writes a `struct ifreq`, which this is, and lives until it is done.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    if result == 0 {
        return Ok(file);
    }
    Err(io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_is_found() {
        let inner = [0x45, 0, 0, 20];
        let with = |head: &[u8]| [head, &inner[..]].concat();
        for (wrap, head) in [
            (Wrap::Plain, &[][..]),
            (Wrap::Gre, &[0, 0, 8, 0]),
            (Wrap::Gre, &[0x80, 0, 8, 0, 1, 2, 3, 4]),
            (Wrap::Gue, &[0, 4, 0, 0]),
            (Wrap::Gue, &[1, 4, 0, 0, 9, 9, 9, 9]),
        ] {
            assert_eq!(unwrap(wrap, &with(head)), Some(&inner[..]), "{wrap:?}");
        }
        for length in 0..4 {
            assert_eq!(unwrap(Wrap::Gre, &[0x80, 0, 8, 0][..length]), None);
        }
        assert_eq!(unwrap(Wrap::Gue, &with(&[0x20, 4, 0, 0])), None);
        assert_eq!(unwrap(Wrap::Plain, &[0x15, 0]), None);
        let mut outer = [0; 24];
        outer[0] = 0x46;
        assert_eq!(after_header(&outer).map(<[u8]>::len), Some(0));
        assert_eq!(after_header(&outer[..8]), None);
    }
}
