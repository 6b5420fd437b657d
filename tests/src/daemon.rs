//! aplomb as a user starts it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

use crate::wait_for;

/// A running aplomb with a directory of its own. Operated by its command line, as a user would.
#[derive(Debug)]
pub struct Daemon {
    dir: tempfile::TempDir,
    child: Child,
}

impl Daemon {
    /// Starts it with `config` (without an `[admin]` section: it gets one of its own) and waits until it serves.
    #[must_use]
    pub fn start(config: &str) -> Self {
        let mut command = Command::new(program());
        Self::start_by(&mut command, config)
    }

    /// As [`Daemon::start`], with a command that runs the program with the arguments it is given
    /// (`ip netns exec NS aplomb`).
    #[must_use]
    pub fn start_by(command: &mut Command, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_config(dir.path(), config);
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = command
            .args(["run", "-c"])
            .arg(dir.path().join("aplomb.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self { dir, child };
        wait_for("aplomb to serve", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "aplomb ended with {ended:?}:\n{}",
                daemon.log()
            );
            daemon.status().is_some()
        });
        daemon
    }

    /// The config file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("aplomb.toml")
    }

    /// Its directory, for further files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Replaces the config file.
    pub fn write(&self, config: &str) {
        write_config(self.dir.path(), config);
    }

    /// `aplomb ARGUMENTS` against this daemon.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(program())
            .arg("--admin")
            .arg(format!(
                "unix:{}",
                self.dir.path().join("admin.sock").display()
            ))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// As [`Daemon::cli`]; panics with all that was said unless it succeeds.
    pub fn expect_cli(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "aplomb {arguments:?}: {}\n{out}{err}\nlog:\n{}",
            output.status,
            self.log()
        );
        out.into_owned()
    }

    /// Writes `config` and has it applied.
    pub fn apply(&self, config: &str) {
        self.write(config);
        let file = self.config();
        let _ = self.expect_cli(&["apply", "-c", file.to_str().unwrap()]);
    }

    /// `aplomb status --json`, if it answers.
    #[must_use]
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = self.cli(&["status", "--json"]);
        output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The process that serves now: another one after an upgrade.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let status = self.status().expect("a status");
        u32::try_from(status["pid"].as_u64().expect("a pid in the status")).unwrap()
    }

    /// Sends a signal to the process that serves now.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- aplomb's log\n{}", self.log());
        }
        // After an upgrade the one that serves is not our child; both are ended, each by its pid.
        if let Some(status) = self.status() {
            let pid = status["pid"]
                .as_u64()
                .and_then(|pid| i32::try_from(pid).ok());
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_config(dir: &Path, config: &str) {
    let admin = format!(
        "[admin]\nlisten = \"unix:{}\"\n",
        dir.join("admin.sock").display()
    );
    fs::write(dir.join("aplomb.toml"), format!("{admin}\n{config}")).unwrap();
}

/// The program under test: `APLOMB_BIN`, or the one of this build, built if need be.
#[must_use]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("APLOMB_BIN") {
            return path.into();
        }
        // The test itself is target/PROFILE/deps/NAME-HASH.
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let target = profile.parent().unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let name = profile.file_name().unwrap().to_str().unwrap();
        // As `cargo test --workspace` builds it, which makes this quick after one: with other packages selected,
        // dependencies would have other features, and be built once more.
        let _ = cargo
            .args(["test", "--no-run", "--quiet", "--workspace", "--target-dir"])
            .arg(target)
            .args(["--profile", if name == "debug" { "dev" } else { name }])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        assert!(cargo.status().unwrap().success(), "aplomb builds");
        profile.join("aplomb")
    })
}
