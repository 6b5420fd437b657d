//! A client's TCP connection that the event loop learns of only when it must be waited for.
//!
//! Registering a connection with the event loop and taking it out again costs two system calls and two wake-ups.
//! A client that asks once and closes has mostly sent its request by the time it is accepted, and takes the whole
//! answer at once: then nothing needs to be waited for, and nothing is registered.

use std::{
    io::{self, IoSlice},
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::io::Stream;

/// Reads and writes that are tried without the event loop. Past that, the connection has to wait its turn like
/// all others.
const TRIES: u8 = 8;

/// A client's connection.
#[derive(Debug)]
pub(crate) enum Tcp {
    /// Not known to the event loop yet; so many reads and writes may be tried.
    Fresh(OwnedFd, u8),
    /// Known to it.
    Watched(TcpStream),
    /// It could not be made known: we have run out of something.
    Lost,
}

impl Tcp {
    /// A connection that was just accepted, non-blocking.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self::Fresh(socket, TRIES)
    }

    /// The connection as the event loop's.
    fn watched(&mut self) -> io::Result<&mut TcpStream> {
        if let Self::Fresh(..) = self
            && let Self::Fresh(socket, _) = std::mem::replace(self, Self::Lost)
        {
            *self = Self::Watched(crate::net::stream(socket)?);
        }
        match self {
            Self::Watched(stream) => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What `call` comes to at once; none if it has to wait.
    fn attempt<T>(
        &mut self,
        mut call: impl FnMut(&OwnedFd) -> Result<T, Errno>,
    ) -> Option<io::Result<T>> {
        let Self::Fresh(socket, left) = self else {
            return None;
        };
        *left = left.checked_sub(1)?;
        loop {
            match call(socket) {
                Err(Errno::AGAIN) => return None,
                Err(Errno::INTR) => {}
                result => return Some(result.map_err(Into::into)),
            }
        }
    }
}

impl Stream for Tcp {
    /// A fresh connection is taken to be readable: finding out is what reading does.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Fresh(_, TRIES) => Poll::Ready(Ok(())),
            _ => self.watched()?.poll_read_ready(cx),
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Self::Fresh(..) = &*self {
            let room = into.initialize_unfilled();
            let received = self.attempt(|socket| recv(socket, &mut *room, RecvFlags::DONTWAIT));
            if let Some(received) = received {
                into.advance(received?.0);
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(self.watched()?).poll_read(cx, into)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match self.attempt(|socket| send(socket, bytes, flags)) {
            Some(sent) => Poll::Ready(sent),
            None => Pin::new(self.watched()?).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = self
            .attempt(|socket| sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags));
        match sent {
            Some(sent) => Poll::Ready(sent),
            None => Pin::new(self.watched()?).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written is the kernel's.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Fresh(socket, _) = &*self {
            return Poll::Ready(shutdown(socket, Shutdown::Write).map_err(Into::into));
        }
        ready!(Pin::new(self.watched()?).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
