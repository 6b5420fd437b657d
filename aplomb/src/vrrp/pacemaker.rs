//! Sees to it that the thread of virtual routers runs when it should, though a core stands still under it.
//!
//! A core may run nothing else for a while: in a kernel that does not preempt itself a long call keeps it, a hypervisor may
//! run something else there. A thread that waits for such a core is not moved to another, whatever its priority, and one that
//! sleeps there may not even be woken. So on two cores a thread looks every few milliseconds whether the other one has run as
//! it should have; if not, it brings it to its own core.
//!
//! That these threads look so regularly also tells when a core does stand still: see [`Pacemaker::standing`] and [`Pacemaker::stood`].

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use proto::time::Instant;
use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

use super::{leniency::LATE, mailbox::Bell, tools::Clock};

/// On how many cores somebody looks.
const CORES: usize = 2;
/// The shortest and the longest time from one look to the next.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(250);
/// So many looks in the shortest interval of adverts: a backup waits for three.
const LOOKS: u32 = 4;
/// A backup that heard nothing waited for less than so many intervals.
const LOST: u32 = 4;
/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    bell: Bell,
    /// The thread of virtual routers, once it runs.
    whom: AtomicI32,
    /// When the thread of virtual routers is to run, if it waits: nanoseconds of the clock.
    due: AtomicU64,
    /// Between two looks, nanoseconds; 0: nobody needs to look.
    step: AtomicU64,
    /// What each saw.
    seen: [Seen; CORES],
    moved: AtomicBool,
    over: AtomicBool,
}

/// What a thread saw of its core, nanoseconds of the clock.
#[derive(Debug, Default)]
struct Seen {
    /// When it last looked.
    looked: AtomicU64,
    /// When it last was late by [`LATE`] or more, and how much.
    late_at: AtomicU64,
    late_by: AtomicU64,
}

impl Seen {
    /// It looks, when it should have done so then.
    fn look(&self, now: Instant, next: Instant) {
        self.looked.store(now.nanos(), Relaxed);
        let late = now.saturating_since(next);
        if late >= LATE {
            self.late_by.store(Instant::at(late).nanos(), Relaxed);
            self.late_at.store(now.nanos(), Relaxed);
        }
    }

    /// How late it was, if that was not before `since`.
    fn late(&self, since: Instant) -> Duration {
        if Instant::from_nanos(self.late_at.load(Relaxed)) < since {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.late_by.load(Relaxed))
    }
}

/// The side of the thread of virtual routers.
#[derive(Debug)]
pub(super) struct Pacemaker {
    shared: Arc<Shared>,
    /// Where it may run.
    home: CpuSet,
    watchers: Vec<Thread>,
    threads: Vec<JoinHandle<()>>,
}

