//! The thread that writes access logs: it may wait for a disk, workers may not.

#![expect(
    clippy::disallowed_types,
    reason = "this is the thread that files belong to"
)]

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use control::spec::AccessLogTarget;

/// Buffers that may wait to be written: 4 MiB of lines, a second of a busy site or so.
pub(super) const QUEUE: usize = 64;

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Write {
        target: Arc<AccessLogTarget>,
        bytes: Vec<u8>,
        lines: u64,
    },
    Reopen,
    Stop,
    #[cfg(test)]
    Barrier(SyncSender<()>),
}

/// The thread that writes access logs.
#[derive(Debug)]
pub struct LogWriter {
    handle: LogHandle,
    thread: JoinHandle<()>,
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let handle = LogHandle {
            queue,
            lost: Arc::default(),
        };
        let lost = Arc::clone(&handle.lost);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&jobs, &lost))?;
        Ok(Self { handle, thread })
    }

    /// A handle for a worker or whoever rotates logs.
    #[must_use]
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    /// Writes what was handed over so far and ends the thread.
    pub fn stop(self) {
        // The thread is gone only if it panicked; then there is nothing left to stop.
        if self.handle.queue.send(Job::Stop).is_ok() {
            let _ = self.thread.join();
        }
    }
}

/// The way to a [`LogWriter`].
#[derive(Clone, Debug)]
pub struct LogHandle {
    pub(super) queue: SyncSender<Job>,
    lost: Arc<AtomicU64>,
}

impl LogHandle {
    /// Has the files opened anew, so that rotated ones are let go. May wait until the writer has caught up.
    pub fn reopen(&self) {
        let _ = self.queue.send(Job::Reopen);
    }

    /// Lines that were handed over but could not be written (disk full, no permission).
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Returns once all that was handed over before is written.
    #[cfg(test)]
    pub(super) fn barrier(&self) {
        let (done, wait) = sync_channel(0);
        let _ = self.queue.send(Job::Barrier(done));
        let _ = wait.recv();
    }
}

/// A handle whose jobs nobody does.
#[cfg(test)]
pub(super) fn stuck() -> (LogHandle, Receiver<Job>) {
    let (queue, jobs) = sync_channel(QUEUE);
    (
        LogHandle {
            queue,
            lost: Arc::default(),
        },
        jobs,
    )
}

fn write_all(jobs: &Receiver<Job>, lost: &AtomicU64) {
    let mut files = Files::default();
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Write {
                target,
                bytes,
                lines,
            } => {
                if let Err(error) = files.write(&target, &bytes) {
                    let _ = lost.fetch_add(lines, Relaxed);
                    files.complain(&target, &error);
                }
            }
            Job::Reopen => files.open.clear(),
            Job::Stop => return,
            #[cfg(test)]
            Job::Barrier(done) => drop(done),
        }
    }
}

#[derive(Default)]
struct Files {
    open: HashMap<Arc<AccessLogTarget>, File>,
    failing: bool,
}

impl Files {
    fn write(&mut self, target: &Arc<AccessLogTarget>, bytes: &[u8]) -> io::Result<()> {
        let path = match &**target {
            AccessLogTarget::Stdout => return io::stdout().lock().write_all(bytes),
            AccessLogTarget::File(path) => path,
        };
        if let Some(file) = self.open.get_mut(target) {
            file.write_all(bytes)?;
        } else {
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            file.write_all(bytes)?;
            let _ = self.open.insert(Arc::clone(target), file);
        }
        self.failing = false;
        Ok(())
    }

    /// Says so once, not for every batch, until writing works again.
    fn complain(&mut self, target: &AccessLogTarget, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(?target, %error, "cannot write the access log; lines are lost");
        }
    }
}
