//! Sockets: the few calls that more than one part needs.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt},
};
use socket2::{SockFilter, SockRef};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::TcpStream,
};

/// A connected, non-blocking socket as the event loop's.
#[expect(
    clippy::disallowed_types,
    reason = "only named on the way to tokio's type"
)]
pub(crate) fn stream(socket: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::from_std(std::net::TcpStream::from(socket))
}

/// A listening socket as the event loop waits for.
pub(crate) fn readable(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the descriptor stays open, and the same, for as long as the `Arc` lives, which the `AsyncFd` holds
    // and does not hand out mutably.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    Ok(registered?)
}

/// Has a listening socket ignore those who begin to connect, without a word, so that they try again and find
/// whoever listens then. Closing resets those who have begun.
pub(crate) fn keep_out(listening: &OwnedFd) {
    /// Classic BPF over the TCP header: whatever has SYN set in the flags (byte 13) is dropped.
    const DROP_SYN: [SockFilter; 4] = [
        SockFilter::new(
            (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16,
            0,
            0,
            13,
        ),
        SockFilter::new(
            (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16,
            0,
            1,
            0x02,
        ),
        SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
        SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
    ];
    // Where the kernel refuses, only a moment remains in which somebody may be reset.
    let _ = SockRef::from(listening).attach_filter(&DROP_SYN);
}

/// Undoes [`keep_out`].
pub(crate) fn let_in(listening: &OwnedFd) {
    // Fails if there was nothing to undo.
    let _ = SockRef::from(listening).detach_filter();
}

/// The address that a socket is bound to.
pub(crate) fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let address = rustix::net::getsockname(socket)?;
    Ok(SocketAddr::try_from(address)?)
}

/// Has the kernel reset the connection when it is closed, rather than end it in order.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // If it fails, the connection is gone already.
    let _ = sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO));
}

/// A connection to `address` that is being made, from `source` if given. It is made, or has failed, once the
/// stream is writable.
///
/// With `data_follows`, the last packet of the handshake is held back for the data, which saves a packet. Without
/// data it would be late, and a backend that is to speak first would not know of the connection.
pub(crate) fn dial(
    address: SocketAddr,
    source: Option<IpAddr>,
    data_follows: bool,
) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(
        family(address),
        SocketType::STREAM,
        flags,
        Some(ipproto::TCP),
    )?;
    if data_follows {
        sockopt::set_tcp_quickack(&socket, false)?;
    }
    if let Some(source) = source {
        bind_source(&socket, source)?;
    }
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => stream(socket),
        Err(errno) => Err(errno.into()),
    }
}

/// A socket that exchanges datagrams with `address` alone, from `source` if given.
pub(crate) fn connect_datagrams(
    address: SocketAddr,
    source: Option<IpAddr>,
) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(
        family(address),
        SocketType::DGRAM,
        flags,
        Some(ipproto::UDP),
    )?;
    if let Some(source) = source {
        bind(&socket, &SocketAddr::new(source, 0))?;
    }
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

/// Binds to an address and leaves the port to connect(2), which can choose one per destination.
pub(crate) fn bind_source(socket: &OwnedFd, source: IpAddr) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
    bind(socket, &SocketAddr::new(source, 0))?;
    Ok(())
}

/// Sets a socket option that rustix does not know and whose value is an int.
pub(crate) fn set_flag(socket: impl AsFd, level: i32, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call, and the value is an int of the length given.
    let result = unsafe {
        let value = std::ptr::from_ref(&on).cast();
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, length)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
