//! The successor's side.

use std::{os::unix::net::UnixStream, process, time::Duration};

use super::{
    Failure, Goods, PROTOCOL, descriptors,
    wire::{self, Farewell, Hello, Offer, Verdict},
};

/// How long the predecessor may take over each of its answers. It answers from a thread of its own, which asks
/// one that never waits for long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was taken over, while the predecessor waits to hear what becomes of it. Dropped without a word, it is as
/// good as [failed](Self::failed).
#[derive(Debug)]
pub struct Taken {
    /// The predecessor's process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    stream: UnixStream,
}

/// Takes over from the process at the other end of `stream`. Blocks.
///
/// # Errors
/// There is nothing to be had, and why.
pub fn take(stream: UnixStream) -> Result<(Taken, Goods), Failure> {
    let asking = Failure::io("asking the running process");
    stream.set_read_timeout(Some(PATIENCE)).map_err(&asking)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(&asking)?;
    let hello = Hello {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: process::id(),
    };
    wire::send(&stream, &hello).map_err(&asking)?;
    let offer: Offer = wire::receive(&stream, "waiting for the running process")?;
    if let Some(why) = offer.refused {
        return Err(Failure::Refused(why));
    }
    wire::must_match(offer.protocol, &offer.version).map_err(Failure::Refused)?;
    let sockets = descriptors::receive(&stream, offer.sockets.len())
        .map_err(Failure::io("taking the sockets over"))?;
    // A socket of a scheme that only the predecessor knows is closed here; it says so in the log of neither.
    let sockets = offer
        .sockets
        .iter()
        .map(|text| wire::listen_of(text))
        .zip(sockets)
        .filter_map(|(listen, socket)| Some((listen?, socket)))
        .collect();
    let taken = Taken {
        pid: offer.pid,
        version: offer.version,
        stream,
    };
    let goods = Goods {
        sockets,
        saved: offer.saved,
    };
    Ok((taken, goods))
}

impl Taken {
    /// Tells the predecessor that this process serves, and waits until that has stopped accepting. If it does not
    /// answer it has ended, or hangs; either way this process serves.
    ///
    /// # Errors
    /// It did not answer.
    pub fn serving(self) -> Result<(), Failure> {
        let verdict = Verdict { failed: None };
        wire::send(&self.stream, &verdict).map_err(Failure::io("telling the running process"))?;
        wire::receive(&self.stream, "waiting for the running process to leave")
            .map(|Farewell {}| ())
    }

    /// Tells the predecessor why this process does not serve.
    pub fn failed(self, why: &str) {
        let verdict = Verdict {
            failed: Some(why.into()),
        };
        // If it cannot be told, it sees that this process ends.
        let _ = wire::send(&self.stream, &verdict);
    }
}
