//! The way into the running daemon, for the admin API, for signals and for a successor.
//!
//! A [`Handle`] is cheap to clone and may be used from any thread with a tokio runtime. What is asked travels by
//! a bounded channel to the thread that owns the engine, the answer by a oneshot; so callers wait for each
//! other, and the engine waits for nobody.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use control::{
    config::{Change, Diagnostics},
    engine::{Answer, Operation},
    plan::Plan,
    spec::Spec,
    status::BackendStatus,
};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// How many requests may wait for the engine. Each waiting one has a caller behind it, so this bounds memory, not
/// throughput: the 65th caller waits before sending rather than after.
const WAITING: usize = 64;

/// Speaks to the daemon.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
}

/// What can be asked of the daemon, each with the way its answer goes back.
#[derive(Debug)]
pub enum Request {
    /// A snapshot of everything.
    Status(oneshot::Sender<Status>),
    /// A new configuration, or only what it would change.
    Apply {
        /// The text.
        config: ConfigText,
        /// Nothing is to change.
        dry_run: bool,
        /// The answer.
        reply: oneshot::Sender<Result<Applied, Rejected>>,
    },
    /// The file that the daemon was started with, read again.
    Reload(oneshot::Sender<Result<Applied, Rejected>>),
    /// Something about one backend.
    Operate {
        /// What.
        operation: Operation,
        /// The answer.
        reply: oneshot::Sender<Answer>,
    },
    /// Log files are opened again, after rotation.
    ReopenLogs,
    /// The daemon ends.
    Shutdown(Shutdown),
    /// Another binary takes over.
    Upgrade {
        /// Which; none: the one this process was started from, as it is on disk now.
        binary: Option<PathBuf>,
        /// The process id of the successor once it serves, or why this process goes on instead.
        reply: oneshot::Sender<Result<u32, String>>,
    },
}

/// A configuration as text.
#[derive(Clone, Debug, Default)]
pub struct ConfigText {
    /// What diagnostics call it: the path as the user gave it, or `<api>`.
    pub name: String,
    /// TOML.
    pub text: String,
    /// Where relative paths in it begin.
    pub directory: PathBuf,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applied {
    /// The plan's generation after it.
    pub generation: u64,
    /// What is different; empty: nothing.
    pub changes: Vec<Change>,
    /// What is likely not meant as it is written.
    pub warnings: Diagnostics,
}

/// Why an apply was not done. What ran before runs on, untouched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejected {
    /// The text is not a valid configuration.
    Config(Box<Diagnostics>),
    /// It is valid, but cannot be carried out here or now: an address in use, a successor being started …
    Plane(String),
    /// The daemon is about to end.
    Stopping,
}

/// How the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// It accepts nothing more; what goes on may finish within `[proxy] drain`.
    Graceful,
    /// At once.
    Now,
}

/// A snapshot of the daemon.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: SystemTime,
    /// How long it has been running.
    pub uptime: Duration,
    /// The file it was started with.
    pub config: PathBuf,
    /// What it is about.
    pub phase: Phase,
    /// What was asked.
    pub spec: Arc<Spec>,
    /// What every plane shall be.
    pub plan: Arc<Plan>,
    /// All backends, by pool name and then in config order, those that were removed and still drain last.
    pub backends: Vec<BackendStatus>,
    /// What came of configurations that were applied.
    pub reloads: Reloads,
}

/// What the daemon is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// A successor is being started; it still serves.
    HandingOver,
    /// It accepts nothing more and lets what goes on finish.
    Draining,
}

/// What came of configurations that were applied, dry runs and the first one not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloads {
    /// How many were taken.
    pub succeeded: u64,
    /// How many were rejected.
    pub failed: u64,
    /// When one was last taken.
    pub last_success: Option<SystemTime>,
    /// Why the last one was rejected, if none was taken since.
    pub last_error: Option<String>,
}

/// The daemon has ended, so there is nobody to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the daemon is about to end")
    }
}

impl std::error::Error for Gone {}

impl Handle {
    /// A handle, and where what is asked through it and its clones arrives.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, arriving) = mpsc::channel(WAITING);
        (Self { requests }, arriving)
    }

    /// A snapshot of everything.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn status(&self) -> Result<Status, Gone> {
        self.ask(Request::Status).await
    }

    /// Applies a configuration, or with `dry_run` says what that would change.
    ///
    /// # Errors
    /// Why it was rejected; nothing has changed.
    pub async fn apply(&self, config: ConfigText, dry_run: bool) -> Result<Applied, Rejected> {
        self.ask(|reply| Request::Apply {
            config,
            dry_run,
            reply,
        })
        .await
        .unwrap_or(Err(Rejected::Stopping))
    }

    /// Applies the file that the daemon was started with, as it is now.
    ///
    /// # Errors
    /// Why it was rejected; nothing has changed.
    pub async fn reload(&self) -> Result<Applied, Rejected> {
        self.ask(Request::Reload)
            .await
            .unwrap_or(Err(Rejected::Stopping))
    }

    /// Asks something about one backend.
    ///
    /// # Errors
    /// The daemon has ended; a refusal is the inner result.
    pub async fn operate(&self, operation: Operation) -> Result<Answer, Gone> {
        self.ask(|reply| Request::Operate { operation, reply })
            .await
    }

    /// Opens log files again, after rotation.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn reopen_logs(&self) -> Result<(), Gone> {
        self.send(Request::ReopenLogs).await
    }

    /// Ends the daemon.
    ///
    /// # Errors
    /// It has ended already.
    pub async fn shutdown(&self, how: Shutdown) -> Result<(), Gone> {
        self.send(Request::Shutdown(how)).await
    }

    /// Hands over to `binary`, or to the one this process was started from as it is on disk now. Answers with the
    /// successor's process id once that serves.
    ///
    /// # Errors
    /// Why this process goes on instead, as if nothing had happened.
    pub async fn upgrade(&self, binary: Option<PathBuf>) -> Result<u32, String> {
        self.ask(|reply| Request::Upgrade { binary, reply })
            .await
            .unwrap_or_else(|gone| Err(gone.to_string()))
    }

    async fn ask<A>(&self, request: impl FnOnce(oneshot::Sender<A>) -> Request) -> Result<A, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        answer.await.map_err(|_| Gone)
    }

    async fn send(&self, request: Request) -> Result<(), Gone> {
        self.requests.send(request).await.map_err(|_| Gone)
    }
}
