//! A pool as one worker sees it: choosing a backend, waiting for one with room, giving its place back.

use std::{
    cell::{Cell, RefCell},
    fmt,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use control::{
    balance::{BackendId, Balancer, NoBackend, Outcome, Pick, Slot},
    route::connection_key,
    spec::{Balance, HashKey, PoolSpec, pool::ConnectSpec},
};

use super::{Worker, backend::Backend, clock};
use crate::{plane::PoolPart, shared::SharedPool, stats::Reason};

/// A pool, for as long as a plan names it or a service leads to it. It follows the plan: connections made under
/// an older configuration see the present backends.
pub(crate) struct Pool {
    shared: Arc<SharedPool>,
    worker: usize,
    now: RefCell<Now>,
    /// Whether any backend has a limit, so that somebody may wait.
    limited: Cell<bool>,
}

/// What the present plan says.
struct Now {
    part: Arc<PoolPart>,
    balancer: Balancer,
    /// Beside the balancer's members.
    backends: Vec<Rc<Backend>>,
}

/// A place on a backend, taken for one request (HTTP), connection (TCP) or flow (UDP). Dropping it gives it back.
pub(crate) struct Lease {
    backend: Rc<Backend>,
    /// None only while being dropped.
    slot: Option<Slot>,
    pool: Rc<Pool>,
}

/// Why there is no backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// None may be used.
    Empty,
    /// All that may be used were tried already: the last error stands.
    Tried,
    /// All are full, and as many wait already as may.
    QueueFull,
    /// All stayed full for the longest time that the queue allows.
    QueueTimeout,
}

impl Denied {
    /// How it counts.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Empty | Self::Tried => Reason::NoBackend,
            Self::QueueFull => Reason::QueueFull,
            Self::QueueTimeout => Reason::QueueTimeout,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason().as_str())
    }
}

impl Pool {
    /// The pool of a plan's part; `backends` stand beside the part's members.
    pub(super) fn new(
        part: &Arc<PoolPart>,
        backends: Vec<Rc<Backend>>,
        worker: usize,
        seed: u64,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: Arc::clone(&part.shared),
            worker,
            limited: Cell::new(part.is_limited()),
            now: RefCell::new(Now {
                balancer: Balancer::new(Arc::clone(&part.members), seed),
                part: Arc::clone(part),
                backends,
            }),
        })
    }

    /// Becomes what another plan says; those that wait look again.
    pub(super) fn replace(&self, part: &Arc<PoolPart>, backends: Vec<Rc<Backend>>) {
        let mut now = self.now.borrow_mut();
        now.balancer.replace(Arc::clone(&part.members));
        now.part = Arc::clone(part);
        now.backends = backends;
        self.limited.set(part.is_limited());
        drop(now);
        self.shared.wake_all(self.worker);
    }

    /// Whether it already is what this part says.
    pub(super) fn is_of(&self, part: &Arc<PoolPart>) -> bool {
        Arc::ptr_eq(&self.now.borrow().part, part)
    }

    /// Its present configuration.
    pub(crate) fn spec(&self) -> Arc<PoolSpec> {
        Arc::clone(&self.now.borrow().part.plan.spec)
    }

    /// What `key` makes of what its backends are chosen by, if that is a key.
    pub(crate) fn with_hash_key(&self, key: impl FnOnce(&HashKey) -> u64) -> Option<u64> {
        match &self.now.borrow().part.plan.spec.balance {
            Balance::Hash(by) | Balance::Maglev(by) => Some(key(by)),
            _ => None,
        }
    }

    /// What `look` sees in how connections are made and kept.
    pub(crate) fn with_connect<T>(&self, look: impl FnOnce(&ConnectSpec) -> T) -> T {
        look(&self.now.borrow().part.plan.spec.connect)
    }

    /// The key of a client's address, if backends are chosen by one.
    pub(crate) fn source_key(&self, client: IpAddr) -> Option<u64> {
        match &self.now.borrow().part.plan.spec.balance {
            Balance::Hash(key) | Balance::Maglev(key) => Some(connection_key(key, client)),
            _ => None,
        }
    }

    /// A place on a backend other than those in `avoid`, if there is one right now.
    ///
    /// # Errors
    /// Why there is none; [`NoBackend::Full`] is worth waiting for with [`Self::lease`].
    pub(crate) fn try_lease(
        self: &Rc<Self>,
        key: Option<u64>,
        avoid: &[BackendId],
    ) -> Result<Lease, NoBackend> {
        let mut now = self.now.borrow_mut();
        let picked = now.balancer.pick(&Pick {
            now: clock::coarse(),
            key,
            avoid,
        })?;
        let backend = now.backends.get(picked.index).ok_or(NoBackend::Empty)?;
        Ok(Lease {
            backend: Rc::clone(backend),
            slot: Some(picked.slot),
            pool: Rc::clone(self),
        })
    }

    /// What [`Self::lease`] comes to, if that can be said without waiting.
    pub(crate) fn lease_now(
        self: &Rc<Self>,
        key: Option<u64>,
        avoid: &[BackendId],
    ) -> Option<Result<Lease, Denied>> {
        if self.shared.waiting.load(SeqCst) > 0 {
            return None;
        }
        match self.try_lease(key, avoid) {
            Ok(lease) => Some(Ok(lease)),
            Err(NoBackend::Empty) => Some(Err(Denied::Empty)),
            Err(NoBackend::Tried) => Some(Err(Denied::Tried)),
            Err(NoBackend::Full) => None,
        }
    }

    /// A place on a backend other than those in `avoid`; waits for one in the pool's queue if all are full.
    ///
    /// # Errors
    /// Why there is none, perhaps after the queue's timeout.
    pub(crate) async fn lease(
        self: &Rc<Self>,
        worker: &Worker,
        key: Option<u64>,
        avoid: &[BackendId],
    ) -> Result<Lease, Denied> {
        if let Some(answer) = self.lease_now(key, avoid) {
            return answer;
        }
        // Boxed: few wait, and all would carry the room for it.
        Box::pin(self.wait(worker, key, avoid)).await
    }

    async fn wait(
        self: &Rc<Self>,
        worker: &Worker,
        key: Option<u64>,
        avoid: &[BackendId],
    ) -> Result<Lease, Denied> {
        let queue = self.spec().queue.clone();
        let waiting = Waiting::join(&self.shared, self.worker, queue.limit)?;
        let timer = worker.wheel.timer();
        timer.arm(queue.timeout);
        loop {
            // Listens before it looks: what is given back after the look wakes it.
            let turn = self.shared.queues[self.worker].0.turn.notified();
            std::sync::atomic::fence(SeqCst);
            match self.try_lease(key, avoid) {
                Ok(lease) => {
                    drop(waiting);
                    // Two places given back at once may both have woken this one. If there is another, giving it
                    // back wakes the next; if not, the next is left alone, for woken in vain it would go to the
                    // end of the queue.
                    drop(self.try_lease(None, &[]));
                    return Ok(lease);
                }
                Err(NoBackend::Empty) => return Err(Denied::Empty),
                Err(NoBackend::Tried) => return Err(Denied::Tried),
                Err(NoBackend::Full) => {}
            }
            if timer.guard(turn).await.is_none() {
                return Err(Denied::QueueTimeout);
            }
        }
    }
}

