//! A worker's pipes, which data is spliced through: kept for reuse, since making one costs three system calls.

use std::{cell::RefCell, io, os::fd::OwnedFd, rc::Rc};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// What a pipe is to hold. Where the kernel refuses (a user's limit on pipe pages), it holds 64 KiB.
const CAPACITY: usize = 256 << 10;
/// The most pipes kept for later.
const KEPT: usize = 64;

/// The pipes that nobody uses now; all of them are empty.
#[derive(Default)]
pub(crate) struct Pipes {
    free: RefCell<Vec<Ends>>,
}

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe on loan.
pub(crate) struct Pipe {
    /// None only while being dropped.
    ends: Option<Ends>,
    /// Bytes in it.
    held: usize,
    home: Rc<Pipes>,
}

impl Pipes {
    /// Lends an empty pipe.
    ///
    /// # Errors
    /// The system gives none: too many open files.
    pub(crate) fn take(self: &Rc<Self>) -> io::Result<Pipe> {
        let kept = self.free.borrow_mut().pop();
        let ends = kept.map_or_else(new_pipe, Ok)?;
        Ok(Pipe {
            ends: Some(ends),
            held: 0,
            home: Rc::clone(self),
        })
    }
}

fn new_pipe() -> io::Result<Ends> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Smaller is slower, nothing else.
    let _ = fcntl_setpipe_size(&write, CAPACITY);
    Ok(Ends { read, write })
}

impl Pipe {
    /// Bytes in it.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Moves what `from` has into the pipe, which must be empty, so that `WouldBlock` speaks of `from`.
    pub(crate) fn fill(&mut self, from: impl std::os::fd::AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let moved = splice(from, &ends.write, CAPACITY)?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves what the pipe holds to `to`.
    pub(crate) fn empty(&mut self, to: impl std::os::fd::AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let moved = splice(&ends.read, to, self.held)?;
        self.held -= moved.min(self.held);
        Ok(moved)
    }
}

fn splice(
    from: impl std::os::fd::AsFd,
    to: impl std::os::fd::AsFd,
    most: usize,
) -> io::Result<usize> {
    use rustix::pipe::SpliceFlags;
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, to, None, most, flags)?)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut free = self.home.free.borrow_mut();
        // What still holds data is closed with it.
        if self.held == 0 && free.len() < KEPT {
            free.extend(self.ends.take());
        }
    }
}
