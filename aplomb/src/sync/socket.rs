//! The way to peers: a socket of this node's own address, and one of the group if there is one.

use std::{
    ffi::CString,
    io,
    mem::MaybeUninit,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::fd::AsFd,
    time::Duration,
};

use control::spec::SyncSpec;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::BorrowedFd,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

/// Bytes that may wait to be read: what peers send in the time that a look at the tables takes.
const WAITING: usize = 4 << 20;

/// The way to peers.
#[derive(Debug)]
pub(super) struct Way {
    own: Socket,
    /// The group's: what is sent to it arrives there.
    group: Option<Socket>,
    peers: Vec<socket2::SockAddr>,
}

/// A socket that waits for nothing, of an address's family.
pub(super) fn socket(listen: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    if listen.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // What the system does not allow is not had.
    let _ = socket.set_recv_buffer_size(WAITING);
    let _ = socket.set_send_buffer_size(WAITING);
    Ok(socket)
}

impl Way {
    /// Binds it.
    ///
    /// # Errors
    /// The address is not this machine's, or is taken; there is no such interface.
    pub(super) fn open(spec: &SyncSpec) -> io::Result<Self> {
        let own = socket(spec.listen)?;
        own.bind(&spec.listen.into())?;
        let index = spec.interface.as_ref().map(|name| index_of(name));
        let index = index.transpose()?;
        let group = spec
            .group()
            .map(|group| join(&own, spec, scoped(group, index), index))
            .transpose()?;
        let peers = spec.peers.iter();
        Ok(Self {
            own,
            group,
            peers: peers.map(|peer| scoped(*peer, index).into()).collect(),
        })
    }

    /// Sends a datagram to all peers. To how many it could not be.
    pub(super) fn send(&self, datagram: &[u8]) -> u64 {
        let failed = |peer: &&socket2::SockAddr| self.own.send_to(datagram, peer).is_err();
        self.peers.iter().filter(failed).count() as u64
    }

    /// The next datagram, if one waits: its length, and where from.
    pub(super) fn receive(&self, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let sockets = [Some(&self.own), self.group.as_ref()];
        sockets
            .into_iter()
            .flatten()
            .find_map(|socket| receive(socket, into))
    }

    /// What is to be waited for.
    pub(super) fn polled(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let group = self.group.as_ref().map(AsFd::as_fd);
        std::iter::once(self.own.as_fd()).chain(group)
    }
}

/// Waits for a datagram of any of these, at most so long.
pub(super) fn wait<'a>(all: impl Iterator<Item = BorrowedFd<'a>>, most: Duration) {
    let mut polled: Vec<_> = all
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(1),
        tv_nsec: most.subsec_nanos().into(),
    };
    // Interrupted or not, what comes is looked at.
    let _ = poll(&mut polled, Some(&timeout));
}

/// The next datagram, if one waits: its length, and where from.
pub(super) fn receive(socket: &Socket, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
    let length = into.len();
    // SAFETY: bytes are bytes, written or not; the call writes only whole ones.
    let buffer: &mut [MaybeUninit<u8>] =
        unsafe { std::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), length) };
    // An error of an earlier send is told here once, and is no end.
    for _ in 0..4 {
        match socket.recv_from(buffer) {
            Ok((length, from)) => return Some((length, from.as_socket()?)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(_) => {}
        }
    }
    None
}

/// An interface's index.
pub(super) fn index_of(name: &str) -> io::Result<u32> {
    let text = CString::new(name)?;
    // SAFETY: text that ends with a zero byte, which is only read.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// A group of a link means nothing without the link (RFC 4007, section 6).
pub(super) fn scoped(address: SocketAddr, interface: Option<u32>) -> SocketAddr {
    match (address, interface) {
        (SocketAddr::V6(v6), Some(index)) if v6.ip().is_multicast() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, index).into()
        }
        _ => address,
    }
}

/// Has the group's datagrams arrive, and ours leave by the same interface.
fn join(
    own: &Socket,
    spec: &SyncSpec,
    group: SocketAddr,
    index: Option<u32>,
) -> io::Result<Socket> {
    let arriving = socket(group)?;
    arriving.set_reuse_address(true)?;
    arriving.bind(&group.into())?;
    match (group.ip(), spec.listen.ip()) {
        (IpAddr::V4(group), IpAddr::V4(ours)) => {
            let interface = index.map_or(
                InterfaceIndexOrAddress::Address(ours),
                InterfaceIndexOrAddress::Index,
            );
            arriving.join_multicast_v4_n(&group, &interface)?;
            own.set_multicast_if_v4(&ours)?;
            own.set_multicast_loop_v4(false)?;
            own.set_multicast_ttl_v4(1)?;
        }
        (IpAddr::V6(group), _) => {
            let index = index.unwrap_or(0);
            arriving.join_multicast_v6(&group, index)?;
            own.set_multicast_if_v6(index)?;
            own.set_multicast_loop_v6(false)?;
            own.set_multicast_hops_v6(1)?;
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(arriving)
}
