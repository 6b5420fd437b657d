//! What the life of a request needs of a connection, so that it is written once for TCP, TLS and what follows.

use std::{
    io,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::TcpStream,
};

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Ready once a read would give something: data, the end, an error. Takes nothing, so that an idle connection
    /// needs no buffer.
    ///
    /// # Errors
    /// The connection is beyond use.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether nothing is known to have arrived: neither data nor the peer's end. Costs no system call.
    fn is_quiet(&mut self) -> bool {
        self.poll_readable(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }
}

impl Stream for TcpStream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn is_quiet(&mut self) -> bool {
        // Only looks at what the event loop has noted; no waker is left behind.
        self.try_io(Interest::READABLE, || Ok(())).is_err()
    }
}
