//! A receive buffer: the head that is being served stays at its front, what follows streams through the rest.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// Size of a buffer: a default head fits, and so does a 10 KiB response with its head in one read.
pub(crate) const SIZE: usize = 16 * 1024;

/// Reads are not made into less room than this, unless the buffer may not grow.
const ROOM: usize = 2 * 1024;

/// Received bytes: `0..kept` hold a head, `start..end` is not used yet.
#[derive(Debug)]
pub(crate) struct Buf {
    bytes: Vec<u8>,
    kept: usize,
    start: usize,
    end: usize,
}

impl Default for Buf {
    fn default() -> Self {
        Self {
            bytes: vec![0; SIZE],
            kept: 0,
            start: 0,
            end: 0,
        }
    }
}

impl Buf {
    /// What was received and not used yet.
    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The head at the front; its spans count from here.
    pub(crate) fn head(&self) -> &[u8] {
        &self.bytes[..self.kept]
    }

    /// Uses the first `n` bytes of the data.
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.start);
        self.start += n;
    }

    /// Uses the first `n` bytes of the data as the head, which stays where it is.
    pub(crate) fn keep_head(&mut self, n: usize) {
        debug_assert!(
            self.kept == 0 && self.start == 0,
            "a head lies at the front"
        );
        self.consume(n);
        self.kept = n;
    }

    /// Lets the head go and moves what follows to the front, where the next head is to lie.
    pub(crate) fn drop_head(&mut self) {
        self.kept = 0;
        self.compact();
    }

    /// Empties the buffer and gives back what it has grown.
    pub(crate) fn reset(&mut self) {
        (self.kept, self.start, self.end) = (0, 0, 0);
        if self.bytes.len() > SIZE {
            *self = Self::default();
        }
    }

    /// Reads once. 0 is the end of the stream.
    ///
    /// The buffer grows only when unused data fills it, so callers bound it by what they let wait unused.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let mut into = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(source).poll_read(cx, &mut into))?;
        let n = into.filled().len();
        self.end += n;
        Poll::Ready(Ok(n))
    }

    fn make_room(&mut self) {
        if self.start == self.end || self.bytes.len() - self.end < ROOM {
            self.compact();
        }
        if self.bytes.len() - self.end < ROOM {
            let grown = self.bytes.len() * 2;
            self.bytes.resize(grown, 0);
        }
    }

    fn compact(&mut self) {
        if self.start > self.kept {
            self.bytes.copy_within(self.start..self.end, self.kept);
            self.end -= self.start - self.kept;
            self.start = self.kept;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn fill(buf: &mut Buf, mut bytes: &[u8]) -> usize {
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        match buf.poll_fill(cx, &mut bytes) {
            Poll::Ready(n) => n.unwrap(),
            Poll::Pending => panic!("a slice is always ready"),
        }
    }

    #[test]
    fn the_head_stays_while_the_body_streams() {
        let mut buf = Buf::default();
        assert_eq!(fill(&mut buf, b"HEADbody"), 8);
        buf.keep_head(4);
        for _ in 0..10_000 {
            assert_eq!(buf.data(), b"body");
            buf.consume(4);
            assert_eq!(fill(&mut buf, b"body"), 4);
        }
        assert_eq!(buf.head(), b"HEAD");
        assert_eq!(buf.bytes.len(), SIZE);
        buf.drop_head();
        assert_eq!((buf.head(), buf.data()), (&b""[..], &b"body"[..]));
    }

    #[test]
    fn it_grows_only_for_what_is_not_used_and_shrinks_again() {
        let mut buf = Buf::default();
        let mut total = 0;
        while total < 3 * SIZE {
            total += fill(&mut buf, &[7; SIZE]);
        }
        assert_eq!(buf.data().len(), total);
        assert!(buf.data().iter().all(|&b| b == 7));
        buf.reset();
        assert_eq!((buf.data().len(), buf.bytes.len()), (0, SIZE));
    }
}
