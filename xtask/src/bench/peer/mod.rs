//! Who is measured. Each peer is a function from a [`Setup`] to the command that runs it with the
//! same duties as all others: one worker, a log line for each request into a file, a health check
//! of the backend every 2 seconds (nginx has no active ones), every timeout set.

mod aplomb;
mod envoy;
mod haproxy;
mod nginx;

use super::process::{Cores, Process};
use crate::Result;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a peer may take until its first answer.
const START: Duration = Duration::from_secs(15);

/// The layer at which a peer forwards.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(crate) enum Mode {
    Http,
    Tcp,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Http => "http",
            Mode::Tcp => "tcp",
        }
    }
}

/// What a peer is to do, and where it may write.
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// Where the backend listens, on 127.0.0.1.
    pub(crate) upstream: u16,
    /// Whether it writes an access log.
    pub(crate) log: bool,
    pub(crate) folder: PathBuf,
}

impl Setup {
    fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// Writes a config and says where it is.
    fn config(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }
}

/// One contestant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peer {
    /// What it is called in the results.
    pub(crate) name: String,
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Aplomb,
    Haproxy,
    Nginx,
    Envoy,
    /// It forwards nothing, but holds virtual addresses.
    Keepalived,
}

impl Peer {
    /// Reads "haproxy", "nginx", "envoy", "keepalived", "aplomb", or "NAME=PATH": another build of aplomb.
    ///
    /// `None` with a loud line when the peer is not on this machine.
    pub(crate) fn find(word: &str) -> Result<Option<Peer>> {
        let own = crate::root().join("target/release/aplomb");
        let (name, kind, program) = match word.split_once('=') {
            Some((name, path)) => (name, Kind::Aplomb, Some(PathBuf::from(path))),
            None => match word {
                "aplomb" => (word, Kind::Aplomb, Some(own)),
                "haproxy" => (word, Kind::Haproxy, on_path("haproxy")),
                "nginx" => (word, Kind::Nginx, on_path("nginx")),
                "envoy" => (word, Kind::Envoy, envoy::find()),
                "keepalived" => (word, Kind::Keepalived, on_path("keepalived")),
                _ => {
                    return Err(format!(
                        "no peer {word}: haproxy, nginx, envoy, keepalived, aplomb or NAME=PATH"
                    ));
                }
            },
        };
        let Some(program) = program.filter(|path| path.exists()) else {
            eprintln!("SKIPPED: {word} is not on this machine");
            return Ok(None);
        };
        Ok(Some(Peer {
            name: name.to_owned(),
            kind,
            program,
        }))
    }

    /// What runs.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Whether it is the one that failover is measured beside.
    pub(crate) fn is_keepalived(&self) -> bool {
        self.kind == Kind::Keepalived
    }

    /// Whether it speaks VRRP.
    pub(crate) fn holds_addresses(&self) -> bool {
        matches!(self.kind, Kind::Keepalived | Kind::Aplomb)
    }

    /// The line with which it tells its version, without the path that it was called by.
    pub(crate) fn version(&self) -> String {
        let flag = if self.kind == Kind::Haproxy || self.kind == Kind::Nginx {
            "-v"
        } else {
            "--version"
        };
        let Ok(output) = Command::new(&self.program).arg(flag).output() else {
            return String::new();
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default()
            .trim_start_matches(&*self.program.to_string_lossy())
            .trim_start()
            .to_owned()
    }

    /// Starts it in `folder` and waits until it forwards.
    pub(crate) fn start(
        &self,
        mode: Mode,
        upstream: u16,
        log: bool,
        folder: &Path,
    ) -> Result<Running> {
        let folder = folder.join(&self.name);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let setup = Setup {
            mode,
            port: free_port()?,
            upstream,
            log,
            folder,
        };
        let mut command = match self.kind {
            Kind::Aplomb => aplomb::command(&self.program, &setup)?,
            Kind::Haproxy => haproxy::command(&self.program, &setup)?,
            Kind::Nginx => nginx::command(&self.program, &setup)?,
            Kind::Envoy => envoy::command(&self.program, &setup)?,
            Kind::Keepalived => return Err("keepalived does not forward".into()),
        };
        let errors = setup.folder.join("stderr.log");
        let file = File::create(&errors).map_err(|e| format!("{}: {e}", errors.display()))?;
        let process = Process::start(command.stdin(Stdio::null()).stderr(file), Cores::Measured)?;
        let mut running = Running {
            name: self.name.clone(),
            port: setup.port,
            process,
            setup,
        };
        running.wait_for_answer(&errors)?;
        Ok(running)
    }
}

/// A peer that forwards; ended when dropped.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) process: Process,
    setup: Setup,
}

impl Running {
    fn wait_for_answer(&mut self, errors: &Path) -> Result {
        let until = Instant::now() + START;
        while Instant::now() < until && self.process.is_running() {
            if answers(self.port) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = fs::read_to_string(errors).unwrap_or_default();
        Err(format!("{} does not forward; it said:\n{said}", self.name))
    }

    /// Empties the access log, which grows by some 10 MB a second.
    pub(crate) fn trim_log(&self) {
        if let Ok(file) = File::options().write(true).open(self.setup.access_log()) {
            let _ = file.set_len(0);
        }
    }

    /// What it complained about, for an error that is to be understood.
    pub(crate) fn complaints(&self) -> String {
        let tail = |name: &str| {
            let text = fs::read_to_string(self.setup.folder.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(10)..].join("\n")
        };
        [tail("stderr.log"), tail("error.log")].join("\n")
    }

    /// Whether there is something in the access log, or soon is: peers flush it each second.
    pub(crate) fn has_logged(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(3);
        let size = || fs::metadata(self.setup.access_log()).map_or(0, |about| about.len());
        while size() == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        size() > 0
    }
}

/// Whether a request to `port` on loopback is answered with 200.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// A port of loopback that is free now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free port: {e}"))?;
    let address = listener
        .local_addr()
        .map_err(|e| format!("no free port: {e}"))?;
    Ok(address.port())
}

/// The program `name`, in PATH or where administration tools are.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
