//! Two nodes that hold an address together, and a client, on one link.

use std::{
    fs::File,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Daemon, Net, program, wait_for};

/// `one` is 10.77.0.1, `two` 10.77.0.2, `client` 10.77.0.3; what they hold is 10.77.0.100.
#[derive(Debug)]
pub struct Pair {
    /// The link.
    pub net: Net,
    dir: tempfile::TempDir,
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// The address that they hold.
    pub const ADDRESS: &'static str = "10.77.0.100";

    /// Nothing runs on them yet.
    #[must_use]
    pub fn new() -> Self {
        let pair = Self {
            net: Net::new(&["one", "two", "client"]),
            dir: tempfile::tempdir().unwrap(),
        };
        for host in ["one", "two"] {
            // Over IPv6 adverts come from the link-local address, which takes a second to be tried.
            wait_for("a link-local address", || {
                let shown = pair.run(host, "ip -6 addr show dev eth0 scope link");
                shown.contains("fe80") && !shown.contains("tentative")
            });
        }
        pair
    }

    /// A directory for files of the test.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// An aplomb on a node.
    #[must_use]
    pub fn start(&self, host: &str, config: &str) -> Daemon {
        self.start_with(host, config, |_| {})
    }

    /// The same, with something done to the command that starts it.
    #[must_use]
    pub fn start_with(
        &self,
        host: &str,
        config: &str,
        change: impl FnOnce(&mut Command),
    ) -> Daemon {
        let program = program().to_str().unwrap();
        let mut command = self.net.command(host, program);
        change(&mut command);
        Daemon::start_by(&mut command, config)
    }

    /// Whether a node has the address on one of its interfaces.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        self.holds(host, Self::ADDRESS)
    }

    /// Whether a node has that address on one of its interfaces.
    #[must_use]
    pub fn holds(&self, host: &str, address: &str) -> bool {
        self.run(host, "ip addr").contains(&format!(" {address}/"))
    }

    /// Waits until a node has the address, and the other does not.
    pub fn wait_master(&self, host: &str) {
        let other = if host == "one" { "two" } else { "one" };
        wait_for(&format!("{host} to have the address"), || {
            self.has(host) && !self.has(other)
        });
    }

    /// Whether somebody answers to the address.
    #[must_use]
    pub fn client_reaches(&self) -> bool {
        let path = format!("/run/netns/{}", self.net.namespace("client"));
        let knock = move || {
            let space = File::open(path).unwrap();
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            // Nothing listens there, and to say so takes a machine.
            let to = SocketAddr::from(([10, 77, 0, 100], 9));
            TcpStream::connect_timeout(&to, Duration::from_secs(2))
        };
        let refused = thread::spawn(knock).join().unwrap().unwrap_err();
        refused.kind() == ErrorKind::ConnectionRefused
    }

    /// Where the client has the address.
    #[must_use]
    pub fn client_mac(&self) -> String {
        let shown = self.run("client", "ip neigh show 10.77.0.100");
        let mut mac = shown
            .split_whitespace()
            .skip_while(|word| *word != "lladdr");
        mac.nth(1).unwrap_or_default().to_owned()
    }

    /// The MAC address of a node.
    #[must_use]
    pub fn mac(&self, host: &str) -> String {
        self.run(host, "cat /sys/class/net/eth0/address")
            .trim()
            .to_owned()
    }

    fn run(&self, host: &str, line: &str) -> String {
        let output = self.net.run(host, line);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
