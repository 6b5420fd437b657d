//! Boots the guest with a script.

use super::cpio::Archive;
use super::image::Image;
use crate::Result;
use crate::bench::process::{Cores, Process};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Room for what a script leaves behind, bytes.
const DISK: u64 = 64 << 20;

/// The kernel's parameters: quiet; no mitigations, no memory cleared on allocation and no randomised layout, so that
/// counts are of the work alone, and of the same work each time.
const KERNEL: &str = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check \
                      random.trust_cpu=on init_on_alloc=0";

/// What is to be done in a guest.
pub(crate) struct Job {
    /// A shell script; it runs in `/job`, and what it leaves in `/out` is kept.
    pub(crate) script: String,
    /// Files to lie beside it: name and where it is here. A program stays one.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// One nanosecond of its clock is one instruction, and sleeping takes no time; one processor.
    pub(crate) counted: bool,
    /// MiB.
    pub(crate) memory: u32,
    /// How long it may take here.
    pub(crate) limit: Duration,
}

/// What became of it.
pub(crate) struct Ended {
    /// What the script said, on both outputs.
    pub(crate) output: String,
    /// Its exit code.
    pub(crate) code: i32,
    folder: tempfile::TempDir,
}

impl Job {
    /// A script, no files, two processors, one GiB, two minutes.
    pub(crate) fn new(script: impl Into<String>) -> Job {
        Job {
            script: script.into(),
            files: Vec::new(),
            counted: false,
            memory: 1024,
            limit: Duration::from_secs(120),
        }
    }

    /// Boots, runs, and waits for the end. Fails if the guest did not come to the script's end.
    pub(crate) fn run(&self) -> Result<Ended> {
        let image = Image::ready()?;
        let folder = crate::bench::scratch()?;
        let path = |name: &str| folder.path().join(name);
        self.pack(&image.files(), &path("files"))?;
        let disk = fs::File::create(path("disk")).and_then(|disk| disk.set_len(DISK));
        disk.map_err(|e| format!("the guest's disk: {e}"))?;
        let mut qemu = Command::new("qemu-system-x86_64");
        if self.counted {
            // Instructions that do more at once would each count as one.
            qemu.args(["-accel", "tcg,thread=single", "-smp", "1"]);
            qemu.args(["-icount", "shift=0,sleep=off", "-cpu", "max,-erms,-fsrm"]);
        } else {
            qemu.args(["-accel", "tcg,thread=multi", "-smp", "2", "-cpu", "max"]);
        }
        qemu.args(["-machine", "q35,usb=off,vmport=off", "-nodefaults"])
            .args(["-display", "none", "-monitor", "none", "-no-reboot"])
            .args(["-m", &self.memory.to_string()])
            .args(["-serial", &format!("file:{}", path("console").display())])
            .args(["-serial", &format!("file:{}", path("said").display())])
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio,cache=unsafe",
                path("disk").display()
            ))
            .arg("-kernel")
            .arg(image.kernel())
            .arg("-initrd")
            .arg(path("files"))
            .args(["-append", KERNEL])
            .stdin(Stdio::null());
        let mut process = Process::start(&mut qemu, Cores::Any)
            .map_err(|e| format!("{e}: install qemu-system-x86 (scripts/setup.sh guest)"))?;
        let began = Instant::now();
        while process.is_running() && began.elapsed() < self.limit {
            std::thread::sleep(Duration::from_millis(20));
        }
        let in_time = !process.is_running();
        drop(process);
        let read = |name: &str| {
            let bytes = fs::read(path(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let output = read("said");
        let code = unpack(&path("disk"), &path("out"));
        match code {
            Some(code) if in_time => Ok(Ended {
                output,
                code,
                folder,
            }),
            _ => {
                let why = if in_time {
                    "the guest ended before the script did"
                } else {
                    "the guest ran past its limit"
                };
                Err(format!("{why}\n{output}\n{}", read("console")))
            }
        }
    }

    /// The first file system: the image's and, unpacked after it, the job's.
    fn pack(&self, image: &Path, to: &Path) -> Result {
        let fail = |e: std::io::Error| format!("{}: {e}", to.display());
        fs::copy(image, to).map_err(fail)?;
        let file = fs::OpenOptions::new().append(true).open(to).map_err(fail)?;
        let mut archive = Archive::new(std::io::BufWriter::new(file));
        archive.folder("job")?;
        archive.file("job/run.sh", 0o755, self.script.as_bytes())?;
        for (name, path) in &self.files {
            let content = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            archive.file(&format!("job/{name}"), 0o755, &content)?;
        }
        let mut file = archive.finish()?;
        file.flush().map_err(fail)
    }
}

/// Unpacks what the guest wrote on its disk; the script's exit code, if it came to its end.
fn unpack(disk: &Path, to: &Path) -> Option<i32> {
    fs::create_dir_all(to).ok()?;
    let tar = Command::new("tar")
        .arg("-xf")
        .arg(disk)
        .arg("-C")
        .arg(to)
        .stderr(Stdio::null())
        .status();
    tar.ok()?;
    let code = fs::read_to_string(to.join(".code")).ok()?;
    code.trim().parse().ok()
}

impl Ended {
    /// Where a file is that the script left in `/out`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    /// Keeps all files that the script left.
    pub(super) fn keep(&self, to: &Path) -> Result {
        fs::create_dir_all(to).map_err(|e| format!("{}: {e}", to.display()))?;
        let out = self.file("");
        let entries = fs::read_dir(&out).map_err(|e| format!("{}: {e}", out.display()))?;
        for entry in entries.flatten() {
            let target = to.join(entry.file_name());
            if entry.file_name() != ".code" {
                fs::copy(entry.path(), &target)
                    .map_err(|e| format!("{}: {e}", target.display()))?;
            }
        }
        Ok(())
    }
}
