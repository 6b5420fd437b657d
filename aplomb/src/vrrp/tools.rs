//! What all virtual routers of the thread share: sockets, the picture of links, clocks, ways to others.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proto::{
    time::{Instant, Utc},
    vrrp::terms::Family,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{frame::Frames, hand::Job, links::Links, report::Report, socket::Channel};

/// The monotonic clock for the machines, the wall clock for authentication.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(std::time::Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(super) fn now(self) -> Instant {
        Instant::at(self.0.elapsed())
    }

    #[expect(clippy::unused_self, reason = "a clock of both kinds")]
    pub(super) fn utc(self) -> Utc {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Utc::at(since.unwrap_or(Duration::ZERO))
    }
}

/// What is shared.
pub(super) struct Tools {
    pub(super) links: Links,
    pub(super) frames: Frames,
    pub(super) channels: BTreeMap<(String, Family), Arc<Channel>>,
    pub(super) hand: mpsc::Sender<Job>,
    pub(super) reports: UnboundedSender<Report>,
    pub(super) clock: Clock,
}

impl Tools {
    pub(super) fn job(&self, job: Job) {
        // It ends after this thread.
        let _ = self.hand.send(job);
    }

    pub(super) fn report(&self, report: Report) {
        // When nobody listens any more the process is about to end.
        let _ = self.reports.send(report);
    }
}