/// One that waits, counted.
struct Waiting<'a> {
    pool: &'a SharedPool,
    worker: usize,
}

impl<'a> Waiting<'a> {
    fn join(pool: &'a SharedPool, worker: usize, limit: u32) -> Result<Self, Denied> {
        let joined = pool
            .waiting
            .fetch_update(SeqCst, SeqCst, |n| (n < limit).then(|| n + 1));
        if joined.is_err() {
            return Err(Denied::QueueFull);
        }
        pool.queues[worker].0.waiting.fetch_add(1, SeqCst);
        Ok(Self { pool, worker })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pool.queues[self.worker].0.waiting.fetch_sub(1, SeqCst);
        self.pool.waiting.fetch_sub(1, SeqCst);
    }
}

impl Lease {
    /// The backend.
    pub(crate) fn backend(&self) -> &Rc<Backend> {
        &self.backend
    }

    /// The backend's identity, for the list of those tried.
    pub(crate) fn id(&self) -> BackendId {
        self.backend.shared.id
    }

    /// The pool that it was chosen from.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// The backend did its part, after this time. May come before the end of the request.
    pub(crate) fn passed(&self, worker: &Worker, took: Duration) {
        self.observe(Outcome::Answered(took));
        worker.note_passed(&self.backend);
    }

    /// The backend failed; `counts_as` is the time it was given, however quickly it failed.
    pub(crate) fn failed(&self, worker: &Worker, counts_as: Duration) {
        self.observe(Outcome::Failed(counts_as));
        let enough = self.pool.now.borrow().part.plan.spec.passive.consecutive;
        worker.note_failed(&self.backend, enough);
    }

    /// The client or we gave up after this time, which says little of the backend.
    pub(crate) fn abandoned(&self, took: Duration) {
        self.observe(Outcome::Abandoned(took));
    }

    fn observe(&self, outcome: Outcome) {
        if let Some(slot) = &self.slot {
            slot.observe(clock::coarse(), outcome);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.slot.take());
        if self.pool.limited.get() {
            self.pool.shared.wake_one(self.pool.worker);
        }
    }
}
