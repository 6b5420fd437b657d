//! A worker: one thread, one event loop, and everything that its connections need, shared with no other thread.
//!
//! [`thread`](mod@thread) runs it and takes the plane's orders, [`snapshot`] is what the present plan made of its services
//! and pools, [`chores`] what it does every second, [`listener`] accepts connections and hands them to their protocol ([`crate::tcp`], [`crate::http`];
//! [`crate::udp`] has its sockets to itself). A connection's task is handed an [`Entry`], whose [`Worker`]
//! holds what it works with: deadlines ([`wheel`]), [`buffers`], [`pipes`], the time ([`clock`]), randomness.
//! [`service`] and [`pool`] are what it reads its configuration from, [`backend`] whom it talks to.

pub(crate) mod backend;
pub(crate) mod buffers;
mod chores;
pub(crate) mod clock;
pub(crate) mod listener;
pub(crate) mod pipes;
pub(crate) mod pool;
mod rng;
pub(crate) mod service;
mod snapshot;
pub(crate) mod thread;
pub(crate) mod wheel;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::AtomicU64},
};

use control::time::Instant;
use tokio::sync::Notify;

pub(crate) use self::{
    backend::Backend,
    pool::{Denied, Lease, Pool},
    service::{Ends, Entry, Service},
    wheel::Timer,
};
use self::{
    backend::Passives, buffers::Buffers, chores::Drains, pipes::Pipes, rng::Rng,
    snapshot::Snapshot, wheel::Wheel,
};
use crate::{
    access_log::Logs, http, plane::Reports, shared::PerWorker, stats::WorkerCounters,
    udp::batch::Batch,
};

/// What all tasks of one thread share.
pub(crate) struct Worker {
    /// Its number among the workers.
    pub(crate) index: usize,
    /// Deadlines.
    pub(crate) wheel: Rc<Wheel>,
    /// Buffers for data that has arrived.
    pub(crate) buffers: Rc<Buffers>,
    /// Pipes to splice through.
    pub(crate) pipes: Rc<Pipes>,
    /// Buffers and scratch of HTTP requests.
    pub(crate) http: http::Turns,
    /// Room for datagrams on their way through; taken only between two awaits.
    pub(crate) datagrams: RefCell<Batch>,
    /// Randomness.
    pub(crate) rng: Rng,
    /// What traffic says of backends, to be reported.
    passives: Passives,
    /// Who is to finish, as the first worker watches for all.
    drains: RefCell<Drains>,
    /// The generation of the plan that each worker has become.
    applied: Arc<PerWorker<AtomicU64>>,
    /// When the next chores are due.
    chores: Timer,
    logs: Logs,
    counters: Arc<PerWorker<WorkerCounters>>,
    reports: Arc<dyn Reports>,
    snapshot: RefCell<Snapshot>,
    /// Connections and flows that are open.
    open: Cell<u32>,
    /// The most of them.
    limit: Cell<u32>,
    /// Told when one ends.
    room: Notify,
    /// When all that goes on is cut; none: no drain has begun.
    cut_at: Cell<Option<Instant>>,
    leaving: Cell<bool>,
}

impl Worker {
    /// What it counts of itself.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters[self.index].0
    }

    /// Whether the process is leaving: what goes on may finish, nothing new begins.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// When all that goes on is cut.
    fn cut_at(&self) -> Option<Instant> {
        self.cut_at.get()
    }

    /// Counts what a drain cut.
    pub(crate) fn count_cut(&self) {
        self.counters().cut.one();
    }

    /// Whether it has as many connections and flows as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.open.get() >= self.limit.get()
    }

    fn enter(&self) {
        self.open.set(self.open.get() + 1);
        self.counters().connections_open.one();
    }

    fn leave(&self) {
        let open = self.open.get();
        self.open.set(open - 1);
        self.counters().connections_open.less();
        if open >= self.limit.get() || open == 1 {
            self.room.notify_waiters();
        }
    }
}
