//! Taking a PROXY header off a connection.

use std::{io, net::SocketAddr, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::{RecvFlags, recv},
};
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
    let mut seen = 0;
    let header = timer
        .guard(stream.async_io(Interest::READABLE, || {
            take(stream, &mut buffer[..LONGEST], &mut seen)
        }))
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
/// more to come than what was `seen` before.
fn take(stream: &TcpStream, buffer: &mut [u8], seen: &mut usize) -> io::Result<Header> {
    let before = *seen;
    (*seen, _) = recv(stream, &mut *buffer, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    if *seen == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match parse(&buffer[..*seen]) {
        Err(invalid) => Err(io::Error::new(io::ErrorKind::InvalidData, invalid)),
        // Nothing new came, so it is the end that the event loop tells of, and would tell of again and again.
        Ok(Parsed::Partial) if *seen == before && has_ended(stream)? => {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
        Ok(Parsed::Partial) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(Parsed::Complete(header, length)) => {
            recv(stream, &mut buffer[..length], RecvFlags::DONTWAIT)?;
            Ok(header)
        }
    }
}

/// Whether the peer has finished sending.
fn has_ended(stream: &TcpStream) -> io::Result<bool> {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    rustix::event::poll(&mut polled, Some(&Timespec::default()))?;
    Ok(!polled[0].revents().is_empty())
}
