//! What the daemon knows of itself, for whoever asks: written by the conductor, read from any thread.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::SystemTime,
};

use super::handle::{Phase, Rejected, Reloads};

/// What the daemon knows of itself.
#[derive(Debug)]
pub(super) struct About {
    /// When it started.
    pub(super) started: SystemTime,
    /// The same on the clock that never jumps.
    pub(super) began: std::time::Instant,
    /// The file it was started with.
    pub(super) config: PathBuf,
    /// Samples of traffic that found the engine's queue full.
    pub(super) dropped: AtomicU64,
    changing: Mutex<Changing>,
}

/// The part that changes.
#[derive(Clone, Debug)]
pub(super) struct Changing {
    /// What it is about.
    pub(super) phase: Phase,
    /// What came of configurations.
    pub(super) reloads: Reloads,
}

impl About {
    pub(super) fn new(config: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            started: SystemTime::now(),
            began: std::time::Instant::now(),
            config,
            dropped: AtomicU64::new(0),
            changing: Mutex::new(Changing {
                phase: Phase::Starting,
                reloads: Reloads::default(),
            }),
        })
    }

    /// What it is now.
    pub(super) fn now(&self) -> Changing {
        self.changing().clone()
    }

    pub(super) fn phase(&self) -> Phase {
        self.changing().phase
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.changing().phase = phase;
    }

    /// A configuration is in force since now, be it the first one.
    pub(super) fn applied(&self, first: bool) {
        let reloads = &mut self.changing().reloads;
        reloads.succeeded += u64::from(!first);
        reloads.last_success = Some(SystemTime::now());
        reloads.last_error = None;
    }

    /// A configuration was rejected.
    pub(super) fn rejected(&self, why: &Rejected) {
        let reloads = &mut self.changing().reloads;
        reloads.failed += 1;
        reloads.last_error = Some(why.to_string());
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
