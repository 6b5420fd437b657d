//! When which backend needs attention: one entry for each that waits for something, none stale.

use std::collections::BTreeSet;

use super::BackendId;
use crate::time::Instant;

/// Deadlines in order. A backend has at most one, its earliest.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, BackendId)>);

impl Timers {
    /// Replaces the deadline of `id`, which was `before`, by `after`.
    pub(super) fn replace(
        &mut self,
        id: BackendId,
        before: Option<Instant>,
        after: Option<Instant>,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.0.remove(&(before, id));
        }
        if let Some(after) = after {
            self.0.insert((after, id));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<BackendId> {
        self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first().map(|(_, id)| id)
    }

    /// How many wait.
    #[cfg(debug_assertions)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
