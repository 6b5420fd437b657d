//! The daemon as a child of the lab: the real one, started as a user would.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::site::Space;
use crate::{
    api::model::Done,
    cli::{
        client::{Client, block_on},
        exit::{Failure, Outcome},
    },
};

/// How long it may take to serve, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running daemon; ended when dropped.
#[derive(Debug)]
pub(super) struct Balancer {
    child: Child,
    directory: PathBuf,
}

impl Balancer {
    /// Starts it with `config` in `directory`, and waits until it serves.
    ///
    /// # Errors
    /// What it said in failing.
    pub(super) fn start(directory: &Path, config: &str) -> Outcome<Self> {
        Self::start_in(None, directory, config)
    }

    /// The same in a network namespace.
    pub(super) fn start_in(space: Option<&Space>, directory: &Path, config: &str) -> Outcome<Self> {
        let file = config_file(directory);
        let cannot = |error: std::io::Error| Failure::refused("cannot start the daemon", error);
        std::fs::write(&file, config).map_err(cannot)?;
        let log = File::create(directory.join("log")).map_err(cannot)?;
        let program = std::env::current_exe().map_err(cannot)?;
        let mut command = Command::new(program);
        let _ = command
            .args(["run", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            // Ctrl-C on the terminal is for the lab, which then ends this.
            .process_group(0);
        die_with_parent(&mut command);
        if let Some(space) = space {
            space.command(&mut command).map_err(cannot)?;
        }
        let child = command.spawn().map_err(cannot)?;
        let mut balancer = Self {
            child,
            directory: directory.into(),
        };
        balancer.wait_until_it_serves()?;
        Ok(balancer)
    }

    /// A way to ask it.
    pub(super) fn client(&self) -> Client {
        Client::unix(socket(&self.directory))
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait_until_it_serves(&mut self) -> Outcome {
        let end = Instant::now() + PATIENCE;
        loop {
            let ready: Outcome<Done> = block_on(self.client().get("/readyz"));
            let Err(failure) = ready else {
                return Ok(());
            };
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() >= end {
                return Err(self.trouble(&failure));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it said, or else what `failure` says.
    fn trouble(&self, failure: &Failure) -> Failure {
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        if log.trim().is_empty() {
            return Failure::Refused(format!("the daemon does not start: {failure}"));
        }
        Failure::Refused(format!("the daemon does not start:\n{}", log.trim_end()))
    }
}

/// Where its configuration is.
pub(super) fn config_file(directory: &Path) -> PathBuf {
    directory.join("aplomb.toml")
}

/// Where it is operated.
pub(super) fn socket(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

/// However the lab ends, the daemon does not stay behind.
fn die_with_parent(command: &mut Command) {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec this makes two system calls and allocates nothing, which is all that is allowed there.
    let _ = unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::TERM))?;
            // It may have died between the fork and the call above.
            if rustix::process::getppid() == Some(parent) {
                return Ok(());
            }
            Err(std::io::ErrorKind::BrokenPipe.into())
        })
    };
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // By its socket rather than its number: after an upgrade another process serves.
        let _: Outcome<Done> = block_on(self.client().post("/v1/stop", r#"{"now":true}"#));
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
