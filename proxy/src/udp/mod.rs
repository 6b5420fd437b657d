//! UDP carried in user space.

use std::{io, net::SocketAddr, os::fd::OwnedFd, rc::Rc, sync::Arc};

use socket2::Socket;

use crate::{
    net,
    worker::{Worker, listener::Door},
};

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

/// Serves a listening socket until its door closes.
pub(crate) async fn serve(worker: Rc<Worker>, door: Rc<Door>, socket: Arc<OwnedFd>) {
    let _ = (worker, socket);
    door.changed().await;
}
