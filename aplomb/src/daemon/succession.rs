//! Successors: starting one, and what goes on while it takes over.
//!
//! The talk with it blocks, so it happens on a thread; what comes of it reaches the conductor as [`News`].

use std::{
    env,
    ffi::OsString,
    fs::canonicalize,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    thread,
};

use proxy::plane::Plane;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::sync::{mpsc, oneshot};

use super::{engine::Ask, handle::ask};
use crate::handoff::{self, Failure, Goods, Successor};

/// Names the descriptor over which a child that is to take over finds its parent.
const PARENT: &str = "APLOMB_TAKEOVER_FD";

/// What the service manager says of its own process, which a successor is not.
const NOT_FOR_CHILDREN: [&str; 5] = [
    PARENT,
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Where a successor came from.
pub(super) enum Origin {
    /// It came by itself.
    Door,
    /// We started it.
    Child {
        child: Child,
        reply: Option<oneshot::Sender<Result<u32, String>>>,
    },
}

impl Origin {
    /// Tells whoever wanted a successor what came of it, and sees to a child that failed.
    pub(super) fn tell(self, outcome: Result<u32, String>) {
        let Self::Child { mut child, reply } = self else {
            return;
        };
        if outcome.is_err() {
            // It may hang; and it is to be waited for, or its remains stay.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(reply) = reply {
            let _ = reply.send(outcome);
        }
    }
}

/// How a hand-over goes on.
pub(super) enum News {
    /// It wants what is to be handed over.
    Asked(oneshot::Sender<Result<Goods, String>>),
    /// It was turned away, since another is being started.
    Refused(Origin, String),
    /// It serves.
    Serves(Origin, Successor),
    /// It does not serve.
    Failed(Origin, String),
}

/// Successors.
#[derive(Debug)]
pub(super) struct Succession {
    /// The binary that this process is of, by its path at the start: what is there later is another.
    binary: PathBuf,
    arguments: Vec<OsString>,
    sender: mpsc::UnboundedSender<News>,
    news: mpsc::UnboundedReceiver<News>,
}

impl Succession {
    pub(super) fn new() -> io::Result<Self> {
        // Unbounded: a hand-over has two pieces of news.
        let (sender, news) = mpsc::unbounded_channel();
        Ok(Self {
            binary: env::current_exe()?,
            arguments: env::args_os().skip(1).collect(),
            sender,
            news,
        })
    }

    /// What comes next.
    pub(super) async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            // Not while we hold a sender.
            None => std::future::pending().await,
        }
    }

    /// Starts a successor with the arguments of this process, and the way to talk with it.
    pub(super) fn spawn(&self, binary: Option<PathBuf>) -> Result<(Child, UnixStream), String> {
        let binary = binary.unwrap_or_else(|| self.binary.clone());
        let cannot = |e: &io::Error| format!("{} cannot be started: {e}", binary.display());
        let binary = canonicalize(&binary).map_err(|e| cannot(&e))?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| cannot(&e))?;
        let child = self
            .command(&binary, &theirs)
            .spawn()
            .map_err(|e| cannot(&e))?;
        tracing::info!(binary = %binary.display(), pid = child.id(), "a successor is being started");
        Ok((child, ours))
    }

    fn command(&self, binary: &Path, parent: &UnixStream) -> Command {
        let descriptor = parent.as_raw_fd();
        let mut command = Command::new(binary);
        for name in NOT_FOR_CHILDREN {
            let _ = command.env_remove(name);
        }
        let _ = command
            .args(&self.arguments)
            .env(PARENT, descriptor.to_string());
        // SAFETY: one system call, which is safe between fork and exec; the descriptor is open there, since it is
        // in the parent until `spawn` has returned.
        let _ = unsafe {
            command.pre_exec(move || {
                let parent = rustix::fd::BorrowedFd::borrow_raw(descriptor);
                Ok(fcntl_setfd(parent, FdFlags::empty())?)
            })
        };
        command
    }

    /// Talks with a successor, on a thread of its own; turns it away unless `free`.
    pub(super) fn begin(&self, origin: Origin, stream: UnixStream, free: bool) {
        let sender = self.sender.clone();
        let talk = move || {
            let ended = talk(origin, stream, free, &sender);
            // The conductor is gone only if the daemon has ended.
            let _ = sender.send(ended);
        };
        if let Err(error) = thread::Builder::new().name("hand-over".into()).spawn(talk) {
            // The origin went with the closure: a child sees the stream closed, and ends.
            tracing::error!(%error, "no thread for a hand-over");
            let _ = self
                .sender
                .send(News::Failed(Origin::Door, error.to_string()));
        }
    }

    /// What is to be handed over now.
    pub(super) async fn goods(
        &self,
        engine: &mpsc::Sender<Ask>,
        plane: &Arc<Plane>,
    ) -> Result<Goods, String> {
        let saved = ask(engine, Ask::Export).await.map_err(|e| e.to_string())?;
        let sockets = plane.sockets().map_err(|e| e.to_string())?;
        Ok(Goods { sockets, saved })
    }
}

fn talk(
    origin: Origin,
    stream: UnixStream,
    free: bool,
    sender: &mpsc::UnboundedSender<News>,
) -> News {
    let goods = || {
        if !free {
            return Err("another successor is being started".into());
        }
        let (reply, answer) = oneshot::channel();
        let _ = sender.send(News::Asked(reply));
        answer
            .blocking_recv()
            .unwrap_or_else(|_| Err("the running process is about to end".into()))
    };
    match handoff::give(stream, goods) {
        Ok(successor) => News::Serves(origin, successor),
        Err(failure) if free => {
            let why = explain(&failure, origin);
            News::Failed(why.0, why.1)
        }
        Err(failure) => News::Refused(origin, failure.to_string()),
    }
}

/// Why it failed, with how it ended if it is a child that has.
fn explain(failure: &Failure, mut origin: Origin) -> (Origin, String) {
    let mut why = failure.to_string();
    if let Origin::Child { child, .. } = &mut origin
        && matches!(failure, Failure::Io { .. })
        && let Some(status) = ended(child)
    {
        why = format!("{why} ({status}; its own log says more)");
    }
    (origin, why)
}

/// How a child ended, which closes its sockets a moment before it can be waited for.
fn ended(child: &mut Child) -> Option<std::process::ExitStatus> {
    for _ in 0..50 {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    None
}

/// The way to the parent, if this process was started to take over from it.
pub(super) fn parent() -> Option<UnixStream> {
    let descriptor: RawFd = env::var(PARENT).ok()?.parse().ok()?;
    if descriptor <= 2 {
        return None;
    }
    // SAFETY: our parent left this descriptor open for us and named it; nothing else in this process has it, and
    // this is called once, at the start. A number that is no descriptor fails in the next line.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    if fcntl_setfd(&stream, FdFlags::CLOEXEC).is_err() {
        // Not ours to close.
        std::mem::forget(stream);
        return None;
    }
    Some(stream)
}
