//! What the planes tell of backends, on its way to the engine.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use control::{
    engine::{Event, PassiveSample},
    name::BackendKey,
};
use tokio::sync::mpsc;

use super::about::About;

/// Takes reports on workers, without ever waiting.
#[derive(Debug)]
pub(super) struct Reports {
    /// Bounded: a sample that finds it full is dropped, and the next one says nearly the same.
    events: mpsc::Sender<Event>,
    /// Unbounded, since one that were dropped would never come again; there is one for each backend that drains.
    drained: mpsc::UnboundedSender<Event>,
    about: Arc<About>,
}

impl Reports {
    pub(super) fn new(
        events: mpsc::Sender<Event>,
        drained: mpsc::UnboundedSender<Event>,
        about: Arc<About>,
    ) -> Self {
        Self {
            events,
            drained,
            about,
        }
    }
}

impl proxy::plane::Reports for Reports {
    fn traffic(&self, sample: PassiveSample) {
        if self.events.try_send(Event::Traffic(sample)).is_err() {
            let _ = self.about.dropped.fetch_add(1, Relaxed);
        }
    }

    fn drained(&self, backend: BackendKey) {
        // An engine that is gone needs to know nothing.
        let _ = self.drained.send(Event::Drained(backend));
    }
}
