//! Connections as a client has them, and what it sees of who is at their other end.

use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, socket_with, sockopt,
};
use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

/// How long an answer is waited for, at first: some retransmissions.
const PATIENCE: Duration = Duration::from_millis(3200);

/// A connection that stays.
pub(super) enum Open {
    Tcp {
        stream: TcpStream,
        /// How long the next answer is waited for. What was not answered is sent again at intervals that double, and so
        /// does this: else the next attempt may come when nobody waits for it any more.
        patience: Duration,
    },
    /// On which nothing is to be said: on its way, refused meanwhile, or of datagrams.
    Silent { _socket: OwnedFd },
}

/// The server's number; `X`: reset or refused; `-`: nothing came.
fn heard(read: io::Result<usize>, space: &[u8]) -> String {
    match read {
        Ok(1..) => char::from(space.first().copied().unwrap_or(b'?')).to_string(),
        Ok(0) => "X".into(),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ) =>
        {
            "-".into()
        }
        Err(_) => "X".into(),
    }
}

fn socket(kind: SocketType, flags: SocketFlags, from: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &from)?;
    Ok(socket)
}

/// Opens a connection; the server says its number first.
pub(super) fn open(from: SocketAddrV4, to: SocketAddrV4) -> io::Result<(String, Option<Open>)> {
    let mut stream = TcpStream::from(socket(SocketType::STREAM, SocketFlags::empty(), from)?);
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if let Err(error) = connect(&stream, &to) {
        let waiting = [rustix::io::Errno::INPROGRESS, rustix::io::Errno::TIMEDOUT];
        return Ok((
            if waiting.contains(&error) { "-" } else { "X" }.into(),
            None,
        ));
    }
    let mut space = [0; 16];
    let read = stream.read(&mut space);
    let open = Open::Tcp {
        stream,
        patience: PATIENCE,
    };
    Ok((heard(read, &space), Some(open)))
}

/// Begins a connection to somebody who does not answer it; the client's port.
pub(super) fn knock(from: SocketAddrV4, to: SocketAddrV4) -> io::Result<(u16, Open)> {
    let socket = socket(SocketType::STREAM, SocketFlags::NONBLOCK, from)?;
    // It is in progress.
    let _ = connect(&socket, &to);
    let own = SocketAddrV4::try_from(getsockname(&socket)?)?;
    Ok((own.port(), Open::Silent { _socket: socket }))
}

/// Sends a datagram; who answers it.
pub(super) fn ask(from: SocketAddrV4, to: SocketAddrV4) -> io::Result<(String, Option<Open>)> {
    let socket = UdpSocket::from(socket(SocketType::DGRAM, SocketFlags::empty(), from)?);
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(to)?;
    let mut space = [0; 16];
    let read = socket.send(b"?").and_then(|_| socket.recv(&mut space));
    let open = Open::Silent {
        _socket: socket.into(),
    };
    Ok((heard(read, &space), Some(open)))
}

impl Open {
    /// Says something; who answers.
    pub(super) fn talk(&mut self) -> String {
        let Open::Tcp { stream, patience } = self else {
            return "?".into();
        };
        let mut space = [0; 16];
        let read = stream
            .set_read_timeout(Some(*patience))
            .and_then(|()| stream.write_all(b"?\n"))
            .and_then(|()| stream.read(&mut space));
        let heard = heard(read, &space);
        if heard == "-" {
            *patience *= 2;
        }
        heard
    }

    /// Ends it by a reset.
    pub(super) fn reset(self) -> io::Result<()> {
        if let Open::Tcp { stream, .. } = self {
            sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
        Ok(())
    }
}
