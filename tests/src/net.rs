//! Network namespaces of a test's own, gone when it ends. They need root.

use std::process::{Command, Output, Stdio};

/// Whether namespaces can be made; says loudly that `test` is skipped if not. CI runs as root and sets
/// `APLOMB_NO_SKIP`, so that a skipped test there is a failed one.
#[must_use]
pub fn needs_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(
            std::env::var_os("APLOMB_NO_SKIP").is_none(),
            "{test} needs root, and skipping is forbidden"
        );
        eprintln!("SKIPPED: {test} needs root");
    }
    root
}

/// A line of hosts on one bridge: each is a namespace with `eth0` at 10.77.0.N/24 and fd77::N/64.
#[derive(Debug)]
pub struct Net {
    prefix: String,
    hosts: Vec<String>,
}

impl Net {
    /// Makes one namespace for each of `hosts` (at most 200), and one for the bridge between them.
    #[must_use]
    pub fn new(hosts: &[&str]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!(
            "ap{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut net = Self {
            prefix,
            hosts: vec!["bridge".into()],
        };
        let bridge = net.namespace("bridge");
        ip(&["netns", "add", &bridge]);
        ip(&["-n", &bridge, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &bridge, "link", "set", "br0", "up"]);
        for (index, host) in hosts.iter().enumerate() {
            net.join(host, index + 1, &bridge);
        }
        net
    }

    fn join(&mut self, host: &str, number: usize, bridge: &str) {
        let namespace = self.namespace(host);
        let port = format!("p{number}");
        self.hosts.push(host.into());
        ip(&["netns", "add", &namespace]);
        ip(&[
            "-n", bridge, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns",
            &namespace,
        ]);
        ip(&["-n", bridge, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        ip(&[
            "-n",
            &namespace,
            "addr",
            "add",
            &format!("10.77.0.{number}/24"),
            "dev",
            "eth0",
        ]);
        ip(&[
            "-n",
            &namespace,
            "addr",
            "add",
            &format!("fd77::{number}/64"),
            "dev",
            "eth0",
            "nodad",
        ]);
        ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
    }

    /// The system's name of a host's namespace.
    #[must_use]
    pub fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// A command to be run on a host.
    #[must_use]
    pub fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        let _ = command.args(["netns", "exec", &self.namespace(host), program]);
        command
    }

    /// Runs a shell line on a host and gives what came of it.
    #[must_use]
    pub fn run(&self, host: &str, line: &str) -> Output {
        self.command(host, "sh")
            .args(["-c", line])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Takes a host's cable out, or puts it back: packets vanish, no error comes.
    pub fn cable(&self, host: &str, plugged: bool) {
        let number = self.hosts.iter().position(|h| h == host).unwrap();
        let state = if plugged { "up" } else { "down" };
        ip(&[
            "-n",
            &self.namespace("bridge"),
            "link",
            "set",
            &format!("p{number}"),
            state,
        ]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.namespace(host)])
                .status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("ip runs (apt install iproute2)");
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
