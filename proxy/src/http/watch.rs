//! How long a wait may take: one timer for a connection, armed anew with every phase.

use std::{
    cell::Cell,
    task::{Context, Poll},
    time::Duration,
};

use control::time::Instant;

use crate::worker::{Backend, Entry, Timer, clock, service::earlier};

/// A connection's timer, and what may cut it off before its time.
pub(crate) struct Watch {
    pub(crate) entry: Entry,
    timer: Timer,
    due: Cell<Instant>,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// The phase took too long.
    Timeout,
    /// A drain is over.
    Cut,
}

impl Watch {
    pub(crate) fn new(entry: Entry) -> Self {
        let timer = entry.worker.wheel.timer();
        Self {
            entry,
            timer,
            due: Cell::new(Instant::ZERO),
        }
    }

    /// Begins a phase that may take this long.
    pub(crate) fn begin(&self, limit: Duration) {
        self.due.set(clock::coarse() + limit);
        self.timer.arm_at(self.due.get());
    }

    /// Has the phase end at that time, if that is earlier.
    pub(crate) fn shorten(&self, due: Instant) {
        if due < self.due.get() {
            self.due.set(due);
            self.timer.arm_at(due);
        }
    }

    /// Ready when the phase has taken too long, or a drain (of the service, the process or `backend`) is over.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, backend: Option<&Backend>) -> Poll<Late> {
        let cut = earlier(self.entry.cut_at(), backend.and_then(Backend::cut_at));
        if let Some(cut) = cut {
            self.shorten(cut);
        }
        self.timer.poll_expired(cx).map(|()| match cut {
            Some(cut) if cut <= self.due.get() => {
                self.entry.worker.count_cut();
                Late::Cut
            }
            _ => Late::Timeout,
        })
    }
}

impl Watch {
    /// What `future` comes to, unless the phase takes too long or is cut off.
    pub(crate) async fn guard<F: Future>(
        &self,
        future: F,
        backend: Option<&Backend>,
    ) -> Result<F::Output, Late> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll(cx, backend).map(Err),
        })
        .await
    }
}
