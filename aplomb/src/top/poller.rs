//! Asks the daemon, again and again.

use super::frame::Frame;
use crate::{
    api::model::{Stats, Status},
    cli::{
        client::Client,
        exit::{Failure, Outcome},
    },
};

/// A client, and what it saw last.
pub(super) struct Poller {
    client: Client,
    runtime: tokio::runtime::Runtime,
    before: Option<Stats>,
}

impl Poller {
    /// Nothing is asked yet.
    pub(super) fn new(client: Client) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::refused("cannot start", error))?;
        Ok(Self {
            client,
            runtime,
            before: None,
        })
    }

    /// What happened since the last look.
    pub(super) fn look(&mut self) -> Outcome<Frame> {
        let (client, before) = (&self.client, self.before.as_ref());
        let (frame, stats) = self.runtime.block_on(async {
            let status: Status = client.get("/v1/status").await?;
            let stats: Stats = client.get("/v1/stats").await?;
            Ok((Frame::new(&status, &stats, before), stats))
        })?;
        self.before = Some(stats);
        Ok(frame)
    }
}
