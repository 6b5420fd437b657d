//! FRR's vrrpd (with its zebra) on a host of a [`Net`], a second peer that speaks VRRP.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
};

use crate::{Net, wait_for};

/// Where Debian has its daemons.
const PLACE: &str = "/usr/lib/frr";

/// A running vrrpd.
#[derive(Debug)]
pub struct Frr {
    dir: tempfile::TempDir,
    namespace: String,
    children: Vec<Child>,
}

impl Frr {
    /// Starts it on a host. `setup` is a shell line that makes its macvlan device, `config` is vrrpd's.
    #[must_use]
    pub fn start(net: &Net, host: &str, setup: &str, config: &str) -> Self {
        let done = net.run(host, setup);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let mut frr = Self {
            dir: tempfile::tempdir().unwrap(),
            namespace: net.namespace(host),
            children: Vec::new(),
        };
        // They become a user of their own.
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(frr.dir.path(), all).unwrap();
        frr.daemon(net, host, "zebra", "");
        wait_for("zebra", || frr.dir.path().join("zserv.api").exists());
        frr.daemon(net, host, "vrrpd", config);
        frr
    }

    fn daemon(&mut self, net: &Net, host: &str, name: &str, config: &str) {
        let file = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        fs::write(file("conf"), config).unwrap();
        let log = fs::File::create(file("log")).unwrap();
        let child = net
            .command(host, &format!("{PLACE}/{name}"))
            .args(["-A", "127.0.0.1", "--log", "stdout"])
            .arg("-f")
            .arg(file("conf"))
            .arg("-i")
            .arg(file("pid"))
            .arg("-z")
            .arg(self.dir.path().join("zserv.api"))
            .arg("--vty_socket")
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("FRR's daemons run (scripts/setup.sh test)");
        self.children.push(child);
    }

    /// `show vrrp`, as its shell prints it.
    #[must_use]
    pub fn show(&self) -> String {
        let output = std::process::Command::new("ip")
            .args(["netns", "exec", &self.namespace, "vtysh", "--vty_socket"])
            .arg(self.dir.path())
            .args(["-d", "vrrpd", "-c", "show vrrp"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether its virtual router of IPv4 is that: `Master`, `Backup`.
    #[must_use]
    pub fn is(&self, state: &str) -> bool {
        let shown = self.show();
        let mut lines = shown
            .lines()
            .filter(|line| line.trim_start().starts_with("Status (v4)"));
        lines.any(|line| line.trim_end().ends_with(state))
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- vrrpd's state\n{}", self.show());
            for name in ["zebra", "vrrpd"] {
                let log = self.dir.path().join(format!("{name}.log"));
                eprintln!(
                    "--- {name}\n{}",
                    fs::read_to_string(log).unwrap_or_default()
                );
            }
        }
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
