//! One direction of a request: a body read from one connection, understood, and written to the other.
//!
//! A [`Lane`] holds at most a buffer of what it has read; it reads on only when that is written, so a slow
//! receiver slows the sender down (back-pressure). What is large goes out from where it was received, without
//! a copy; small pieces and chunk framing are gathered behind the head, so that one write carries them all.

use std::{
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    buf::Buf,
    h1::{self, Body, Framing, Piece},
};

/// Up to this size a piece is copied behind what goes out before it; above, two slices are cheaper.
const COPY: usize = 4 * 1024;

/// No more pieces are gathered into one write from this size on.
const GATHER: usize = 32 * 1024;

/// What a lane waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Waits {
    /// Bytes from the connection that it reads.
    #[default]
    Source,
    /// Room on the connection that it writes.
    Sink,
}

/// Why a lane came to an end before its body did.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The source failed.
    Source,
    /// The source closed in the middle of the body.
    Truncated,
    /// What the source sent is no body.
    Malformed(h1::Reason),
    /// The body is larger than is let through.
    TooLarge,
    /// The sink failed.
    Sink,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What was received; the head, if it is kept, and the body behind it.
    pub(crate) buf: Buf,
    /// What goes out next; the head is put here before the body is started.
    pub(crate) out: Vec<u8>,
    written: usize,
    /// How much of the front of `buf` goes out straight after `out`.
    direct: usize,
    body: Body,
    chunked: bool,
    ended: bool,
    most: u64,
    replay: Replay,
    /// Bytes of the body that were let through so far.
    pub(crate) carried: u64,
    /// Bytes written so far, heads and framing included.
    pub(crate) sent: u64,
    /// Grows with everything that moves.
    pub(crate) moves: u64,
    /// What it waits for, when it is pending.
    pub(crate) waits: Waits,
}

/// The body as it was written, for as long as it may have to be written again.
#[derive(Debug, Default)]
struct Replay {
    bytes: Vec<u8>,
    room: usize,
    lost: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            buf: Buf::default(),
            out: Vec::with_capacity(2048),
            written: 0,
            direct: 0,
            body: Body::new(Framing::None),
            chunked: false,
            ended: true,
            most: u64::MAX,
            replay: Replay::default(),
            carried: 0,
            sent: 0,
            moves: 0,
            waits: Waits::Source,
        }
    }
}

impl Lane {
    /// Begins a body that comes framed as `from` and goes out framed as `to`, behind what `out` holds.
    pub(crate) fn start(&mut self, from: Framing, to: Framing) {
        self.body = Body::new(from);
        self.chunked = to == Framing::Chunked;
        self.ended = self.body.is_empty();
        self.most = u64::MAX;
        self.carried = 0;
        self.replay = Replay::default();
    }

    /// Lets no larger body than this through.
    pub(crate) fn limit(&mut self, most: u64) {
        self.most = most;
    }

    /// Keeps the body, as long as it has no more than `room` bytes, so that it can be sent again.
    pub(crate) fn keep_for_replay(&mut self, room: usize) {
        self.replay.room = room;
    }

    /// Whether all that was sent of the body can be sent again.
    pub(crate) fn can_replay(&self) -> bool {
        !self.replay.lost
    }

    /// Has the body that was sent so far go out again, behind the head that `out` holds now. Only where
    /// [`Self::can_replay`].
    pub(crate) fn rewind(&mut self) {
        debug_assert!(self.can_replay() && self.direct == 0);
        self.written = 0;
        self.out.extend_from_slice(&self.replay.bytes);
    }

    /// Begins another request: nothing of it has been carried or sent.
    pub(crate) fn begin(&mut self) {
        (self.carried, self.sent) = (0, 0);
    }

    /// Whether everything has been written.
    pub(crate) fn is_done(&self) -> bool {
        self.ended && !self.has_output()
    }

    /// Forgets everything, for the next use.
    pub(crate) fn reset(&mut self) {
        self.buf.reset();
        self.discard_output();
        self.ended = true;
        self.replay = Replay::default();
        if self.out.capacity() > 4 * GATHER {
            self.out = Vec::with_capacity(2048);
        }
    }

    /// Drops what has not gone out.
    pub(crate) fn discard_output(&mut self) {
        self.out.clear();
        (self.written, self.direct) = (0, 0);
    }

