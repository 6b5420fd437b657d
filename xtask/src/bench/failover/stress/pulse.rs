//! How long the machine itself stands still: on each core a thread of the highest real-time priority that only sleeps, and
//! looks how late it wakes. What stops it (a hypervisor, a kernel that cannot be interrupted) stops any director too.

use crate::Result;
use rustix::thread::CpuSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks.
const STEP: Duration = Duration::from_millis(1);
/// Above all directors.
const PRIORITY: libc::c_int = 99;

/// The threads.
pub(super) struct Pulse {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    longest: AtomicU64,
    long: AtomicU64,
}

/// What they saw.
pub(super) struct Stalls {
    /// The latest that one woke.
    pub(super) longest: Duration,
    /// How often one woke later than [`Pulse::LONG`].
    pub(super) long: u64,
}

impl Pulse {
    /// As long as a backup waits beyond the master's next advert before it takes over, at 10 ms and priority 100.
    pub(super) const LONG: Duration = Duration::from_millis(26);

    /// Begins.
    pub(super) fn begin() -> Result<Pulse> {
        let shared = Arc::new(Shared::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut threads = Vec::new();
        for core in 0..cores {
            let shared = Arc::clone(&shared);
            let (tell, told) = sync_channel(1);
            threads.push(std::thread::spawn(move || {
                // Who began waits for it.
                let _ = tell.send(prepare(core));
                beat(&shared);
            }));
            told.recv().map_err(|e| e.to_string())??;
        }
        Ok(Pulse { shared, threads })
    }

    /// Ends it; what was seen.
    pub(super) fn end(self) -> Stalls {
        self.shared.over.store(true, Relaxed);
        for thread in self.threads {
            // One that failed saw less.
            let _ = thread.join();
        }
        self.shared.seen()
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Stalls {
        self.shared.seen()
    }
}

impl Shared {
    fn seen(&self) -> Stalls {
        Stalls {
            longest: Duration::from_micros(self.longest.load(Relaxed)),
            long: self.long.load(Relaxed),
        }
    }
}

fn beat(shared: &Shared) {
    let mut last = Instant::now();
    while !shared.over.load(Relaxed) {
        std::thread::sleep(STEP);
        let now = Instant::now();
        let late = now.duration_since(last).saturating_sub(STEP);
        last = now;
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let _ = shared.longest.fetch_max(micros, Relaxed);
        if late > Pulse::LONG {
            let _ = shared.long.fetch_add(1, Relaxed);
        }
    }
}

/// On this core, before all others.
fn prepare(core: usize) -> Result {
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).map_err(|e| format!("core {core}: {e}"))?;
    // SAFETY: all zeros are a valid `sched_param`.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = PRIORITY;
    // SAFETY: the parameters outlive the call, which is about this thread.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if done < 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("real-time priority: {error}"));
    }
    Ok(())
}
