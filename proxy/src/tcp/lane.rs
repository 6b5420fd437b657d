//! One direction of a relayed connection: what one side sends goes to the other.
//!
//! Data is copied through a pooled buffer, which is held only while there is data. A direction that keeps filling
//! whole buffers is spliced instead, through a pooled pipe, so that its data never enters user space; it goes back
//! to copying when it slows down, since for small pieces splicing costs twice the system calls.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::worker::{
    Worker,
    buffers::{BUFFER_SIZE, Buffer},
    pipes::Pipe,
};

/// A direction is spliced once it has filled this many buffers in a row.
const FULL_BUFFERS: u8 = 4;
/// It is copied again once this many wake-ups in a row have moved less than a buffer holds.
const THIN_WAKES: u8 = 4;
/// Moves in a row before other tasks get their turn.
const TURN: u32 = 32;

/// One direction.
#[derive(Default)]
pub(super) struct Lane {
    hold: Hold,
    /// Full buffers in a row while copying, thin wake-ups in a row while splicing.
    streak: u8,
    end: End,
    /// The receiver's socket still gathers small writes (Nagle's algorithm): right for the first, wrong from then on.
    gathers: bool,
    /// Bytes handed on.
    pub(super) moved: u64,
}

/// What has come and not yet gone.
#[derive(Default)]
enum Hold {
    #[default]
    Nothing,
    Buffer {
        buffer: Buffer,
        from: u16,
        to: u16,
    },
    Pipe(Pipe),
}

/// What the sender has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// It has finished.
    Finished,
    /// Its connection broke.
    Broken,
}

/// Where a direction failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// The side that sends.
    Sender,
    /// The side that is sent to.
    Receiver,
}

impl Lane {
    /// The lane from a client that was just accepted to a backend yet to be chosen. It begins with `head`, and
    /// what the client has sent already.
    pub(super) fn opening(worker: &Worker, head: &[u8], client: &TcpStream) -> Self {
        let mut lane = Self {
            gathers: true,
            ..Self::default()
        };
        let mut buffer = worker.buffers.take();
        buffer[..head.len()].copy_from_slice(head);
        let mut length = head.len();
        // Before the event loop knows whether there is something. If not, the error will come again.
        match recv(client, &mut buffer[length..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => lane.end = End::Finished,
            Ok((_, received)) => length += received,
            Err(_) => {}
        }
        if length > 0 {
            lane.hold = Hold::Buffer {
                buffer,
                from: 0,
                to: length as u16,
            };
        }
        lane
    }

    /// Whether it holds data to be handed on.
    pub(super) fn holds_data(&self) -> bool {
        !matches!(self.hold, Hold::Nothing)
    }

    /// Moves what can be moved. Ready once the sender has finished and all it sent was handed on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        let before = self.moved;
        for _ in 0..TURN {
            let step = match self.hold {
                Hold::Nothing => match self.end {
                    End::Open => self.poll_read(cx, worker, from),
                    End::Finished => return Poll::Ready(Ok(())),
                    End::Broken => return Poll::Ready(Err(Broken::Sender)),
                },
                Hold::Buffer { .. } => self.poll_write(cx, to),
                Hold::Pipe(_) => self.poll_splice(cx, from, to),
            };
            match step {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => {
                    self.settle(self.moved - before);
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        // Asked first, so that a buffer is taken only when there is something to read.
        ready!(from.poll_read_ready(cx)).map_err(|_| Broken::Sender)?;
        if self.streak >= FULL_BUFFERS
            && let Ok(pipe) = worker.pipes.take()
        {
            self.streak = 0;
            self.hold = Hold::Pipe(pipe);
            return Poll::Ready(Ok(()));
        }
        let mut buffer = worker.buffers.take();
        let mut space = ReadBuf::new(&mut buffer);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut space)).map_err(|_| Broken::Sender)?;
        let length = space.filled().len();
        if length == 0 {
            self.end = End::Finished;
            return Poll::Ready(Ok(()));
        }
        if length == BUFFER_SIZE {
            self.streak = self.streak.saturating_add(1);
        } else {
            self.streak = 0;
            self.look_for_end(cx, from, &mut space);
        }
        let to = space.filled().len() as u16;
        self.hold = Hold::Buffer {
            buffer,
            from: 0,
            to,
        };
        Poll::Ready(Ok(()))
    }

    /// After a read that did not fill the buffer: if the event loop says that there is more, it is most likely the
    /// end, which can then travel with the data.
    fn look_for_end(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        space: &mut ReadBuf<'_>,
    ) {
        if from.try_io(Interest::READABLE, || Ok(())).is_err() {
            return;
        }
        let before = space.filled().len();
        match Pin::new(from).poll_read(cx, space) {
            Poll::Ready(Ok(())) if space.filled().len() == before => self.end = End::Finished,
            Poll::Ready(Ok(())) | Poll::Pending => {}
            // What came before it is still handed on.
            Poll::Ready(Err(_)) => self.end = End::Broken,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<Result<(), Broken>> {
        if self.gathers && self.moved > 0 {
            self.gathers = false;
            // If it fails, the connection is gone, which the write will say.
            let _ = to.set_nodelay(true);
        }
        let Hold::Buffer {
            buffer,
            from,
            to: end,
        } = &mut self.hold
        else {
            return Poll::Ready(Ok(()));
        };
        let data = &buffer[usize::from(*from)..usize::from(*end)];
        let written = if self.end == End::Finished {
            ready!(poll_write_last(cx, to, data))
        } else {
            ready!(Pin::new(to).poll_write(cx, data))
        };
        let written = written.map_err(|_| Broken::Receiver)?;
        self.moved += written as u64;
        *from += written as u16;
        if from == end {
            self.hold = Hold::Nothing;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<(), Broken>> {
        let Hold::Pipe(pipe) = &mut self.hold else {
            return Poll::Ready(Ok(()));
        };
        if pipe.held() > 0 {
            ready!(to.poll_write_ready(cx)).map_err(|_| Broken::Receiver)?;
            match to.try_io(Interest::WRITABLE, || pipe.empty(to)) {
                Ok(moved) => self.moved += moved as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Err(Broken::Receiver)),
            }
            return Poll::Ready(Ok(()));
        }
        ready!(from.poll_read_ready(cx)).map_err(|_| Broken::Sender)?;
        match from.try_io(Interest::READABLE, || pipe.fill(from)) {
            Ok(0) => {
                self.end = End::Finished;
                self.hold = Hold::Nothing;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Poll::Ready(Err(Broken::Sender)),
        }
        Poll::Ready(Ok(()))
    }

    /// At the end of a wake-up that moved so much: whether splicing still pays.
    fn settle(&mut self, moved: u64) {
        let Hold::Pipe(pipe) = &self.hold else { return };
        if moved >= BUFFER_SIZE as u64 {
            self.streak = 0;
            return;
        }
        self.streak += 1;
        if self.streak >= THIN_WAKES && pipe.held() == 0 {
            self.streak = 0;
            self.hold = Hold::Nothing;
        }
        self.streak = self.streak.min(THIN_WAKES);
    }
}

/// Writes what the end of the stream follows at once, so that both leave in one packet.
fn poll_write_last(cx: &mut Context<'_>, to: &TcpStream, data: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(to.poll_write_ready(cx))?;
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT | SendFlags::MORE;
        match to.try_io(Interest::WRITABLE, || Ok(send(to, data, flags)?)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}
