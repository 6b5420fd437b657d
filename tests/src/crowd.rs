//! Servers of thousands of connections, each a process of its own: one process may not have the descriptors of both ends.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Stdio},
};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Site;

/// Lets this process have as many descriptors as it may: how many that are.
pub fn raise_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // It is what it was, at worst.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// A running one; ended when its value is dropped.
#[derive(Debug)]
pub struct Crowd(Child);

impl Site {
    /// As [`Site::echo`] by TCP, for many: `program` is this package's `crowd`, which only its tests know
    /// (`CARGO_BIN_EXE_crowd`).
    #[must_use]
    pub fn crowd(&self, program: &Path, host: &str, at: SocketAddr) -> Crowd {
        let mut command = self.command(host, program);
        command.arg(host).arg(at.to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let _ = told.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{host}: no server at {at}");
        Crowd(child)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // The end of its standard input is what it waits for.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
