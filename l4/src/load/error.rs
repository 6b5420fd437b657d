//! Why the kernel data plane does not run, for people: with the way out where there is one.

use std::{fmt, io, path::PathBuf};

/// Why the kernel data plane does not run.
#[derive(Debug)]
pub enum StartError {
    /// This process may not do it.
    NoRights {
        /// What it tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel is too old.
    OldKernel {
        /// Its release.
        release: String,
    },
    /// There is no BPF file system to pin to.
    NoBpffs {
        /// Where things were to be pinned.
        pin: PathBuf,
        /// Why none could be mounted.
        source: io::Error,
    },
    /// The kernel did not take the program or a map of it.
    Refused {
        /// What it said.
        why: String,
    },
    /// Something else failed.
    Io {
        /// What was done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    /// Something failed, by what the system said.
    pub(crate) fn of(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NoRights { what, source },
            _ => Self::Io { what, source },
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRights { what, source } => write!(
                f,
                "the kernel data plane needs the capabilities CAP_BPF and CAP_NET_ADMIN ({what}: {source})"
            )?,
            Self::OldKernel { release } => write!(
                f,
                "the kernel data plane needs Linux 5.15 or later, and this is {release}"
            )?,
            Self::NoBpffs { pin, source } => write!(
                f,
                "there is no BPF file system at {} (try `mount -t bpf bpf /sys/fs/bpf`, or set `pin` in [l4]): {source}",
                pin.display()
            )?,
            Self::Refused { why } => write!(f, "the kernel did not take the program: {why}")?,
            Self::Io { what, source } => write!(f, "{what}: {source}")?,
        }
        f.write_str("; services with forward = \"proxy\" do without the kernel data plane")
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoRights { source, .. }
            | Self::NoBpffs { source, .. }
            | Self::Io { source, .. } => Some(source),
            Self::OldKernel { .. } | Self::Refused { .. } => None,
        }
    }
}
