//! A unix socket whose file has the right owner and mode from the first moment that it has its name.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};

use super::BindError;

/// The file of a bound socket; removed when dropped, if it is still ours.
#[derive(Debug)]
pub(in super::super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: inode(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor has put its own socket there, which is not ours to remove.
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What tells a file from another of the same name.
fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// A listener at `path`. With `takes_over`, one that listens there already loses its name; else that is an error.
pub(super) fn bind(
    path: &Path,
    mode: u32,
    group: Option<&str>,
    takes_over: bool,
) -> Result<(UnixListener, SocketFile), BindError> {
    let fail =
        |why: &dyn std::fmt::Display| BindError::new(format_args!("unix:{}", path.display()), why);
    let group = group
        .map(|name| gid(name).map_err(|why| fail(&why)))
        .transpose()?;
    make_parent(path).map_err(|e| fail(&format_args!("its directory cannot be made: {e}")))?;
    if !takes_over {
        must_be_free(path).map_err(|why| fail(&why))?;
    }
    place(path, mode, group).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => fail(&format_args!(
            "{error}; run it as a user who may write to that directory, or name another path"
        )),
        _ => fail(&error),
    })
}

fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.exists() => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent),
        _ => Ok(()),
    }
}

/// Nobody listens at `path`, and what is there may go.
fn must_be_free(path: &Path) -> Result<(), String> {
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(meta) => meta,
    };
    if !meta.file_type().is_socket() {
        return Err(
            "there is a file that is not a socket; move it away, or name another path".into(),
        );
    }
    if answers(path) {
        return Err(
            "another aplomb listens there; stop it, or hand over with `aplomb upgrade`".into(),
        );
    }
    Ok(())
}

/// Whether somebody listens. Without waiting: a full backlog is an answer too.
fn answers(path: &Path) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let Ok(socket) = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
    else {
        return true;
    };
    let Ok(address) = SocketAddrUnix::new(path) else {
        return false;
    };
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => true,
        Err(_) => false,
    }
}

/// Binds in a directory that only we can enter, sets owner and mode there, and moves the socket to its name at once.
fn place(path: &Path, mode: u32, group: Option<u32>) -> io::Result<(UnixListener, SocketFile)> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let private = parent.join(format!(".aplomb-{}", std::process::id()));
    // Left by a process of the same number that was killed between two of these lines.
    let _ = fs::remove_dir_all(&private);
    fs::DirBuilder::new().mode(0o700).create(&private)?;
    let made = place_from(&private.join("s"), path, mode, group);
    let _ = fs::remove_dir_all(&private);
    made
}

fn place_from(
    temporary: &Path,
    path: &Path,
    mode: u32,
    group: Option<u32>,
) -> io::Result<(UnixListener, SocketFile)> {
    let listener = UnixListener::bind(temporary)?;
    listener.set_nonblocking(true)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(temporary, None, Some(group))?;
    }
    let mode = Mode::from_bits_truncate(mode).bits();
    fs::set_permissions(temporary, fs::Permissions::from_mode(mode))?;
    fs::rename(temporary, path)?;
    Ok((listener, SocketFile::of(path)?))
}

/// The number of a group, from /etc/group.
fn gid(name: &str) -> Result<u32, String> {
    let text =
        fs::read_to_string("/etc/group").map_err(|e| format!("cannot read /etc/group: {e}"))?;
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()?;
            let number = fields.nth(1)?;
            (found == name).then(|| number.parse().ok())?
        })
        .next()
        .ok_or_else(|| {
            format!("there is no group {name:?}; make it with `groupadd --system {name}`")
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn place_for() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/admin.sock");
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_owner() {
        let (_dir, path) = place_for();
        let (_listener, file) = bind(&path, 0o620, None, false).unwrap();
        assert_eq!(mode(&path), 0o620);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let (_dir, path) = place_for();
        let (listener, file) = bind(&path, 0o600, None, false).unwrap();
        let refused = bind(&path, 0o600, None, false).unwrap_err().to_string();
        assert!(
            refused.contains("another aplomb listens there"),
            "{refused}"
        );

        // Killed: the listener is gone, its file is not.
        drop(listener);
        std::mem::forget(file);
        assert!(path.exists());
        let _ = bind(&path, 0o600, None, false).unwrap();
    }

    #[test]
    fn a_successor_takes_the_name_and_keeps_it() {
        let (_dir, path) = place_for();
        let (_old, old_file) = bind(&path, 0o600, None, false).unwrap();
        let (new, _new_file) = bind(&path, 0o600, None, true).unwrap();
        drop(old_file);
        assert!(path.exists());
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        new.set_nonblocking(false).unwrap();
        let _ = new.accept().unwrap();
        drop(client);
    }

    #[test]
    fn other_files_are_left_alone() {
        let (_dir, path) = place_for();
        make_parent(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let refused = bind(&path, 0o600, None, false).unwrap_err().to_string();
        assert!(refused.contains("not a socket"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn an_unknown_group_is_named() {
        let (_dir, path) = place_for();
        let refused = bind(&path, 0o660, Some("no-such-group"), false).unwrap_err();
        assert!(refused.to_string().contains("groupadd"), "{refused}");
        assert!(!path.exists());
        assert_eq!(gid("root"), Ok(0));
    }
}
