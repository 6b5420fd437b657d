//! Taking a PROXY header off a connection.

use std::{io, net::SocketAddr, time::Duration};

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::TcpStream};

use super::{Header, LONGEST, Parsed, parse};
use crate::{
    stats::{Fault, Reason, Side},
    worker::Worker,
};

/// How long a peer may take to send its header: it has nothing to wait for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses that the header on `stream` names, client first; none if the connection is the peer's own.
/// Takes nothing but the header.
///
/// # Errors
/// There is no header, or not in time.
pub(crate) async fn receive(
    worker: &Worker,
    stream: &TcpStream,
) -> Result<Option<(SocketAddr, SocketAddr)>, Fault> {
    let timer = worker.wheel.timer();
    timer.arm(TIMEOUT);
    let mut buffer = worker.buffers.take();
    let header = timer
        .guard(stream.async_io(Interest::READABLE, || take(stream, &mut buffer[..LONGEST])))
        .await
        .ok_or(Fault::new(Side::Client, Reason::Timeout))?;
    let client = |reason| Fault::new(Side::Client, reason);
    match header {
        Ok(Header::Local) => Ok(None),
        Ok(Header::Forwarded {
            source,
            destination,
        }) => Ok(Some((source, destination))),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(client(Reason::Malformed)),
        Err(_) => Err(client(Reason::Closed)),
    }
}

/// The header, taken off once it is whole. Until then the bytes are only looked at; `WouldBlock` then waits for
/// more to come.
fn take(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Header> {
    let (seen, _) = recv(stream, &mut *buffer, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    if seen == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match parse(&buffer[..seen]) {
        Err(invalid) => Err(io::Error::new(io::ErrorKind::InvalidData, invalid)),
        Ok(Parsed::Partial) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(Parsed::Complete(header, length)) => {
            recv(stream, &mut buffer[..length], RecvFlags::DONTWAIT)?;
            Ok(header)
        }
    }
}