    /// Moves what can be moved; ready at the end of the body, when all is written.
    ///
    /// # Errors
    /// [`Broken`] says which side failed, and how.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let hungry = self.encode()?;
            self.waits = Waits::Sink;
            ready!(self.poll_write(cx, sink))?;
            if self.ended {
                return Pin::new(sink).poll_flush(cx).map_err(|_| Broken::Sink);
            }
            if hungry {
                self.waits = Waits::Source;
                ready!(self.poll_read(cx, source))?;
            }
        }
    }

    /// Writes what `out` holds, and nothing else.
    ///
    /// # Errors
    /// [`Broken::Sink`].
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<(), Broken>> {
        while self.has_output() {
            let first = &self.out[self.written..];
            let second = &self.buf.data()[..self.direct];
            let mut sink = Pin::new(&mut *sink);
            let result = match (first.is_empty(), second.is_empty()) {
                (false, true) => sink.poll_write(cx, first),
                (true, _) => sink.poll_write(cx, second),
                (false, false) => sink
                    .as_mut()
                    .poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)]),
            };
            let n = ready!(result).map_err(|_| Broken::Sink)?;
            if n == 0 {
                return Poll::Ready(Err(Broken::Sink));
            }
            self.wrote(n);
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn has_output(&self) -> bool {
        self.written < self.out.len() || self.direct > 0
    }

    fn wrote(&mut self, n: usize) {
        let of_out = n.min(self.out.len() - self.written);
        self.written += of_out;
        self.direct -= n - of_out;
        self.buf.consume(n - of_out);
        self.sent += n as u64;
        self.moves += 1;
    }

    fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
    ) -> Poll<Result<(), Broken>> {
        let n = ready!(self.buf.poll_fill(cx, source)).map_err(|_| Broken::Source)?;
        self.moves += 1;
        if n > 0 {
            return Poll::Ready(Ok(()));
        }
        self.body.closed().map_err(|_| Broken::Truncated)?;
        self.end(0..0);
        Poll::Ready(Ok(()))
    }

    /// Decodes what is on hand and puts it behind what goes out; true if that needs more to go on.
    fn encode(&mut self) -> Result<bool, Broken> {
        while !self.ended && self.direct == 0 && self.out.len() < GATHER {
            match self
                .body
                .decode(self.buf.data())
                .map_err(Broken::Malformed)?
            {
                Piece::Data(range) => {
                    self.buf.consume(range.start);
                    self.carry(range.len())?;
                }
                Piece::More(n) => {
                    self.buf.consume(n);
                    return Ok(true);
                }
                Piece::End { consumed, trailers } => {
                    self.end(trailers);
                    self.buf.consume(consumed);
                }
            }
        }
        Ok(false)
    }

    /// Lets the first `len` bytes of the buffer go out.
    fn carry(&mut self, len: usize) -> Result<(), Broken> {
        self.carried += len as u64;
        if self.carried > self.most {
            return Err(Broken::TooLarge);
        }
        if len > COPY && !self.chunked && !self.replay.keeps() {
            self.direct = len;
            self.replay.lost = true;
            return Ok(());
        }
        let from = self.out.len();
        let data = &self.buf.data()[..len];
        if self.chunked {
            h1::write_chunk(&mut self.out, data);
        } else {
            self.out.extend_from_slice(data);
        }
        self.replay.note(&self.out[from..]);
        self.buf.consume(len);
        Ok(())
    }

    fn end(&mut self, trailers: std::ops::Range<usize>) {
        self.ended = true;
        if self.chunked {
            let from = self.out.len();
            h1::write_last_chunk(&mut self.out, &self.buf.data()[trailers]);
            self.replay.note(&self.out[from..]);
        }
    }
}

impl Replay {
    fn keeps(&self) -> bool {
        self.room > 0 && !self.lost
    }

