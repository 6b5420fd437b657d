//! Processes of a benchmark: started on a chosen core, measured with all their children, and ended
//! with them, also when the benchmark itself is killed.

use crate::Result;
use rustix::process::{Pid, Signal};
use rustix::thread::CpuSet;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a process may take to end on its own.
const GRACE: Duration = Duration::from_secs(2);

/// Where a process may run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cores {
    /// The last core: what is measured.
    Measured,
    /// All cores but the last: load and backend.
    Others,
    /// Any core.
    Any,
}

impl Cores {
    fn set(self) -> Option<CpuSet> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        if count < 2 {
            return None;
        }
        let mut set = CpuSet::new();
        match self {
            Cores::Any => return None,
            Cores::Measured => set.set(count - 1),
            Cores::Others => (0..count - 1).for_each(|core| set.set(core)),
        }
        Some(set)
    }
}

/// A running process; ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, whose end is tied to ours. Only call it on the main thread: the kernel ends
    /// the child when the thread that started it ends.
    pub(crate) fn start(command: &mut Command, cores: Cores) -> Result<Process> {
        let set = cores.set();
        let prepare = move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            if let Some(set) = &set {
                rustix::thread::sched_setaffinity(None, set)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec it makes two system calls and neither allocates nor locks.
        let command = unsafe { command.pre_exec(prepare) };
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
        Ok(Process { child })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its id and those of its descendants.
    pub(crate) fn tree(&self) -> Vec<u32> {
        let all = processes();
        let mut tree = vec![self.child.id()];
        let mut at = 0;
        while let Some(&id) = tree.get(at) {
            tree.extend(
                all.iter()
                    .filter(|(_, one)| one.parent == id)
                    .map(|(id, _)| *id),
            );
            at += 1;
        }
        tree
    }

    /// CPU time of all its threads and descendants so far.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.tree().into_iter().map(cpu_nanoseconds).sum())
    }

    /// Resident memory of it and its descendants, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.tree().into_iter().map(resident).sum()
    }

    /// Asks it to end, waits, and kills what is left of it and of its descendants.
    fn end(&mut self) {
        let mut tree = self.tree();
        let mut family = processes();
        family.retain(|id, _| tree.contains(id));
        signal(self.child.id(), Signal::TERM);
        if !wait_until(|| !self.is_running()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        tree.retain(|id| *id != self.child.id());
        // A number may have become another process's: the time it began tells.
        let left = || {
            let now = processes();
            let same = |id: &u32| {
                now.get(id).is_some_and(|one| {
                    !one.ended && Some(one.began) == family.get(id).map(|f| f.began)
                })
            };
            tree.iter().copied().filter(same).collect::<Vec<u32>>()
        };
        for id in left() {
            signal(id, Signal::KILL);
        }
        let _ = wait_until(|| left().is_empty());
    }
}

/// Whether `condition` came true within the grace period.
fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + GRACE;
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Runs `command` to its end, for at most `limit`; it is ended and an error when it takes longer.
pub(crate) fn run_bounded(command: &mut Command, cores: Cores, limit: Duration) -> Result {
    let mut process = Process::start(command, cores)?;
    let until = Instant::now() + limit;
    while Instant::now() < until {
        match process.child().try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{:?}: {status}", command.get_program())),
            Err(e) => return Err(format!("{:?}: {e}", command.get_program())),
        }
    }
    Err(format!(
        "{:?} took longer than {limit:?}",
        command.get_program()
    ))
}

struct Entry {
    parent: u32,
    /// When it began, in ticks since boot.
    began: u64,
    /// It has ended and only waits to be reaped.
    ended: bool,
}

/// Every process by its id.
fn processes() -> BTreeMap<u32, Entry> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    let entry = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // "ID (NAME) STATE PARENT …", and a name may hold anything.
        let (_, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        let began = fields.get(19)?.parse().ok()?;
        Some((
            id,
            Entry {
                parent,
                began,
                ended: fields.first() == Some(&"Z"),
            },
        ))
    };
    entries.flatten().filter_map(entry).collect()
}

/// Time on a core of all threads of `id`; the first number of each schedstat.
fn cpu_nanoseconds(id: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else {
        return 0;
    };
    let of = |path: &Path| -> Option<u64> {
        fs::read_to_string(path.join("schedstat"))
            .ok()?
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    tasks.flatten().filter_map(|task| of(&task.path())).sum()
}

fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::process::Stdio;

    #[test]
    fn a_process_is_seen_with_its_children_and_ends_with_them() {
        let mut shell = Command::new("sh");
        let shell = shell
            .args(["-c", "sleep 60 & echo; sleep 60; wait"])
            .stdout(Stdio::piped());
        let mut process = Process::start(shell, Cores::Any).unwrap();
        let mut ready = [0; 1];
        let stdout = process.child().stdout.as_mut().unwrap();
        std::io::Read::read_exact(stdout, &mut ready).unwrap();

        let tree = process.tree();
        assert!(tree.len() >= 2, "{tree:?}");
        assert!(process.resident() > 0);
        assert!(process.cpu() > Duration::ZERO);
        drop(process);
        let left = processes();
        let alive = |id: &&u32| left.get(id).is_some_and(|one| !one.ended);
        assert_eq!(tree.iter().find(alive), None);
    }

    #[test]
    fn a_run_without_end_is_ended() {
        let limit = Duration::from_millis(50);
        let outcome = run_bounded(Command::new("sleep").arg("60"), Cores::Any, limit);
        assert!(outcome.unwrap_err().contains("took longer"));
    }
}
