//! A backend as one worker sees it: where it is, what it may be given, and what traffic says of it.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
};

use control::{engine::PassiveSample, name::BackendKey, plan::Duty, time::Instant};

use crate::{http, shared::SharedBackend, stats::BackendCounters};

/// A backend, for as long as a plan names it or a connection uses it.
pub(crate) struct Backend {
    pub(crate) shared: Arc<SharedBackend>,
    worker: usize,
    duty: Cell<Duty>,
    passive: Passive,
    /// Connections of HTTP to it that wait for their next request.
    pub(crate) idle: http::Idle,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.idle.clear(self.counters());
    }
}

/// What traffic told since the last report.
#[derive(Default)]
struct Passive {
    passed: Cell<u32>,
    failed: Cell<u32>,
    in_a_row: Cell<u32>,
}

impl Backend {
    pub(super) fn new(shared: Arc<SharedBackend>, worker: usize) -> Rc<Self> {
        Rc::new(Self {
            shared,
            worker,
            duty: Cell::new(Duty::Take),
            passive: Passive::default(),
            idle: http::Idle::default(),
        })
    }

    /// Its name across plans.
    pub(crate) fn key(&self) -> &BackendKey {
        &self.shared.key
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.key.address
    }

    /// This worker's counters of it.
    pub(crate) fn counters(&self) -> &BackendCounters {
        &self.shared.counters[self.worker].0
    }

    /// What it may be given.
    pub(crate) fn duty(&self) -> Duty {
        self.duty.get()
    }

    /// When what goes on on it is cut, if at all. Workers wake all tasks when this changes.
    pub(crate) fn cut_at(&self) -> Option<Instant> {
        match self.duty.get() {
            Duty::Finish { until } => until,
            Duty::Take | Duty::Avoid => None,
        }
    }

    /// Sets its duty; whether tasks have to look at their deadlines again.
    pub(super) fn set_duty(&self, duty: Duty) -> bool {
        let before = self.cut_at();
        self.duty.set(duty);
        before != self.cut_at()
    }

    /// What is to be reported, once.
    fn take_sample(&self) -> PassiveSample {
        PassiveSample {
            backend: self.key().clone(),
            passed: self.passive.passed.take(),
            failed: self.passive.failed.take(),
            failed_in_a_row: self.passive.in_a_row.get(),
        }
    }
}

/// The backends of which there is something to report.
#[derive(Default)]
pub(super) struct Passives {
    /// Each at most once.
    dirty: RefCell<Vec<Rc<Backend>>>,
    /// A failure is among them, which should not wait long.
    urgent: Cell<bool>,
}

impl Passives {
    /// Notes that something went well.
    pub(super) fn note_passed(&self, backend: &Rc<Backend>) {
        self.mark(backend);
        let passive = &backend.passive;
        passive.passed.set(passive.passed.get().saturating_add(1));
        passive.in_a_row.set(0);
    }

    /// Notes that something failed: whether that is the first failure since the last report, and how many it
    /// makes in a row.
    pub(super) fn note_failed(&self, backend: &Rc<Backend>) -> (bool, u32) {
        self.mark(backend);
        let passive = &backend.passive;
        passive.failed.set(passive.failed.get().saturating_add(1));
        let in_a_row = passive.in_a_row.get().saturating_add(1);
        passive.in_a_row.set(in_a_row);
        (!self.urgent.replace(true), in_a_row)
    }

    /// All that is to be reported.
    pub(super) fn take(&self) -> Vec<PassiveSample> {
        self.urgent.set(false);
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        dirty.iter().map(|b| b.take_sample()).collect()
    }

    fn mark(&self, backend: &Rc<Backend>) {
        let passive = &backend.passive;
        if passive.passed.get() == 0 && passive.failed.get() == 0 {
            self.dirty.borrow_mut().push(Rc::clone(backend));
        }
    }
}
