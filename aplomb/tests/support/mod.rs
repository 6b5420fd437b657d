//! A small site: backends in this process, and the program under test as a child, operated by its command line.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]
#![expect(clippy::unwrap_used, reason = "tests")]

pub mod backend;
pub mod exposition;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `ready`; panics with `what` if it takes too long.
pub fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An address of loopback that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// `aplomb ARGUMENTS`.
pub fn aplomb(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .args(arguments)
        .env_remove("APLOMB_ADMIN")
        .env_remove("APLOMB_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a command printed.
pub fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The exit code of a command.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A running daemon.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub child: Child,
    /// `--admin` for it.
    pub admin: String,
}

impl Site {
    /// Starts the daemon with this configuration, to which an `[admin]` is added that has `more` in it.
    pub fn start_with(more: &str, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let admin = format!("unix:{}", socket.display());
        let text = format!("[admin]\nlisten = \"{admin}\"\n{more}\n{config}");
        std::fs::write(dir.path().join("aplomb.toml"), text).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_aplomb"))
            .args(["run", "-c"])
            .arg(dir.path().join("aplomb.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut site = Self { dir, child, admin };
        wait_for("the daemon", || {
            let ended = site.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", site.log());
            site.cli(&["status"]).status.success()
        });
        site
    }

    /// As [`Self::start_with`], with nothing more.
    pub fn start(config: &str) -> Self {
        Self::start_with("", config)
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("aplomb.toml")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// `aplomb ARGUMENTS` against this daemon.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let admin = ["--admin", &self.admin];
        let all: Vec<&str> = admin.into_iter().chain(arguments.iter().copied()).collect();
        aplomb(&all)
    }

    /// The same; it must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let said = said(&output);
        assert_eq!(code(&output), 0, "{arguments:?}: {said}\n{}", self.log());
        printed(&output)
    }

    /// The same; it must be refused with exit code 1, with these words.
    pub fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.cli(arguments);
        let said = said(&output);
        assert_eq!(code(&output), 1, "{arguments:?}: {said}");
        assert!(
            said.contains(words),
            "{arguments:?} does not say {words:?}: {said}"
        );
    }

    /// `status --json`.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.ok(&["status", "--json"])).unwrap()
    }

    /// One backend of the status.
    pub fn backend(&self, address: SocketAddr) -> serde_json::Value {
        let status = self.status();
        let pools = status["pools"].as_array().unwrap();
        let all = pools.iter().flat_map(|p| p["backends"].as_array().unwrap());
        let mut found = all.filter(|b| b["address"] == address.to_string());
        found.next().unwrap().clone()
    }

    /// Waits until a backend is in this state.
    pub fn wait_for_state(&self, address: SocketAddr, state: &str) {
        wait_for(state, || self.backend(address)["state"] == state);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
        }
        // After an upgrade, it is another process that serves.
        let _ = self.cli(&["stop", "--now"]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `request` and reads to the end of the connection.
pub fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// GETs a path; the whole answer.
pub fn get(address: SocketAddr, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    raw(address, &head)
}

/// The body of an answer.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