    fn note(&mut self, bytes: &[u8]) {
        self.lost |= self.bytes.len() + bytes.len() > self.room;
        if self.lost {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    /// What comes out of a lane with `head` in `out`, fed with `input` through connections that hold `room` bytes.
    fn carry(
        input: Vec<u8>,
        room: usize,
        from: Framing,
        to: Framing,
        set: impl FnOnce(&mut Lane),
    ) -> (Result<(), Broken>, Vec<u8>, Lane) {
        block_on(async move {
            let (mut far_source, mut source) = duplex(room);
            let (mut sink, mut far_sink) = duplex(room);
            let feed = async move {
                // The lane may refuse what it is fed.
                let _ = far_source.write_all(&input).await;
            };
            let run = async move {
                let mut lane = Lane::default();
                lane.out.extend_from_slice(b"HEAD");
                lane.start(from, to);
                set(&mut lane);
                let result = poll_fn(|cx| lane.poll(cx, &mut source, &mut sink)).await;
                (result, lane)
            };
            let drain = async move {
                let mut got = Vec::new();
                far_sink.read_to_end(&mut got).await.unwrap();
                got
            };
            let ((), (result, lane), got) = tokio::join!(feed, run, drain);
            (result, got, lane)
        })
    }

    fn body(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn bodies_arrive_as_they_were_whatever_their_size_and_framing() {
        for len in [1, 100, COPY + 1, 40_000, 300_000] {
            for room in [7, 1000, 1 << 20] {
                let data = body(len);
                let mut chunks = Vec::new();
                data.chunks(3_000)
                    .for_each(|c| h1::write_chunk(&mut chunks, c));
                h1::write_last_chunk(&mut chunks, b"");
                let length = Framing::Length(len as u64);
                let cases = [
                    (data.clone(), length, length),
                    (data.clone(), Framing::UntilClose, Framing::UntilClose),
                    (data.clone(), Framing::UntilClose, Framing::Chunked),
                    (chunks.clone(), Framing::Chunked, Framing::Chunked),
                    (chunks.clone(), Framing::Chunked, Framing::UntilClose),
                ];
                for (input, from, to) in cases {
                    let (result, got, lane) = carry(input, room, from, to, |_| {});
                    result.unwrap();
                    assert!(lane.is_done());
                    assert_eq!(lane.carried, len as u64);
                    let got = got.strip_prefix(b"HEAD").unwrap();
                    assert_eq!(decoded(got, to), data, "{len} {room} {from:?} {to:?}");
                }
            }
        }
    }

    fn decoded(mut bytes: &[u8], framing: Framing) -> Vec<u8> {
        let (mut body, mut data) = (Body::new(framing), Vec::new());
        while let Piece::Data(range) = body.decode(bytes).unwrap() {
            data.extend_from_slice(&bytes[range.clone()]);
            bytes = &bytes[range.end..];
        }
        data
    }

    #[test]
    fn what_follows_the_body_is_left_for_the_next_request() {
        let (result, got, lane) = carry(
            b"helloGET /".to_vec(),
            100,
            Framing::Length(5),
            Framing::Length(5),
            |_| {},
        );
        result.unwrap();
        assert_eq!(
            (&got[..], lane.buf.data()),
            (&b"HEADhello"[..], &b"GET /"[..])
        );
    }

    #[test]
    fn a_body_can_be_sent_again_if_it_was_kept() {
        let keep = |lane: &mut Lane| lane.keep_for_replay(100);
        let input = b"5;x\r\nhello\r\n0\r\nA: b\r\n\r\n".to_vec();
        let (result, got, mut lane) = carry(input, 100, Framing::Chunked, Framing::Chunked, keep);
        result.unwrap();
        assert_eq!(got, b"HEAD5\r\nhello\r\n0\r\nA: b\r\n\r\n");
        assert!(lane.can_replay());
        lane.out = b"HEAD".to_vec();
        lane.rewind();
        assert_eq!(lane.out, got);
    }

    #[test]
    fn a_body_that_is_too_long_to_keep_is_not_sent_again() {
        for (room, len) in [(100, 101), (0, 1), (0, 100_000)] {
            let framing = Framing::Length(len as u64);
            let (result, got, lane) = carry(body(len), 1000, framing, framing, |l| {
                l.keep_for_replay(room)
            });
            result.unwrap();
            assert_eq!(got.len(), 4 + len);
            assert!(!lane.can_replay());
        }
    }

    #[test]
    fn failures_name_their_side() {
        let chunked = |input: &[u8]| {
            carry(
                input.to_vec(),
                100,
                Framing::Chunked,
                Framing::Chunked,
                |_| {},
            )
            .0
        };
        assert!(matches!(chunked(b"5\r\nhel"), Err(Broken::Truncated)));
        assert!(matches!(chunked(b"x"), Err(Broken::Malformed(_))));
        let (result, ..) = carry(
            b"5\r\nhello\r\n".to_vec(),
            100,
            Framing::Chunked,
            Framing::Chunked,
            |l| l.limit(4),
        );
        assert!(matches!(result, Err(Broken::TooLarge)));
        let result = block_on(async {
            let (_far, mut source) = duplex(100);
            let (mut sink, far) = duplex(100);
            drop(far);
            let mut lane = Lane::default();
            lane.out.extend_from_slice(b"HEAD");
            poll_fn(|cx| lane.poll(cx, &mut source, &mut sink)).await
        });
        assert!(matches!(result, Err(Broken::Sink)));
    }
}
