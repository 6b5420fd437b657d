//! A daemon with a directory of its own and an echoing backend.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes on a loaded machine; a test that passes never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon and its directory.
pub(crate) struct Daemon {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) child: Child,
}

impl Daemon {
    /// A daemon that serves this configuration (without `[admin]`).
    pub(crate) fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, config, |_| {})
    }

    /// The same in a given directory, with a command that was changed.
    pub(crate) fn start_in(
        dir: tempfile::TempDir,
        config: &str,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_aplomb"));
        command
            .args(["run", "-c"])
            .arg(dir.path().join("aplomb.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        change(&mut command);
        fs::write(dir.path().join("aplomb.toml"), with_admin(&dir, config)).unwrap();
        let child = command.spawn().unwrap();
        let mut daemon = Self { dir, child };
        wait_for("it to serve", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", daemon.log());
            daemon.status().is_some()
        });
        daemon
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Replaces the configuration file.
    pub(crate) fn write(&self, config: &str) {
        fs::write(self.file("aplomb.toml"), with_admin(&self.dir, config)).unwrap();
    }

    /// `aplomb ARGUMENTS` against this daemon.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_aplomb"))
            .arg("--admin")
            .arg(format!("unix:{}", self.file("admin.sock").display()))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub(crate) fn status(&self) -> Option<serde_json::Value> {
        let output = self.cli(&["status", "--json"]);
        output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The process that serves now.
    pub(crate) fn pid(&self) -> i32 {
        self.status().unwrap()["pid"].as_i64().unwrap() as i32
    }

    /// Signals the process that was started first.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process that was started first has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("it to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits until the log says this.
    pub(crate) fn await_log(&self, text: &str) {
        wait_for(text, || self.log().contains(text));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- its log\n{}", self.log());
        }
        // After a hand-over the one that serves is not our child; both are ended, each by its number.
        if let Some(pid) = self.status().and_then(|s| s["pid"].as_i64())
            && let Some(pid) = Pid::from_raw(pid as i32)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_admin(dir: &tempfile::TempDir, config: &str) -> String {
    let socket = dir.path().join("admin.sock");
    format!("[admin]\nlisten = \"unix:{}\"\n{config}", socket.display())
}

/// Waits until something holds.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited for {what} in vain");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A TCP port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A backend that sends back what it gets.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let stream = stream.unwrap();
                io::copy(&mut &stream, &mut &stream)
            });
        }
    });
    address
}

/// The same for datagrams.
pub(crate) fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..n], from);
        }
    });
    address
}

/// A TCP service `name` on `port` that leads to `backend`.
pub(crate) fn service(name: &str, scheme: &str, port: u16, backend: SocketAddr) -> String {
    format!(
        "[[pool]]\nname = \"{name}\"\nbackends = [{{ address = \"{backend}\" }}]\n\
         [[service]]\nname = \"{name}\"\nlisten = \"{scheme}://127.0.0.1:{port}\"\nforward = \"proxy\"\n\
         pool = \"{name}\"\n"
    )
}

/// A connection to what listens at `port`.
pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends something over it and expects it back.
pub(crate) fn talks(mut stream: &TcpStream) -> bool {
    let mut back = [0; 5];
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"hello"
}

/// Whether it was closed from the other side.
pub(crate) fn is_closed(mut stream: &TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

/// Whether somebody listens at `port`.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
