//! What outlives a plan and is seen by all workers: per service, pool and backend. Kept by the plane's registry.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use control::{
    balance::{BackendId, Load},
    name::{BackendKey, Name},
};
use tokio::sync::Notify;

use crate::stats::{BackendCounters, BackendSummary, Padded, ServiceCounters, ServiceStats};

/// Numbers of one kind, a set for each worker.
pub(crate) type PerWorker<T> = Box<[Padded<T>]>;

/// A new set for each of `workers`.
pub(crate) fn per_worker<T: Default>(workers: usize) -> PerWorker<T> {
    (0..workers).map(|_| Padded::default()).collect()
}

/// A service, across plans and workers.
#[derive(Debug)]
pub(crate) struct SharedService {
    pub(crate) name: Name,
    pub(crate) counters: PerWorker<ServiceCounters>,
    /// Client connections or flows open now, kept only if their number is limited.
    pub(crate) open: AtomicU32,
    /// Somebody waits for room.
    crowded: AtomicBool,
    /// Told when one ends while somebody waits.
    room: Notify,
}

impl SharedService {
    pub(crate) fn new(name: Name, workers: usize) -> Self {
        Self {
            name,
            counters: per_worker(workers),
            open: AtomicU32::new(0),
            crowded: AtomicBool::new(false),
            room: Notify::new(),
        }
    }

    pub(crate) fn stats(&self) -> ServiceStats {
        let mut sum = ServiceStats::default();
        for worker in &self.counters {
            worker.0.add_to(&mut sum);
        }
        sum
    }

    /// Takes room for one more of at most `limit`.
    pub(crate) fn try_enter(&self, limit: u32) -> bool {
        let entered = self
            .open
            .fetch_update(SeqCst, SeqCst, |n| (n < limit).then(|| n + 1));
        entered.is_ok()
    }

    /// Takes room for one more even if there is none.
    pub(crate) fn enter(&self) {
        self.open.fetch_add(1, SeqCst);
    }

    /// Gives that room back.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, SeqCst);
        // Not a question of the limit, which may have changed since.
        if self.crowded.load(SeqCst) && self.crowded.swap(false, SeqCst) {
            self.room.notify_waiters();
        }
    }

    /// Resolves when one has left since this was called.
    pub(crate) fn one_left(&self) -> impl Future<Output = ()> + '_ {
        let left = self.room.notified();
        self.crowded.store(true, SeqCst);
        left
    }
}

/// A pool, across plans and workers: who waits for a backend with room.
#[derive(Debug)]
pub(crate) struct SharedPool {
    pub(crate) name: Name,
    /// All that wait.
    pub(crate) waiting: AtomicU32,
    /// Those that wait on each worker.
    pub(crate) queues: PerWorker<Queue>,
}

/// Those that wait on one worker.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) waiting: AtomicU32,
    pub(crate) turn: Notify,
}

impl SharedPool {
    pub(crate) fn new(name: Name, workers: usize) -> Self {
        Self {
            name,
            waiting: AtomicU32::new(0),
            queues: per_worker(workers),
        }
    }

    /// Tells one that waits that there is room: here if one waits here, else on another worker.
    pub(crate) fn wake_one(&self, here: usize) {
        // Orders what was given back before who is looked for: see `worker::pool` for the other side.
        std::sync::atomic::fence(SeqCst);
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let (before, after) = self.queues.split_at(here);
        let queue = after
            .iter()
            .chain(before)
            .find(|q| q.0.waiting.load(SeqCst) > 0);
        if let Some(queue) = queue {
            queue.0.turn.notify_one();
        }
    }

    /// Tells all that wait to look again.
    pub(crate) fn wake_all(&self, here: usize) {
        self.queues[here].0.turn.notify_waiters();
    }
}

/// A backend, across plans and workers.
#[derive(Debug)]
pub(crate) struct SharedBackend {
    pub(crate) key: BackendKey,
    pub(crate) id: BackendId,
    pub(crate) load: Arc<Load>,
    pub(crate) counters: PerWorker<BackendCounters>,
}

impl SharedBackend {
    pub(crate) fn new(key: BackendKey, workers: usize) -> Self {
        Self {
            id: BackendId::of(&key.address.to_string()),
            key,
            load: Load::new(),
            counters: per_worker(workers),
        }
    }

    pub(crate) fn summary(&self) -> BackendSummary {
        let mut summary = BackendSummary {
            in_flight: self.load.in_flight(),
            latency: self.load.latency(),
            ..BackendSummary::default()
        };
        for worker in &self.counters {
            worker.0.add_to(&mut summary.counted);
        }
        summary
    }
}
