//! A TCP listener that a successor can open beside its predecessor's.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::BindError;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A listener at `address`. With `takes_over` it may stand beside one that is there already.
///
/// `SO_REUSEPORT` is what lets it; the kernel wants it on both, and the same user for both. So that two daemons
/// started by mistake do not share an address, one that does not take over first tries without.
pub(super) fn bind(address: SocketAddr, takes_over: bool) -> Result<TcpListener, BindError> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            BindError::new(address, "another program listens there already")
        }
        _ => BindError::new(address, error),
    };
    if !takes_over {
        // Closed again before it has listened.
        drop(socket(address, false).map_err(fail)?);
    }
    let socket = socket(address, true).map_err(fail)?;
    socket.listen(BACKLOG).map_err(fail)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, share: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if share {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn two_by_mistake_do_not_share_an_address() {
        let first = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = first.local_addr().unwrap();
        let refused = bind(address, false).unwrap_err().to_string();
        assert!(refused.contains("already"), "{refused}");
        let successor = bind(address, true).unwrap();
        assert_eq!(successor.local_addr().unwrap(), address);
    }
}
