//! The predecessor's side.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    process,
    time::Duration,
};

use control::{spec::Listen, status::Saved};

use super::{
    Failure, PROTOCOL, descriptors,
    wire::{self, Farewell, Hello, Offer, Verdict},
};

/// How long the successor may take over its first word, or over taking a frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to serve. It binds, reads files and starts threads: more than this is a hang.
const START: Duration = Duration::from_secs(60);

/// What is handed over.
#[derive(Debug, Default)]
pub struct Goods {
    /// The listening sockets, by what they were configured as.
    pub sockets: Vec<(Listen, OwnedFd)>,
    /// What is known of backends.
    pub saved: Saved,
}

/// A successor that serves.
#[derive(Debug)]
pub struct Successor {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    stream: UnixStream,
}

impl Successor {
    /// Tells it that from here on it alone accepts.
    ///
    /// # Errors
    /// It has ended: it must not be left alone.
    pub fn farewell(self) -> Result<(), Failure> {
        wire::send(&self.stream, &Farewell {}).map_err(Failure::io("taking leave"))
    }
}

/// Gives the successor at the other end of `stream` what `goods` hands out, or the reason why not, and waits until
/// it serves. Blocks.
///
/// # Errors
/// It does not serve, and why.
pub fn give(
    stream: UnixStream,
    goods: impl FnOnce() -> Result<Goods, String>,
) -> Result<Successor, Failure> {
    let starting = Failure::io("starting");
    stream.set_read_timeout(Some(PATIENCE)).map_err(&starting)?;
    stream
        .set_write_timeout(Some(PATIENCE))
        .map_err(&starting)?;
    let hello: Hello = wire::receive(&stream, "waiting for its first word")?;
    let goods = wire::must_match(hello.protocol, &hello.version).and_then(|()| goods());
    let mut offer = Offer {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: process::id(),
        ..Offer::default()
    };
    let goods = match goods {
        Ok(goods) => goods,
        Err(why) => {
            offer.refused = Some(why.clone());
            wire::send(&stream, &offer).map_err(Failure::io("refusing"))?;
            return Err(Failure::Refused(why));
        }
    };
    offer.saved = goods.saved;
    let (listens, sockets): (Vec<_>, Vec<_>) = goods.sockets.into_iter().unzip();
    offer.sockets = listens.iter().map(ToString::to_string).collect();
    let offering = Failure::io("handing over");
    wire::send(&stream, &offer).map_err(&offering)?;
    descriptors::send(&stream, &sockets).map_err(&offering)?;
    drop(sockets);

    stream.set_read_timeout(Some(START)).map_err(&starting)?;
    let verdict: Verdict = wire::receive(&stream, "waiting for the successor to serve")?;
    match verdict.failed {
        Some(why) => Err(Failure::Refused(why)),
        None => Ok(Successor {
            pid: hello.pid,
            version: hello.version,
            stream,
        }),
    }
}
