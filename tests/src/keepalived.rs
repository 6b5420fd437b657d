//! keepalived on a host of a [`Net`], as a peer that speaks VRRP.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::Net;

/// A running keepalived.
#[derive(Debug)]
pub struct Keepalived {
    dir: tempfile::TempDir,
    child: Child,
    ended: bool,
}

impl Keepalived {
    /// Starts it on a host with one `vrrp_instance`, whose body this is. `globals` go into `global_defs`.
    #[must_use]
    pub fn start(net: &Net, host: &str, globals: &str, instance: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let config = format!(
            "global_defs {{\n  router_id {host}\n  {globals}\n}}\nvrrp_instance edge {{\n  interface eth0\n  {instance}\n}}\n"
        );
        fs::write(file("conf"), config).unwrap();
        let log = fs::File::create(file("log")).unwrap();
        let child = net
            .command(host, "keepalived")
            .args(["-n", "-l", "-D", "-f"])
            .arg(file("conf"))
            .arg("-p")
            .arg(file("pid"))
            .arg("-r")
            .arg(file("vrrp-pid"))
            .arg("-c")
            .arg(file("checkers-pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("keepalived runs (scripts/setup.sh test)");
        Self {
            dir,
            child,
            ended: false,
        }
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Has it end in order: it says that it leaves.
    pub fn stop(&mut self) {
        self.signal("vrrp-pid", "-TERM");
        self.signal("pid", "-TERM");
        let _ = self.child.wait();
        self.ended = true;
    }

    /// Has it vanish without a word: its parent must not be there to clean up after the child.
    pub fn crash(&mut self) {
        self.signal("pid", "-STOP");
        self.signal("vrrp-pid", "-KILL");
        self.signal("pid", "-KILL");
        let _ = self.child.wait();
        self.ended = true;
    }

    fn signal(&self, file: &str, signal: &str) {
        let path: PathBuf = self.dir.path().join(file);
        if let Ok(pid) = fs::read_to_string(path) {
            let _ = Command::new("kill").args([signal, pid.trim()]).status();
        }
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- keepalived's log\n{}", self.log());
        }
        // Its numbers may be somebody else's by now.
        if !self.ended {
            self.crash();
        }
    }
}
