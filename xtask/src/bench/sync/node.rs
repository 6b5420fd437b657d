//! One of the two nodes: aplomb with a service by `direct` and connection sync.

use super::super::failover::place::Place;
use super::super::process::{Cores, Process};
use crate::Result;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the kernel keeps what is pinned.
const PINS: &str = "/sys/fs/bpf";
/// With the number of the process after it, how folders there are called.
const PREFIX: &str = "bench-sync-";

/// How it is set.
pub(super) struct Setup {
    pub(super) v6: bool,
    pub(super) rate: &'static str,
    /// Room in its tables.
    pub(super) flows: u32,
}

/// A running one; ended when dropped, with what it has pinned.
pub(super) struct Node {
    process: Process,
    folder: PathBuf,
    pin: PathBuf,
}

impl Setup {
    pub(super) fn flows(&self) -> u32 {
        self.flows
    }

    /// The configuration of a node with its files in `folder`.
    fn config(&self, host: usize, folder: &Path, pin: &Path) -> String {
        let (vip, backend) = if self.v6 {
            ("[fd77::100]:80", "[fd77::3]:80")
        } else {
            ("10.77.0.100:80", "10.77.0.3:80")
        };
        format!(
            "[admin]\nlisten = \"unix:{folder}/admin.sock\"\n\
             [l4]\npin = \"{pin}\"\nmax-flows = {}\n\
             [sync]\nlisten = \"10.77.0.{}:8849\"\npeers = [\"10.77.0.{}:8849\"]\nrate = \"{}\"\nwait = \"1s\"\n\
             keys = [{{ id = 1, secret = {{ file = \"{folder}/key\" }} }}]\n\
             [[pool]]\nname = \"web\"\nbackends = [\"{backend}\"]\n\
             [[service]]\nname = \"web\"\nlisten = \"tcp://{vip}\"\nforward = \"direct\"\npool = \"web\"\n",
            self.flows,
            host + 1,
            2 - host,
            self.rate,
            folder = folder.display(),
            pin = pin.display(),
        )
    }
}

impl Node {
    pub(super) fn start(
        program: &Path,
        place: &Place,
        host: usize,
        setup: &Setup,
        folder: &Path,
    ) -> Result<Node> {
        let folder = folder.join(format!("node{host}"));
        let pin = format!("{PREFIX}{}-{host}", std::process::id());
        let pin = Path::new(PINS).join(pin);
        let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(fail)?;
        fs::write(
            folder.join("key"),
            "a key that has more than 32 characters\n",
        )
        .map_err(fail)?;
        fs::write(folder.join("conf"), setup.config(host, &folder, &pin)).map_err(fail)?;
        let log = File::create(folder.join("log")).map_err(fail)?;
        let mut command = place.enter(host, program);
        command.args(["run", "-c"]).arg(folder.join("conf"));
        command.stdout(log.try_clone().map_err(fail)?).stderr(log);
        let node = Node {
            process: Process::start(&mut command, Cores::Any)?,
            folder,
            pin,
        };
        let patience = Duration::from_secs(60);
        node.wait("to run", patience, |status| status.is_object())?;
        Ok(node)
    }

    /// Everything it has said.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Connection sync as it sees it; null as long as it does not answer.
    pub(super) fn status(&self) -> Value {
        let asked = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.folder.join("admin.sock"))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /v1/l4 HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = asked().unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let all: Value = serde_json::from_str(body).unwrap_or_default();
        all["sync"].clone()
    }

    /// Waits until it is so, by a fresh look every fifth of a second: so often it is told anew.
    pub(super) fn wait(
        &self,
        what: &str,
        patience: Duration,
        mut is: impl FnMut(&Value) -> bool,
    ) -> Result {
        let until = Instant::now() + patience;
        loop {
            let status = self.status();
            if is(&status) {
                return Ok(());
            }
            if Instant::now() > until {
                let said = self.said();
                return Err(format!("waited too long for it {what}: {status}\n{said}"));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// What the thread of connection sync has taken of processors.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let tree = self.process.tree();
        let tasks = format!("/proc/{}/task", tree.first().ok_or("no process")?);
        for task in fs::read_dir(&tasks).map_err(|e| format!("{tasks}: {e}"))? {
            let task = task.map_err(|e| format!("{tasks}: {e}"))?.path();
            let read = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
            if read("comm").trim() != "sync" {
                continue;
            }
            let times = read("schedstat");
            let nanos = times.split(' ').next().and_then(|time| time.parse().ok());
            let nanos = nanos.ok_or("a thread without times")?;
            return Ok(Duration::from_nanos(nanos));
        }
        Err(format!("no thread of connection sync:\n{}", self.said()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It ends with `process`; nobody opens what it has pinned any more. It may have pinned nothing.
        let _ = fs::remove_dir_all(&self.pin);
    }
}

/// Removes what nodes of runs that were killed have pinned.
pub(super) fn sweep() {
    for entry in fs::read_dir(PINS).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another run may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// How many things that the other told came to this.
pub(super) fn stored(status: &Value, what: &str) -> u64 {
    let all = status["stored"].as_array();
    let found = all.and_then(|all| all.iter().find(|count| count["reason"] == what));
    found
        .and_then(|count| count["packets"].as_u64())
        .unwrap_or(0)
}
