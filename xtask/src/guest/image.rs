//! The guest's kernel and its files, out of Debian's packages; nothing is installed here, and no rights are needed.

use super::cpio::Archive;
use super::modules;
use crate::Result;
use std::fs;
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that depends on the kernel's: its newest version.
const KERNEL: &str = "linux-image-cloud-amd64";

/// Programs, and the libraries they are linked with; `libgcc-s1` is for aplomb's own.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "dash",
    "ethtool",
    "iproute2",
    "ipvsadm",
    "libbpf1",
    "libbsd0",
    "libc6",
    "libcap2",
    "libelf1",
    "libgcc-s1",
    "libmd0",
    "libmnl0",
    "libnl-3-200",
    "libnl-genl-3-200",
    "libpopt0",
    "libxtables12",
    "zlib1g",
];

/// What is of no use in a guest, by the beginning of its path.
const LEFT_OUT: &[&str] = &[
    "etc",
    "usr/share",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/audit",
    "var",
];

/// Folders that are mounted upon or written to.
const FOLDERS: &[&str] = &[
    "dev", "etc", "job", "out", "proc", "root", "run", "sys", "tmp", "var",
];

/// The first process.
const INIT: &str = include_str!("../../guest/init.sh");

/// Changed when the image must be made anew though neither the kernel nor [`INIT`] changed.
const EDITION: &str = "2";

/// A guest ready to boot.
pub(super) struct Image {
    /// Where its files are.
    pub(super) folder: PathBuf,
    /// The kernel's release.
    pub(super) release: String,
}

impl Image {
    /// The kernel.
    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The first file system.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.join("files.cpio")
    }

    /// The image, made if it is not there or differs from what this program would make. It is not made again for a
    /// newer kernel package alone: removing `target/guest` does that.
    pub(super) fn ready() -> Result<Image> {
        let folder = crate::root().join("target/guest");
        let stamp = folder.join("stamp");
        let made_of = format!("{EDITION}\n{PACKAGES:?}\n{INIT}");
        let said = fs::read_to_string(&stamp).unwrap_or_default();
        if let Some((release, rest)) = said.split_once('\n')
            && rest == made_of
        {
            let release = release.to_owned();
            return Ok(Image { folder, release });
        }
        let release = build(&folder)?;
        write(&stamp, &format!("{release}\n{made_of}"))?;
        Ok(Image { folder, release })
    }
}

/// Makes all files of the image; the kernel's release.
fn build(folder: &Path) -> Result<String> {
    eprintln!("guest: making its image");
    let debs = folder.join("debs");
    make(&debs)?;
    let kernel = kernel_package()?;
    for package in PACKAGES.iter().copied().chain([kernel.as_str()]) {
        if deb(&debs, package).is_none() {
            called(
                Command::new("apt-get")
                    .args(["--quiet=2", "download", package])
                    .current_dir(&debs),
            )?;
        }
    }
    let work = tempfile::tempdir_in(folder).map_err(|e| e.to_string())?;
    let (system, boot) = (work.path().join("system"), work.path().join("kernel"));
    for package in PACKAGES {
        unpack(&debs, package, &system)?;
    }
    unpack(&debs, &kernel, &boot)?;
    for path in LEFT_OUT {
        for path in [
            system.join(path),
            system.join(path.replace("usr/lib", "lib")),
        ] {
            if path.exists() {
                fs::remove_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
    }
    let release = kernel
        .strip_prefix("linux-image-")
        .unwrap_or(&kernel)
        .to_owned();
    let vmlinuz = boot.join(format!("boot/vmlinuz-{release}"));
    fs::copy(&vmlinuz, folder.join("vmlinuz"))
        .map_err(|e| format!("{}: {e}", vmlinuz.display()))?;
    let from = boot.join("lib/modules").join(&release);
    let to = system.join("lib/modules").join(&release);
    let (paths, list) = modules::select(&from)?;
    for path in paths {
        let target = to.join(&path);
        make(target.parent().unwrap_or(&to))?;
        fs::copy(from.join(&path), &target).map_err(|e| format!("{}: {e}", target.display()))?;
    }
    write(&to.join("modules.dep"), &list)?;
    for name in FOLDERS {
        make(&system.join(name))?;
    }
    pack(&system, &folder.join("files.cpio"))?;
    Ok(release)
}

/// Writes the archive: the tree, the shell's names, the first process.
fn pack(system: &Path, to: &Path) -> Result {
    write(
        &system.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\n",
    )?;
    write(&system.join("etc/group"), "root:x:0:\n")?;
    write(&system.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    let file = fs::File::create(to).map_err(|e| format!("{}: {e}", to.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    archive.tree(system)?;
    // Busybox is every program that no package brought; it says itself which those are.
    let busybox = system.join("bin/busybox");
    let output = Command::new(&busybox).arg("--list-full").output();
    let output = output.map_err(|e| format!("{}: {e}", busybox.display()))?;
    for path in String::from_utf8_lossy(&output.stdout).lines() {
        let name = Path::new(path).file_name().unwrap_or_default();
        let places = ["bin", "sbin", "usr/bin", "usr/sbin"];
        let there = places.iter().any(|place| {
            let path = system.join(place).join(name);
            fs::symlink_metadata(path).is_ok()
        });
        if !there {
            archive.link(path, "/bin/busybox")?;
        }
    }
    archive.file("init", 0o755, INIT.as_bytes())?;
    archive.finish().map(drop)
}

/// The name of the newest kernel's package.
fn kernel_package() -> Result<String> {
    let output = Command::new("apt-cache")
        .args(["depends", "--important", KERNEL])
        .output()
        .map_err(|e| format!("apt-cache: {e}; the guest is made of Debian's packages"))?;
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .find(|word| word.starts_with("linux-image-") && *word != KERNEL)
        .map(str::to_owned)
        .ok_or_else(|| format!("apt-cache knows no {KERNEL}"))
}

/// The file of a package that was fetched already.
fn deb(debs: &Path, package: &str) -> Option<PathBuf> {
    let prefix = format!("{package}_");
    let mut entries = fs::read_dir(debs).ok()?.flatten();
    entries.find_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let fits = name.starts_with(&prefix) && name.ends_with(".deb");
        fits.then(|| entry.path())
    })
}

/// Unpacks a package. Packages disagree on whether `/bin` is `/usr/bin`; the guest has both.
fn unpack(debs: &Path, package: &str, to: &Path) -> Result {
    let deb = deb(debs, package).ok_or_else(|| format!("apt-get brought no {package}"))?;
    make(to)?;
    called(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(to))?;
    // Packages may hold folders that nobody but root may enter, and these must be read again.
    let mut open = fs::Permissions::from_mode(0o755);
    open.set_mode(0o755);
    fs::set_permissions(to, open).map_err(|e| format!("{}: {e}", to.display()))
}

/// Runs `command`, whose failure is ours.
fn called(command: &mut Command) -> Result {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{name}: {}", said.trim()))
}

fn make(folder: &Path) -> Result {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

fn write(path: &Path, text: &str) -> Result {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
