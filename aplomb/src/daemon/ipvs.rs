//! What `ipvsadm` changed: kept over the file in force, and beside the admin socket, so that a restart or a successor
//! finds it.

use std::{fs, io, path::Path};

use control::{
    ipvs::{Edit, Error, Features, Overlay, Table},
    spec::{AdminSpec, Spec},
};

use crate::handoff::door_beside;

/// The most bytes of a file that is read again.
const LONGEST: u64 = 64 << 20;

/// The file's configuration and what was changed of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ipvs {
    file: Spec,
    overlay: Overlay,
}

impl Ipvs {
    /// What was changed of the file's configuration before this process began.
    pub(super) fn restore(file: Spec) -> Self {
        let path = path(&file.admin);
        let overlay = match read(&path) {
            Ok(overlay) => overlay,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Overlay::default(),
            Err(error) => {
                let path = path.display();
                tracing::error!("what ipvsadm changed is lost: {path} cannot be read: {error}");
                Overlay::default()
            }
        };
        Self { file, overlay }
    }

    /// The same over another file's configuration, which wins for what it defines; and what becomes of each change.
    pub(super) fn rebase(&self, file: Spec) -> (Self, Vec<String>) {
        let (overlay, notes) = self.overlay.rebase(&file);
        (Self { file, overlay }, notes)
    }

    /// The configuration in force.
    pub(super) fn effective(&self) -> Spec {
        self.overlay.effective(&self.file)
    }

    /// The table in force.
    pub(super) fn table(&self) -> Table {
        self.overlay.table(&self.file)
    }

    /// What comes of edits, and for each why it was not done.
    pub(super) fn edited(&self, edits: &[Edit]) -> (Self, Vec<Option<Error>>) {
        let mut table = self.table();
        let outcomes = edits
            .iter()
            .map(|edit| table.edit(edit, Features::OURS).err())
            .collect();
        let ipvs = Self {
            overlay: Overlay::between(&self.file, &table),
            file: self.file.clone(),
        };
        (ipvs, outcomes)
    }

    /// Keeps it for the next process. If it cannot be kept, what is in force stays so as long as this one runs.
    pub(super) fn keep(&self, admin: &AdminSpec) {
        let path = path(admin);
        if let Err(error) = write(&path, &self.overlay) {
            let path = path.display();
            tracing::warn!("a restart will not know what ipvsadm changed: {path}: {error}");
        }
    }
}

fn path(admin: &AdminSpec) -> std::path::PathBuf {
    door_beside(admin).with_extension("ipvs.json")
}

fn read(path: &Path) -> io::Result<Overlay> {
    let longest = fs::metadata(path)?.len();
    if longest > LONGEST {
        return Err(io::Error::other("it is too long"));
    }
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}

/// In place of what is there, all or nothing.
fn write(path: &Path, overlay: &Overlay) -> io::Result<()> {
    if overlay.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let temporary = path.with_extension(format!("json-{}", std::process::id()));
    fs::write(&temporary, serde_json::to_vec(overlay)?)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use control::{
        ipvs::{Protocol, Service, ServiceId},
        spec::AdminListen,
    };

    use super::*;

    fn file(directory: &Path) -> Spec {
        Spec {
            admin: AdminSpec {
                listen: AdminListen::Unix {
                    path: directory.join("admin.sock"),
                    mode: 0o600,
                    group: None,
                },
                metrics: None,
            },
            ..Spec::default()
        }
    }

    fn add() -> Edit {
        Edit::AddService(Service::new(ServiceId {
            protocol: Protocol::Udp,
            address: "192.0.2.1:53".parse().unwrap(),
        }))
    }

    #[test]
    fn a_restart_keeps_what_was_changed() {
        let dir = tempfile::tempdir().unwrap();
        let spec = file(dir.path());
        let first = Ipvs::restore(spec.clone());
        let (changed, outcomes) = first.edited(&[add(), add()]);
        assert_eq!(outcomes, [None, Some(Error::ServiceExists)]);
        changed.keep(&spec.admin);
        let again = Ipvs::restore(spec.clone());
        assert_eq!(again, changed);
        assert_eq!(again.effective().services.len(), 1);
        assert_eq!(
            again.rebase(spec.clone()).1.len(),
            1,
            "it is told that it stays"
        );

        let (empty, _) = again.edited(&[Edit::Flush]);
        empty.keep(&spec.admin);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
        assert_eq!(Ipvs::restore(spec), first);
    }

    #[test]
    fn what_cannot_be_read_is_not_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let spec = file(dir.path());
        fs::write(path(&spec.admin), "nonsense").unwrap();
        assert!(Ipvs::restore(spec).table().services.is_empty());
    }
}
