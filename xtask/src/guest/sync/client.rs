//! Connections as a client has them: who answers on each.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer is waited for: some retransmissions.
const PATIENCE: Duration = Duration::from_secs(8);

/// A connection that stays.
pub(super) struct Open {
    stream: TcpStream,
    /// Where it goes.
    pub(super) to: SocketAddr,
    /// Which server it began with.
    pub(super) server: char,
}

impl Open {
    /// Opens a connection; the server says its number first.
    pub(super) fn new(to: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let server = heard(&mut stream)?;
        Ok(Self { stream, to, server })
    }

    /// The client's own end.
    pub(super) fn from(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Says something; which server answers.
    pub(super) fn talk(&mut self) -> io::Result<char> {
        self.stream.write_all(b"?\n")?;
        heard(&mut self.stream)
    }
}

fn heard(stream: &mut TcpStream) -> io::Result<char> {
    let mut space = [0; 16];
    match stream.read(&mut space)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(char::from(space[0])),
    }
}
