//! The sync gate: a node that returns does not preempt before it knows what the master knows, or a time has passed.

use std::time::Duration;

use super::Opened;
use crate::time::Instant;

/// How a gate is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// After so long it opens whatever the sync says: a peer that never answers must not keep a better node away for good.
    pub timeout: Duration,
}

/// A gate: closed from the start until all is in sync. It closes again when sync is lost.
#[derive(Clone, Debug)]
pub struct Gate {
    settings: Option<GateSettings>,
    in_sync: bool,
    /// Closed since then, and not yet for too long.
    closed: Option<Instant>,
}

impl Gate {
    pub(super) fn new(settings: Option<GateSettings>, now: Instant) -> Self {
        Self {
            settings,
            in_sync: false,
            closed: settings.map(|_| now),
        }
    }

    /// Whether members may preempt.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether the last that was heard is that all is in sync.
    #[must_use]
    pub const fn is_in_sync(&self) -> bool {
        self.in_sync
    }

    /// When it opens whatever happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.closed? + self.settings?.timeout)
    }

    pub(super) fn set(&mut self, in_sync: bool, now: Instant) -> Option<Opened> {
        let before = std::mem::replace(&mut self.in_sync, in_sync);
        if in_sync {
            return self.closed.take().map(|_| Opened::InSync);
        }
        if before && self.settings.is_some() {
            self.closed = Some(now);
        }
        None
    }

    /// A gate that is new closes, unless all is in sync already; one that stays keeps its time.
    pub(super) fn configure(
        &mut self,
        settings: Option<GateSettings>,
        now: Instant,
    ) -> Option<Opened> {
        let before = std::mem::replace(&mut self.settings, settings);
        match (before, settings) {
            (_, None) => self.closed.take().map(|_| Opened::Removed),
            (None, Some(_)) if !self.in_sync => {
                self.closed = Some(now);
                None
            }
            _ => self.tick(now),
        }
    }

    pub(super) fn tick(&mut self, now: Instant) -> Option<Opened> {
        if self.next_deadline().is_none_or(|at| now < at) {
            return None;
        }
        self.closed = None;
        self.settings.map(|set| Opened::Timeout(set.timeout))
    }
}
