//! A site with its servers at work, and what a daemon for it needs: a configuration, and a place to pin programs.

use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tokio::runtime::Handle;

use super::{
    aside,
    backend::Backend,
    site::{Mode, Plan, SERVERS, Site, Space},
    unwrap,
};

/// What the names of all stages' directories begin with; the process's number comes next.
const PREFIX: &str = "aplomb-lab-l4-";
/// The BPF file system in it.
const PINS: &str = "bpf";

/// The whole; what it made is gone when it is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    /// The servers, running.
    pub(super) backends: Vec<Backend>,
    /// Runs what is the client's.
    pub(super) client: Handle,
    /// Namespaces.
    pub(super) site: Site,
    /// For the daemon's files.
    pub(super) directory: tempfile::TempDir,
}

impl Stage {
    /// Sets it up.
    ///
    /// # Errors
    /// What it is that cannot be.
    pub(super) fn new(plan: Plan) -> io::Result<Self> {
        let site = Site::new(plan)?;
        let client = aside::runtime(Some(&site.client))?;
        sweep();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir()?;
        let mut stage = Self {
            backends: Vec::new(),
            client,
            site,
            directory,
        };
        for number in 1..=SERVERS {
            stage.serve(number)?;
        }
        std::fs::create_dir(stage.pins())?;
        // One of its own: what is pinned goes with it.
        mount("bpf", stage.pins(), "bpf", MountFlags::empty(), None)?;
        Ok(stage)
    }

    fn serve(&mut self, number: u8) -> io::Result<()> {
        let space = &self.site.servers[usize::from(number) - 1];
        let runtime = aside::runtime(Some(space))?;
        let _on_it = runtime.enter();
        let address = self.site.plan.server(number);
        let backend = Backend::start_on(number.into(), address);
        self.backends.push(backend);
        if self.site.plan.mode == Mode::Tunnel {
            unwrap_in(space)?;
        }
        Ok(())
    }

    /// A BPF file system.
    fn pins(&self) -> PathBuf {
        self.directory.path().join(PINS)
    }

    /// The daemon's configuration, but for `[admin]`.
    pub(super) fn config(&self) -> String {
        config(self.site.plan, &self.pins().join("aplomb"))
    }
}

/// Removes the directories of labs whose process was killed before it could, and the programs pinned in them.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let owner = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            let _ = unmount(entry.path().join(PINS), UnmountFlags::DETACH);
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Unwraps what comes to a server through a tunnel.
fn unwrap_in(space: &Space) -> io::Result<()> {
    let work = space.inside(unwrap::prepare)?;
    let thread = std::thread::Builder::new().name("aplomb-unwrap".into());
    let _ = thread.spawn(work)?;
    space.ip(&format!("link set {} up", unwrap::DEVICE))
}

fn config(plan: Plan, pins: &Path) -> String {
    let mut config = format!("[l4]\npin = \"{}\"\n", pins.display());
    config.push_str(
        "\n[[pool]]\nname = \"web\"\nbalance = \"wlc\"\n\
         check = { http = \"/healthz\", interval = \"1s\", timeout = \"500ms\", rise = 2, fall = 2 }\nbackends = [\n",
    );
    for number in 1..=SERVERS {
        // Writing to a string cannot fail.
        let _ = writeln!(config, "  {{ address = \"{}\" }},", plan.server(number));
    }
    let _ = write!(
        config,
        "]\n\n[[service]]\nname = \"shop\"\nlisten = \"tcp://{}\"\nforward = \"{}\"\npool = \"web\"\n",
        plan.service(),
        plan.mode.word()
    );
    if plan.mode == Mode::Tunnel {
        config.push_str(
            "mss = 1380    # what fits into the tunnel, with an outer header of either family\n",
        );
    }
    config
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = unmount(self.pins(), UnmountFlags::DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_configuration_is_in_order() {
        for mode in [Mode::Nat, Mode::Direct, Mode::Tunnel] {
            for (v6, one_arm) in [(false, false), (true, false), (false, true), (true, true)] {
                let plan = Plan {
                    mode,
                    v6,
                    one_arm,
                    second: false,
                };
                let text = config(plan, Path::new("/sys/fs/bpf/lab"));
                let admitted = crate::config::admit(&text, Path::new("lab.toml"));
                let admitted = admitted.unwrap_or_else(|problems| panic!("{text}\n{problems}"));
                assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
                assert_eq!(admitted.spec.pools[0].backends.len(), 3);
                let listen = admitted.spec.services[0].listen[0].address;
                assert_eq!(listen, plan.service());
            }
        }
    }
}
