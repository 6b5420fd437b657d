//! The way into the running daemon, for the admin API, for signals and for a successor.
//!
//! A [`Handle`] is cheap to clone and may be used from any thread with a tokio runtime. Questions about what is
//! known, and orders about a backend, go to the engine's thread, which answers at once; what changes the daemon as
//! a whole goes to the conductor, which does one such thing at a time. So callers wait for each other, and the
//! engine waits for nobody.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use control::{
    config::{Change, Diagnostics},
    engine::{Answer, Operation},
    ipvs::{Edit, Error, Table},
    plan::Plan,
    spec::Spec,
    status::BackendStatus,
};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{about::About, engine::Ask};

/// How many requests may wait for the conductor. Each waiting one has a caller behind it, so this bounds memory,
/// not throughput: the 65th caller waits before sending rather than after.
const WAITING: usize = 64;

/// Speaks to the daemon.
#[derive(Clone, Debug)]
pub struct Handle {
    about: Arc<About>,
    engine: mpsc::Sender<Ask>,
    conductor: mpsc::Sender<Request>,
}

/// What can be asked of the conductor, each with the way its answer goes back.
#[derive(Debug)]
pub(super) enum Request {
    /// A new configuration, or only what it would change.
    Apply {
        /// The text.
        config: ConfigText,
        /// Nothing is to change.
        dry_run: bool,
        /// The answer.
        reply: oneshot::Sender<Result<Applied, Rejected>>,
    },
    /// Edits to the table of kernel services, as `ipvsadm` makes them.
    IpvsEdit {
        /// What is to be done, in order.
        edits: Vec<Edit>,
        /// For each, why it was not done.
        reply: oneshot::Sender<Result<Vec<Option<Error>>, Rejected>>,
    },
    /// That table as it is, and how many connections it holds.
    IpvsTable(oneshot::Sender<(Table, u32)>),
    /// The file that the daemon was started with, read again.
    Reload(oneshot::Sender<Result<Applied, Rejected>>),
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
    /// What becomes of changes that `ipvsadm` made, for people.
    pub notes: Vec<String>,
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
    /// Samples of traffic that were dropped because the engine could not keep up.
    pub samples_dropped: u64,
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

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the daemon is about to end")
    }
}

impl std::error::Error for Gone {}

impl Handle {
    /// A handle, and where what is asked of the conductor through it and its clones arrives.
    pub(super) fn new(
        about: Arc<About>,
        engine: mpsc::Sender<Ask>,
    ) -> (Self, mpsc::Receiver<Request>) {
        let (conductor, arriving) = mpsc::channel(WAITING);
        let handle = Self {
            about,
            engine,
            conductor,
        };
        (handle, arriving)
    }

    /// A snapshot of everything.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn status(&self) -> Result<Status, Gone> {
        let known = ask(&self.engine, Ask::Snapshot).await?;
        let now = self.about.now();
        Ok(Status {
            pid: std::process::id(),
            started: self.about.started,
            uptime: self.about.began.elapsed(),
            config: self.about.config.clone(),
            phase: now.phase,
            spec: known.spec,
            plan: known.plan,
            backends: known.backends,
            reloads: now.reloads,
            samples_dropped: self.about.dropped.load(Relaxed),
        })
    }

    /// Applies a configuration, or with `dry_run` says what that would change.
    ///
    /// # Errors
    /// Why it was rejected; nothing has changed.
    pub async fn apply(&self, config: ConfigText, dry_run: bool) -> Result<Applied, Rejected> {
        ask(&self.conductor, |reply| Request::Apply {
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
        ask(&self.conductor, Request::Reload)
            .await
            .unwrap_or(Err(Rejected::Stopping))
    }

    /// Edits the table of kernel services; gives for each edit why it was not done.
    ///
    /// # Errors
    /// What they come to cannot be carried out; nothing has changed.
    pub async fn ipvs_edit(&self, edits: Vec<Edit>) -> Result<Vec<Option<Error>>, Rejected> {
        ask(&self.conductor, |reply| Request::IpvsEdit { edits, reply })
            .await
            .unwrap_or(Err(Rejected::Stopping))
    }

    /// The table of kernel services, and how many connections it holds.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn ipvs_table(&self) -> Result<(Table, u32), Gone> {
        ask(&self.conductor, Request::IpvsTable).await
    }

    /// Asks something about one backend. While a successor is being started this waits: said to this process then,
    /// it would be forgotten with it.
    ///
    /// # Errors
    /// The daemon has ended, or another process has taken its place; a refusal is the inner result.
    pub async fn operate(&self, operation: Operation) -> Result<Answer, Gone> {
        let mut waited = false;
        while self.about.phase() == Phase::HandingOver {
            waited = true;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if waited && self.about.phase() == Phase::Draining {
            return Err(Gone);
        }
        ask(&self.engine, |reply| Ask::Operate { operation, reply }).await
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
        ask(&self.conductor, |reply| Request::Upgrade { binary, reply })
            .await
            .unwrap_or_else(|gone| Err(gone.to_string()))
    }

    async fn send(&self, request: Request) -> Result<(), Gone> {
        self.conductor.send(request).await.map_err(|_| Gone)
    }
}

/// Asks by `requests` and waits for the answer.
pub(super) async fn ask<R, A>(
    requests: &mpsc::Sender<R>,
    request: impl FnOnce(oneshot::Sender<A>) -> R,
) -> Result<A, Gone> {
    let (reply, answer) = oneshot::channel();
    requests.send(request(reply)).await.map_err(|_| Gone)?;
    answer.await.map_err(|_| Gone)
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(problems) => f.write_str(&problems.summary()),
            Self::Plane(why) => f.write_str(why),
            Self::Stopping => Gone.fmt(f),
        }
    }
}
