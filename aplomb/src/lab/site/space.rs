//! Network namespaces: made, entered, and removed whatever happens.

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where named namespaces are, by iproute2's convention.
const PLACE: &str = "/run/netns";
/// What the names of all labs' namespaces begin with; the process's number comes next.
const PREFIX: &str = "aplomb-lab-";

/// A network namespace with a name; removed when dropped.
#[derive(Debug)]
pub(crate) struct Space {
    name: String,
}

impl Space {
    /// Makes one, with loopback up; `host` is the end of its name, `tag` tells this process's sites apart.
    ///
    /// # Errors
    /// What `ip` says.
    pub(super) fn new(tag: u32, host: &str) -> io::Result<Self> {
        let name = format!("{PREFIX}{}-{tag}-{host}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let space = Self { name };
        space.ip("link set lo up")?;
        Ok(space)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `ip LINE` within.
    pub(crate) fn ip(&self, line: &str) -> io::Result<()> {
        ip(&format!("-n {} {line}", self.name))
    }

    /// Runs `work` within, on a thread of its own.
    pub(crate) fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let file = File::open(self.file())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                Self::enter(&file)?;
                work()
            });
            let ended = thread.join();
            ended.map_err(|_| io::Error::other("a panic within a namespace"))?
        })
    }

    /// Moves the calling thread into the one whose [`Space::file`] this is, for good.
    pub(crate) fn enter(file: &File) -> io::Result<()> {
        Ok(move_into_link_name_space(
            file.as_fd(),
            Some(LinkNameSpaceType::Network),
        )?)
    }

    /// Has a command run within: in its network only, unlike `ip netns exec`, which hides `/sys` and thus pinned
    /// programs.
    pub(crate) fn command(&self, command: &mut Command) -> io::Result<()> {
        let file = File::open(self.file())?;
        // SAFETY: between fork and exec this makes one system call and allocates nothing, which is all that is allowed
        // there.
        let _ = unsafe { command.pre_exec(move || Self::enter(&file)) };
        Ok(())
    }

    /// Sets a kernel parameter within: `net.ipv4.ip_forward`.
    pub(super) fn set(&self, parameter: &str, value: &str) -> io::Result<()> {
        let file = format!("/proc/sys/{}", parameter.replace('.', "/"));
        let done = self.inside(|| std::fs::write(&file, value));
        done.map_err(|error| io::Error::new(error.kind(), format!("{parameter}: {error}")))
    }

    /// The file that stands for it.
    pub(crate) fn file(&self) -> PathBuf {
        Path::new(PLACE).join(&self.name)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.name));
    }
}

/// Runs `ip LINE`; the error is what it said.
fn ip(line: &str) -> io::Result<()> {
    let output = Command::new("ip")
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        // Ctrl-C on the terminal must not leave half of a site.
        .process_group(0)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("ip (of iproute2): {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {line}: {}", said.trim_end())))
}

/// Removes the namespaces of labs whose process was killed before it could.
pub(super) fn sweep() {
    let Ok(names) = std::fs::read_dir(PLACE) else {
        return;
    };
    for name in names.flatten().map(|entry| entry.file_name()) {
        let name = name.to_string_lossy();
        let owner = name.strip_prefix(PREFIX).and_then(|n| n.split('-').next());
        let owner = owner.and_then(|number| number.parse::<u32>().ok());
        if owner.is_some_and(|number| !Path::new(&format!("/proc/{number}")).exists()) {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}
