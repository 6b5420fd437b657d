//! What a worker does now and then: hands log lines over, reports what traffic said, and sees who has drained.

use std::{
    collections::HashSet,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Acquire},
    time::Duration,
};

use control::{name::BackendKey, plan::Duty};

use super::{Backend, Worker, clock};
use crate::{plane::Update, shared::SharedBackend};

/// How long lines and good news wait at most.
const PERIOD: Duration = Duration::from_secs(1);
/// How long bad news waits, so that a failing backend does not flood the engine.
const URGENT: Duration = Duration::from_millis(50);
/// How often draining backends are looked at.
const WATCH: Duration = Duration::from_millis(100);

impl Worker {
    /// Does the chores for as long as the worker lives.
    pub(super) async fn do_chores(self: Rc<Self>) {
        loop {
            let watching = self.report_drained();
            self.chores.arm(if watching { WATCH } else { PERIOD });
            self.chores.expired().await;
            self.flush_logs();
            self.report_traffic();
            self.close_idle();
        }
    }

    /// Hands over what was logged and reports what traffic said.
    pub(super) fn flush_logs(&self) {
        self.counters().log_lines_dropped.add(self.logs.flush());
    }

    pub(super) fn report_traffic(&self) {
        for sample in self.passives.take() {
            self.reports.traffic(sample);
        }
    }

    /// Closes connections to backends that have been idle for too long, or whose backend gets no more work.
    fn close_idle(&self) {
        let now = clock::coarse();
        for (pool, backend) in self.snapshot.borrow().backends() {
            let counters = backend.counters();
            match backend.duty() {
                Duty::Take => {
                    let timeout = pool.with_connect(|connect| connect.idle_timeout);
                    backend.idle.expire(now - timeout, counters);
                }
                Duty::Finish { .. } | Duty::Avoid => backend.idle.clear(counters),
            }
        }
    }

    pub(super) fn note_passed(&self, backend: &Rc<Backend>) {
        self.passives.note_passed(backend);
    }

    /// Notes a failure; `enough` in a row may have the backend ejected, which is not to wait.
    pub(super) fn note_failed(&self, backend: &Rc<Backend>, enough: Option<u32>) {
        let (first, in_a_row) = self.passives.note_failed(backend);
        if enough == Some(in_a_row) {
            self.chores.arm(Duration::ZERO);
        } else if first {
            self.chores.arm(URGENT);
        }
    }

    /// Reports the backends that are to finish and have nothing in flight on any worker; whether some have.
    fn report_drained(&self) -> bool {
        let mut drains = self.drains.borrow_mut();
        let all_know = self.applied.iter().map(|a| a.0.load(Acquire)).min();
        if all_know >= Some(drains.generation) {
            drains.pending.retain(|backend| {
                let drained = backend.load.in_flight() == 0;
                if drained {
                    self.reports.drained(backend.key.clone());
                }
                !drained
            });
        }
        !drains.pending.is_empty()
    }

    /// Notes who is to finish by this plan. One worker does this for all.
    pub(super) fn watch_drains(&self, update: &Update) {
        if self.index != 0 {
            return;
        }
        self.drains.borrow_mut().follow(update);
        self.chores.arm(WATCH);
    }
}

/// The backends that are to finish.
#[derive(Default)]
pub(super) struct Drains {
    /// Those that have not been reported.
    pending: Vec<Arc<SharedBackend>>,
    /// All of them.
    known: HashSet<BackendKey>,
    /// The plan that this is of.
    generation: u64,
}

impl Drains {
    fn follow(&mut self, update: &Update) {
        let mut finishing = HashSet::new();
        for part in update.pools.values() {
            for (member, backend) in part.plan.members.iter().zip(&part.backends) {
                if !matches!(member.duty, Duty::Finish { .. }) {
                    continue;
                }
                if !self.known.contains(&member.key) {
                    self.pending.push(Arc::clone(backend));
                }
                finishing.insert(member.key.clone());
            }
        }
        self.pending.retain(|b| finishing.contains(&b.key));
        self.known = finishing;
        self.generation = update.generation;
    }
}
