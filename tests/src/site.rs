//! A site of layer 4: client, director and three servers, each in a network namespace. Made by the program's own
//! `lab site`, so that labs, tests and benchmarks have the same one. It needs root.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use crate::{Daemon, program};

/// A running site; ended, with all its namespaces, when its value is dropped.
#[derive(Debug)]
pub struct Site {
    holder: Child,
    told: serde_json::Value,
}

impl Site {
    /// Makes one: `shape` is what `aplomb lab site` takes (`--mode nat --family 6 --one-arm`).
    #[must_use]
    pub fn new(shape: &str) -> Self {
        let mut holder = Command::new(program())
            .args(["lab", "site"])
            .args(shape.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(holder.stdout.take().unwrap());
        let _ = told.read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line);
        let told = told.unwrap_or_else(|_| panic!("no site {shape}: {line}"));
        Self { holder, told }
    }

    /// The director's configuration that fits the site, but for `[admin]`.
    #[must_use]
    pub fn config(&self) -> &str {
        self.text("config")
    }

    /// Where the service is: `192.168.1.100:80`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.text("service")
    }

    /// The backends' addresses.
    #[must_use]
    pub fn backends(&self) -> Vec<&str> {
        let backends = self.told["backends"].as_array().unwrap();
        backends.iter().map(|b| b.as_str().unwrap()).collect()
    }

    fn text(&self, key: &str) -> &str {
        self.told[key].as_str().unwrap()
    }

    /// The file of a host's namespace: `client`, `director`, or `server1` to `server3`.
    #[must_use]
    pub fn namespace(&self, host: &str) -> PathBuf {
        let name = match host.strip_prefix("server") {
            Some(number) => &self.told["servers"][number.parse::<usize>().unwrap() - 1],
            None => &self.told[host],
        };
        Path::new("/run/netns").join(name.as_str().unwrap())
    }

    /// A command to be run on a host. Only its network is the host's: `ip netns exec` would hide `/sys`, and pinned
    /// programs with it.
    #[must_use]
    pub fn command(&self, host: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let net = format!("--net={}", self.namespace(host).display());
        let _ = command.arg(net).arg(program);
        command
    }

    /// Runs a shell line on a host and gives what came of it.
    #[must_use]
    pub fn run(&self, host: &str, line: &str) -> Output {
        let mut command = self.command(host, "sh");
        command
            .args(["-c", line])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The same; panics with what was said unless it succeeds.
    pub fn expect(&self, host: &str, line: &str) -> String {
        let output = self.run(host, line);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{host}: {line}: {}\n{out}{err}",
            output.status
        );
        out.into_owned()
    }

    /// aplomb on the director.
    #[must_use]
    pub fn daemon(&self, config: &str) -> Daemon {
        Daemon::start_by(&mut self.command("director", program()), config)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The end of its standard input is what it waits for.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