impl Pacemaker {
    /// Starts it; `prepare` is called on each of its threads. Where there is but one core, it does nothing.
    ///
    /// # Errors
    /// There are no threads, or the system does not tell where they may run.
    pub(super) fn start(clock: Clock, bell: Bell, prepare: fn()) -> io::Result<Self> {
        let home = sched_getaffinity(None)?;
        let cores = (0..CpuSet::MAX_CPU).filter(|core| home.is_set(*core));
        let cores: Vec<usize> = cores.take(CORES).collect();
        let shared = Arc::new(Shared {
            clock,
            bell,
            whom: AtomicI32::new(0),
            due: AtomicU64::new(NEVER),
            step: AtomicU64::new(0),
            seen: Default::default(),
            moved: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        if cores.len() == CORES {
            for (at, core) in cores.into_iter().enumerate() {
                let shared = Arc::clone(&shared);
                let thread = thread::Builder::new().name(format!("vrrp-pace-{at}"));
                threads.push(thread.spawn(move || {
                    prepare();
                    if let Some(seen) = shared.seen.get(at) {
                        watch(&shared, seen, only(core));
                    }
                })?);
            }
        }
        Ok(Self {
            shared,
            home,
            watchers: threads.iter().map(|t| t.thread().clone()).collect(),
            threads,
        })
    }

    /// The thread that calls this is the one of virtual routers.
    pub(super) fn attend(&self) {
        let whom = gettid().as_raw_nonzero().get();
        self.shared.whom.store(whom, Relaxed);
    }

    /// The shortest interval of adverts, if there are virtual routers.
    pub(super) fn set_interval(&self, interval: Option<Duration>) {
        let step = interval.map(|interval| (interval / LOOKS).clamp(SHORTEST, LONGEST));
        let nanos = step.map_or(0, |step| Instant::at(step).nanos());
        // What was seen before tells nothing.
        let now = self.shared.clock.now().nanos();
        let seen = self.shared.seen.iter();
        seen.for_each(|seen| seen.looked.store(now, Relaxed));
        self.shared.step.store(nanos, Relaxed);
        self.watchers.iter().for_each(Thread::unpark);
    }

    /// The thread of virtual routers is about to wait until then.
    pub(super) fn waits(&self, due: Option<Instant>) {
        let due = due.map_or(NEVER, Instant::nanos);
        self.shared.due.store(due, Relaxed);
    }

    /// It runs again; whether it had to be brought elsewhere for that.
    pub(super) fn runs(&self) -> bool {
        self.shared.due.store(NEVER, Relaxed);
        let moved = self.shared.moved.swap(false, Relaxed);
        if moved {
            // If it may not, it runs where it was brought to.
            let _ = sched_setaffinity(None, &self.home);
        }
        moved
    }

    /// For how long a core has been standing still, now.
    pub(super) fn standing(&self, now: Instant) -> Duration {
        let Some(step) = self.step() else {
            return Duration::ZERO;
        };
        let late = |seen: &Seen| {
            let looked = Instant::from_nanos(seen.looked.load(Relaxed));
            now.saturating_since(looked + step)
        };
        self.shared.seen.iter().map(late).max().unwrap_or_default()
    }

    /// For how long a core stood still, if that was over less than four of the shortest intervals ago.
    pub(super) fn stood(&self, now: Instant) -> Duration {
        let Some(step) = self.step() else {
            return Duration::ZERO;
        };
        let since = now - step * (LOOKS * LOST);
        let late = self.shared.seen.iter().map(|seen| seen.late(since));
        late.max().unwrap_or_default()
    }

    /// The time between two looks, if somebody looks.
    fn step(&self) -> Option<Duration> {
        let step = self.shared.step.load(Relaxed);
        (step > 0 && !self.watchers.is_empty()).then(|| Duration::from_nanos(step))
    }
}

impl Drop for Pacemaker {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
        self.watchers.iter().for_each(Thread::unpark);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// That core alone.
fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// A thread of the pacemaker, on its core.
fn watch(shared: &Shared, seen: &Seen, core: CpuSet) {
    // Elsewhere it is of less use, but of some.
    let _ = sched_setaffinity(None, &core);
    let mut rescued = NEVER;
    while !shared.over.load(Relaxed) {
        let step = shared.step.load(Relaxed);
        if step == 0 {
            thread::park();
            continue;
        }
        let step = Duration::from_nanos(step);
        let next = shared.clock.now() + step;
        // The end does not wait for the next look.
        thread::park_timeout(step);
        let now = shared.clock.now();
        seen.look(now, next);
        let due = shared.due.load(Relaxed);
        // Once: who does not run here either is not helped by more.
        if is_overdue(due, now, step) && due != rescued {
            rescued = due;
            shared.moved.store(true, Relaxed);
            if let Some(whom) = Pid::from_raw(shared.whom.load(Relaxed)) {
                let _ = sched_setaffinity(Some(whom), &core);
            }
            shared.bell.ring();
        }
    }
}

/// Whether a thread that was to run then does not come by itself any more.
fn is_overdue(due: u64, now: Instant, step: Duration) -> bool {
    due != NEVER && now >= Instant::from_nanos(due) + step / 2
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{super::mailbox::mailbox, *};

    #[test]
    fn who_is_late_by_half_a_look_is_fetched() {
        let overdue =
            |due, now| is_overdue(due, Instant::from_nanos(now), Duration::from_nanos(10));
        assert!(!overdue(NEVER, u64::MAX - 1));
        assert!(!overdue(100, 104));
        assert!(overdue(100, 105));
    }

    /// A thread that sleeps though something is due is woken, on the core of who looked.
    #[test]
    fn a_thread_that_oversleeps_is_fetched() {
        let (sender, mailbox) = mailbox::<()>().unwrap();
        let clock = Clock::start();
        let pacemaker = Pacemaker::start(clock, sender.bell(), || ()).unwrap();
        if pacemaker.threads.is_empty() {
            eprintln!("SKIPPED: there is but one core");
            return;
        }
        pacemaker.attend();
        pacemaker.set_interval(Some(Duration::from_millis(10)));
        pacemaker.waits(Some(clock.now()));
        // It waits for the bell alone.
        let mut fds = [rustix::event::PollFd::new(
            &mailbox,
            rustix::event::PollFlags::IN,
        )];
        let limit = rustix::event::Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        assert_eq!(rustix::event::poll(&mut fds, Some(&limit)).unwrap(), 1);
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        mailbox.quiet();
        // The other one of them may just have been about to do the same.
        pacemaker.waits(None);
        thread::sleep(Duration::from_millis(50));
        assert!(pacemaker.runs());
        // Who runs, or waits for nothing, is left alone.
        thread::sleep(Duration::from_millis(50));
        assert!(!pacemaker.runs());
        assert_eq!(sched_getaffinity(None).unwrap(), pacemaker.home);
    }

    #[test]
    fn who_looks_late_stood_still_for_so_long() {
        let seen = Seen::default();
        let at = |millis| Instant::at(Duration::from_millis(millis));
        seen.look(at(102), at(100));
        assert_eq!(seen.late(at(1)), Duration::ZERO, "anybody is a little late");
        seen.look(at(140), at(105));
        seen.look(at(143), at(143));
        assert_eq!(seen.late(at(140)), Duration::from_millis(35));
        assert_eq!(seen.late(at(141)), Duration::ZERO, "too long ago");
    }

    #[test]
    fn who_does_not_look_any_more_stands_still() {
        let (sender, _mailbox) = mailbox::<()>().unwrap();
        let clock = Clock::start();
        let pacemaker = Pacemaker::start(clock, sender.bell(), || ()).unwrap();
        if pacemaker.threads.is_empty() {
            eprintln!("SKIPPED: there is but one core");
            return;
        }
        let later = |by| clock.now() + Duration::from_millis(by);
        assert_eq!(
            pacemaker.standing(later(1000)),
            Duration::ZERO,
            "nobody looks"
        );
        pacemaker.set_interval(Some(Duration::from_secs(1)));
        // They look every 250 ms.
        let standing = pacemaker.standing(later(1000));
        assert!(standing >= Duration::from_millis(500), "{standing:?}");
        pacemaker.set_interval(None);
        assert_eq!(pacemaker.standing(later(1000)), Duration::ZERO);
    }
}
