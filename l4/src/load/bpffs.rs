//! The BPF file system: where programs, links and maps are pinned, so that they outlive the process.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::StartError;

/// What `statfs` says of it.
const MAGIC: i64 = 0xcafe_4a11;
/// Where it is mounted by custom.
const USUAL: &str = "/sys/fs/bpf";

/// Makes sure that there is a directory at `pin` on a BPF file system; mounts one at the usual place if that is above.
pub(super) fn prepare(pin: &Path) -> Result<(), StartError> {
    let missing = |source| StartError::NoBpffs {
        pin: pin.into(),
        source,
    };
    if !is_on_bpffs(pin).map_err(missing)? {
        if !pin.starts_with(USUAL) {
            let source = io::Error::other("the directory is on another file system");
            return Err(missing(source));
        }
        mount().map_err(missing)?;
        tracing::info!("mounted the BPF file system at {USUAL}");
    }
    create(pin).map_err(StartError::of("making a directory of pins"))
}

/// Makes the directory of pins and gives it, with all that is in it, to another user, who can reach it from then on.
pub(super) fn give(pin: &Path, user: u32, group: u32) -> Result<(), StartError> {
    prepare(pin)?;
    let open = || {
        if pin.starts_with(USUAL) {
            // By custom root's alone; what is pinned there by others has its own permissions.
            let mut mode = fs::metadata(USUAL)?.permissions();
            mode.set_mode(mode.mode() | 0o011);
            fs::set_permissions(USUAL, mode)?;
        }
        chown_all(pin, user, group)
    };
    open().map_err(StartError::of(
        "giving the directory of pins to another user",
    ))
}

fn chown_all(path: &Path, user: u32, group: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), Some(group))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for (_, below) in names(path) {
            chown_all(&below, user, group)?;
        }
    }
    Ok(())
}

fn is_on_bpffs(path: &Path) -> io::Result<bool> {
    let there = path
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("/"));
    // The type's width differs between architectures.
    Ok(rustix::fs::statfs(there)?.f_type as i64 == MAGIC)
}

fn mount() -> io::Result<()> {
    use rustix::mount::{MountFlags, mount};
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", USUAL, "bpf", flags, Some(c"mode=0700")).map_err(io::Error::from)
}

/// Makes a directory and those above, for us alone.
pub(super) fn create(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// The names in a directory; none if it is not there.
pub(super) fn names(directory: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let entries = entries.flatten();
    entries
        .filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())))
        .collect()
}

/// Takes a pin out, if it is there.
pub(super) fn unpin(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
