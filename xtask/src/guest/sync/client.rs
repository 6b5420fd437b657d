//! Connections as a client has them: who answers on each.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long an answer is waited for: some retransmissions.
const PATIENCE: Duration = Duration::from_secs(8);

/// A connection that stays.
pub(super) struct Open {
    way: Way,
    /// Where it goes.
    pub(super) to: SocketAddr,
    /// Which server it began with.
    pub(super) server: char,
}

enum Way {
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

impl Open {
    /// Opens a connection; the server says its number first.
    pub(super) fn new(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut way = Way::Stream(stream);
        let server = way.heard()?;
        Ok(Self { way, to, server })
    }

    /// Begins a flow of datagrams; the server answers each with its number.
    pub(super) fn datagrams(to: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(to)?;
        let mut way = Way::Datagrams(socket);
        way.say()?;
        let server = way.heard()?;
        Ok(Self { way, to, server })
    }

    /// As listings begin its row, established: protocol, state, client, service.
    pub(super) fn row(&self) -> io::Result<String> {
        let (word, from) = match &self.way {
            Way::Stream(stream) => ("TCP ESTABLISHED", stream.local_addr()?),
            Way::Datagrams(socket) => ("UDP UDP", socket.local_addr()?),
        };
        Ok(format!("{word} {from} {} ", self.to))
    }

    /// Says something; which server answers.
    pub(super) fn talk(&mut self) -> io::Result<char> {
        self.way.say()?;
        self.way.heard()
    }
}

impl Way {
    fn say(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.write_all(b"?\n"),
            Self::Datagrams(socket) => socket.send(b"?").map(drop),
        }
    }

    fn heard(&mut self) -> io::Result<char> {
        let mut space = [0; 16];
        let length = match self {
            Self::Stream(stream) => stream.read(&mut space)?,
            Self::Datagrams(socket) => socket.recv(&mut space)?,
        };
        match length {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(char::from(space[0])),
        }
    }
}
