//! UDP carried in user space: what one client address and port sends to one of our addresses is a flow, and each
//! flow has a connected socket to its backend, so that answers and ICMP errors find their way.
//!
//! [`listen`](mod@listen) takes clients' datagrams and finds their flow in the [`table`], or begins one; a
//! [`flow`] carries the answers back. [`batch`] moves many datagrams with one system call.
//!
//! The kernel picks one socket of the SO_REUSEPORT group by a hash of the addresses, so a flow stays with a worker.
//! When the group changes (another process takes over with another number of workers), some flows land at
//! another worker, which begins a session of its own; the old one ends when it has been idle.

pub(crate) mod batch;
mod flow;
mod listen;
mod table;

use std::{io, net::SocketAddr};

use socket2::Socket;

pub(crate) use self::listen::serve;
use crate::net;

/// Sets what a listening socket needs: on a wildcard address, to be told what clients sent to.
pub(crate) fn configure(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if !address.ip().is_unspecified() {
        return Ok(());
    }
    match address {
        SocketAddr::V4(_) => net::set_flag(socket, libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => net::set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    }
}
