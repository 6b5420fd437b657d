//! How long the machine itself stands still: on each core a thread of the highest real-time priority that only sleeps, and
//! looks how late it wakes. What stops it (a hypervisor, a kernel that cannot be interrupted) stops any director too: a
//! takeover that comes of it is none that the director could have helped.

use super::super::watch;
use crate::Result;
use rustix::thread::CpuSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks.
const STEP: Duration = Duration::from_millis(1);
/// Above all directors.
const PRIORITY: libc::c_int = 99;
/// So many stalls are remembered, not more.
const MANY: usize = 1 << 20;

/// From when to when something lasted, by the clock of [`watch::now`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Span {
    /// How much of this one is in the other.
    fn within(self, other: Span) -> Duration {
        self.to
            .min(other.to)
            .saturating_sub(self.from.max(other.from))
    }
}

/// The threads.
pub(super) struct Pulse {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    longest: AtomicU64,
    stalls: Mutex<Vec<Span>>,
}

/// What they saw.
pub(super) struct Stalls {
    /// The latest that one woke.
    pub(super) longest: Duration,
    /// Of one thread each.
    spans: Vec<Span>,
}

impl Stalls {
    /// How many were longer than [`Pulse::LONG`].
    pub(super) fn long(&self) -> usize {
        let long = |span: &&Span| span.to - span.from > Pulse::LONG;
        self.spans.iter().filter(long).count()
    }

    /// Whether a core stood still for [`Pulse::ENOUGH`] of that time.
    pub(super) fn explain(&self, silence: Span) -> bool {
        let mut spans = self.spans.iter();
        spans.any(|span| span.within(silence) >= Pulse::ENOUGH)
    }
}

impl Pulse {
    /// As long as a backup waits beyond the master's next advert before it takes over, at 10 ms and priority 100.
    pub(super) const LONG: Duration = Duration::from_millis(26);
    /// Two adverts at 10 ms: of a silence in which a core stood still for so long, that is the cause.
    pub(super) const ENOUGH: Duration = Duration::from_millis(20);
    /// Shorter ones are not remembered.
    const SHORT: Duration = Duration::from_millis(5);

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
    fn remembered(&self) -> std::sync::MutexGuard<'_, Vec<Span>> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Stalls {
        Stalls {
            longest: Duration::from_micros(self.longest.load(Relaxed)),
            spans: self.remembered().clone(),
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
        if late > Pulse::SHORT {
            let to = watch::now();
            let from = to.saturating_sub(late);
            let mut stalls = shared.remembered();
            if stalls.len() < MANY {
                stalls.push(Span { from, to });
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> Span {
        let at = |millis| Duration::from_millis(1000 + millis);
        Span {
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn a_silence_is_explained_by_a_core_that_stood_still_in_it() {
        let stalls = Stalls {
            longest: Duration::from_millis(40),
            spans: vec![span(0, 12), span(10, 19), span(100, 140)],
        };
        assert_eq!(stalls.long(), 1);
        assert!(!stalls.explain(span(0, 36)), "each of them was short");
        assert!(stalls.explain(span(95, 131)));
        assert!(stalls.explain(span(120, 156)));
        assert!(!stalls.explain(span(125, 161)), "most of it was after that");
    }
}
