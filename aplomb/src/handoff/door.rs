//! Where a successor that was not started by its predecessor finds it: a unix socket beside the admin socket.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use control::spec::{AdminListen, AdminSpec};
use tokio::net::UnixListener;

/// The listening socket; its file goes with it.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

/// Where the door of a daemon with this `[admin]` is: beside its admin socket, or beside the default one if it
/// has none.
#[must_use]
pub fn door_beside(admin: &AdminSpec) -> PathBuf {
    match &admin.listen {
        AdminListen::Unix { path, .. } => path.with_extension("handover"),
        AdminListen::Tcp { .. } => Path::new(AdminSpec::DEFAULT_SOCKET).with_extension("handover"),
    }
}

impl Door {
    /// Opens a door at `path`, in place of whatever is there: who opens one has taken over, or has found nobody to
    /// take over from. Only this user may come in. To be called within an event loop.
    ///
    /// # Errors
    /// The socket cannot be made there.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Made under another name, so that there is no moment when others could connect.
        let temporary = path.with_extension(format!("handover-{}", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary)?;
        let placed = fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&temporary, path))
            .and_then(|()| inode(path));
        match placed {
            Ok(inode) => Ok(Self {
                listener,
                path: path.to_owned(),
                inode,
            }),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next that knocks; none if it is neither of this user nor root. The stream blocks.
    ///
    /// # Errors
    /// As for accepting a connection.
    pub async fn next(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let peer = stream.peer_cred()?.uid();
        if peer != 0 && peer != rustix::process::geteuid().as_raw() {
            return Ok(None);
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(Some(stream))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Another may have opened its own there.
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
