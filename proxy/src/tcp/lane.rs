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
    /// Whether the sender has finished.
    ended: bool,
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

/// Where a direction failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// The side that sends.
    Sender,
    /// The side that is sent to.
    Receiver,
}

impl Lane {
    /// A lane that first hands on `head`, which is at most a buffer long.
    pub(super) fn beginning_with(worker: &Worker, head: &[u8]) -> Self {
        let mut buffer = worker.buffers.take();
        let length = head.len().min(BUFFER_SIZE);
        buffer[..length].copy_from_slice(&head[..length]);
        Self {
            hold: Hold::Buffer {
                buffer,
                from: 0,
                to: length as u16,
            },
            ..Self::default()
        }
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
                Hold::Nothing if self.ended => return Poll::Ready(Ok(())),
                Hold::Nothing => self.poll_read(cx, worker, from),
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
        ready!(Pin::new(from).poll_read(cx, &mut space)).map_err(|_| Broken::Sender)?;
        let length = space.filled().len();
        if length == 0 {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        self.streak = match length {
            BUFFER_SIZE => self.streak.saturating_add(1),
            _ => 0,
        };
        self.hold = Hold::Buffer {
            buffer,
            from: 0,
            to: length as u16,
        };
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        let Hold::Buffer { buffer, from, to } = &mut self.hold else {
            return Poll::Ready(Ok(()));
        };
        let data = &buffer[usize::from(*from)..usize::from(*to)];
        let written =
            ready!(Pin::new(stream).poll_write(cx, data)).map_err(|_| Broken::Receiver)?;
        self.moved += written as u64;
        *from += written as u16;
        if from == to {
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
                self.ended = true;
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
