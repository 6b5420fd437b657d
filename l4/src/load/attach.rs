//! Attachments: one link for each interface, pinned under `PIN/links/INDEX-MODE`, so that packets are forwarded whether
//! or not this process runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use control::spec::{Interfaces, L4Spec, XdpMode};

use super::bpffs;
use crate::{
    net::Device,
    status::{AttachMode, Attachment},
    sys::object::{self, LinkInfo, Way},
};

/// Where links are pinned.
fn directory(pin: &Path) -> PathBuf {
    pin.join("links")
}

/// The program's attachments.
#[derive(Debug)]
pub(crate) struct Attachments {
    directory: PathBuf,
    links: BTreeMap<u32, Link>,
    /// Interfaces that it could not be attached to, with the reason; not tried again until they change.
    failed: BTreeMap<u32, String>,
}

#[derive(Debug)]
struct Link {
    link: OwnedFd,
    path: PathBuf,
    mode: AttachMode,
    reason: Option<String>,
    /// Others took it off.
    is_lost: bool,
}

/// Of an interface that others took the program off.
const LOST: &str =
    "it was taken off (`aplomb detach` does that); a restart of the daemon puts it on again";

impl Attachments {
    /// Those that are pinned; `program` takes the place of what they had attached, without a packet going by.
    pub(crate) fn adopt(pin: &Path, program: BorrowedFd<'_>) -> io::Result<Self> {
        let directory = directory(pin);
        bpffs::create(&directory)?;
        let mut links = BTreeMap::new();
        for (name, path) in bpffs::names(&directory) {
            let known = parse(&name);
            let link = object::open(&path)?;
            let (Some((index, mode)), Some(link)) = (known, link) else {
                continue;
            };
            let info = LinkInfo::of(link.as_fd())?;
            let replaced = object::replace(link.as_fd(), program);
            if info.interface != index || replaced.is_err() {
                // The interface is gone, and the link with it.
                bpffs::unpin(&path)?;
                continue;
            }
            let reason = None;
            links.insert(
                index,
                Link {
                    link,
                    path,
                    mode,
                    reason,
                    is_lost: false,
                },
            );
        }
        Ok(Self {
            directory,
            links,
            failed: BTreeMap::new(),
        })
    }

    /// Attaches where it shall be, and takes it off where it shall not.
    pub(crate) fn become_of(
        &mut self,
        spec: &L4Spec,
        devices: &[Device],
        program: BorrowedFd<'_>,
    ) -> Vec<Attachment> {
        let wanted: Vec<_> = devices
            .iter()
            .filter(|d| is_wanted(&spec.interfaces, d))
            .collect();
        let indices: BTreeSet<u32> = wanted.iter().map(|d| d.index).collect();
        let leave: Vec<u32> = self
            .links
            .keys()
            .filter(|i| !indices.contains(i))
            .copied()
            .collect();
        for index in leave {
            self.release(index);
        }
        self.failed.retain(|index, _| indices.contains(index));
        for device in &wanted {
            let fits = |link: &Link| match spec.mode {
                XdpMode::Auto => true,
                XdpMode::Native => link.mode == AttachMode::Native,
                XdpMode::Generic => link.mode == AttachMode::Generic,
            };
            match self.links.get(&device.index) {
                Some(link) if fits(link) => continue,
                Some(_) => self.release(device.index),
                None => {}
            }
            self.attach(spec.mode, device, program);
        }
        let mut all: Vec<_> = wanted
            .iter()
            .map(|device| self.attachment(device))
            .collect();
        if let Interfaces::Named(names) = &spec.interfaces {
            let missing = names
                .iter()
                .filter(|n| !wanted.iter().any(|d| d.name == **n));
            all.extend(missing.map(|name| Attachment {
                interface: name.clone(),
                index: 0,
                mode: None,
                reason: Some("there is no such interface".into()),
            }));
        }
        all
    }

    fn attachment(&self, device: &Device) -> Attachment {
        let link = self.links.get(&device.index);
        let failed = self.failed.get(&device.index);
        Attachment {
            interface: device.name.clone(),
            index: device.index,
            mode: link.filter(|l| !l.is_lost).map(|l| l.mode),
            reason: match link {
                Some(link) if link.is_lost => Some(LOST.into()),
                link => link.and_then(|l| l.reason.clone()).or(failed.cloned()),
            },
        }
    }

    /// Whether others took the program off an interface since this was last asked. It is not put on again: somebody
    /// wanted it.
    pub(crate) fn lose(&mut self) -> bool {
        let mut any = false;
        for (index, link) in self.links.iter_mut().filter(|(_, link)| !link.is_lost) {
            let info = LinkInfo::of(link.link.as_fd());
            if info.is_ok_and(|info| info.interface == 0) {
                tracing::warn!(index, "the program was taken off an interface");
                link.is_lost = true;
                any = true;
            }
        }
        any
    }

    fn attach(&mut self, mode: XdpMode, device: &Device, program: BorrowedFd<'_>) {
        let native = || object::attach(program, device.index, Way::Native);
        let generic = || object::attach(program, device.index, Way::Generic);
        let link = match mode {
            XdpMode::Native => native().map(|l| (l, AttachMode::Native, None)),
            XdpMode::Generic => generic().map(|l| (l, AttachMode::Generic, None)),
            XdpMode::Auto => native()
                .map(|l| (l, AttachMode::Native, None))
                .or_else(|error| {
                    let why = format!("the driver does not take it: {}", words(&error));
                    generic().map(|l| (l, AttachMode::Generic, Some(why)))
                }),
        };
        let done = link.and_then(|(link, mode, reason)| {
            let path = self.directory.join(name(device.index, mode));
            bpffs::unpin(&path)?;
            object::pin(link.as_fd(), &path)?;
            Ok(Link {
                link,
                path,
                mode,
                reason,
                is_lost: false,
            })
        });
        match done {
            Ok(link) => {
                tracing::info!(interface = device.name, mode = ?link.mode, "attached");
                self.failed.remove(&device.index);
                self.links.insert(device.index, link);
            }
            Err(error) => {
                let why = words(&error);
                if self.failed.insert(device.index, why.clone()).as_ref() != Some(&why) {
                    tracing::warn!(interface = device.name, "not attached: {why}");
                }
            }
        }
    }

    fn release(&mut self, index: u32) {
        let Some(link) = self.links.remove(&index) else {
            return;
        };
        // The interface may be gone already, and the link with it.
        if let Err(error) = object::detach(link.link.as_fd()) {
            tracing::debug!(%error, index, "detaching");
        }
        if let Err(error) = bpffs::unpin(&link.path) {
            tracing::warn!(%error, index, "a pin of a link stays");
        }
    }
}

/// Takes everything off and out: programs from interfaces, maps from their pins. Packets are the machine's own again.
///
/// # Errors
/// Some of it is still there.
pub(crate) fn detach(pin: &Path) -> io::Result<usize> {
    let mut detached = 0;
    for (_, path) in bpffs::names(&directory(pin)) {
        if let Some(link) = object::open(&path)? {
            let attached = LinkInfo::of(link.as_fd()).is_ok_and(|info| info.interface != 0);
            if attached {
                object::detach(link.as_fd())?;
                detached += 1;
            }
        }
        bpffs::unpin(&path)?;
    }
    for (name, path) in bpffs::names(pin) {
        if name == "links" || is_layout(&name) {
            for (_, map) in bpffs::names(&path) {
                bpffs::unpin(&map)?;
            }
            std::fs::remove_dir(&path)?;
        }
    }
    match std::fs::remove_dir(pin) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(detached),
    }
}

/// Whether a directory is one of maps.
fn is_layout(name: &str) -> bool {
    let number = name.strip_prefix('v').map(str::parse::<u32>);
    matches!(number, Some(Ok(_)))
}

/// Whether packets come in by a device: by one that is not part of another, or on top of another, which then has them.
fn is_wanted(interfaces: &Interfaces, device: &Device) -> bool {
    if let Interfaces::Named(names) = interfaces {
        return names.contains(&device.name);
    }
    let below = device.lower.is_some()
        || matches!(
            device.kind.as_str(),
            "vlan" | "macvlan" | "ipvlan" | "macvtap"
        );
    device.up && !device.loopback && device.mac.is_some() && device.master.is_none() && !below
}

fn name(index: u32, mode: AttachMode) -> String {
    let mode = match mode {
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    };
    format!("{index}-{mode}")
}

fn parse(name: &str) -> Option<(u32, AttachMode)> {
    let (index, mode) = name.split_once('-')?;
    let mode = match mode {
        "native" => AttachMode::Native,
        "generic" => AttachMode::Generic,
        _ => return None,
    };
    Some((index.parse().ok()?, mode))
}

fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EBUSY) => "another XDP program is attached there".into(),
        _ => error.to_string(),
    }
}
