//! Live decisions of the kernel program, sampled, for those who look: `aplomb trace`.
//!
//! [`Hub`] is the way in: who listens gets a [`Listener`] and by it [`Decision`]s. While anybody listens, a thread
//! ([`mod@worker`]) reads the program's ring through a [`Tap`] and keeps the rate within bounds by having the program
//! sample less. When the last listener is gone, the program no longer samples at all: then its packets take the short
//! road again.

mod ring;
mod tap;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use xdp::abi::{Addr6, PassReason, Reason, TraceEvent};

pub(crate) use self::ring::Ring;
pub use self::tap::{Names, Tap};
use crate::{
    filter::{Filter, Seen, protocol_word},
    status::Word,
};

/// Listeners at a time.
pub const LISTENERS: usize = 16;
/// Decisions that wait for a listener; more are not kept for it, only counted.
const WAITING: usize = 1024;
/// The most decisions a second that a listener may ask for.
pub const FASTEST: u32 = 10_000;

/// One decision on one packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub nanos: u64,
    /// Whom the packet came from.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// `tcp`, `udp`, …
    pub protocol: Word,
    /// `new`, `established`, `reply`, `drop` or `pass`.
    pub verdict: Word,
    /// Why it was dropped or passed.
    pub reason: Option<Word>,
    /// The service.
    pub service: Option<String>,
    /// The backend.
    pub backend: Option<SocketAddr>,
    /// The interface it came in by.
    pub interface: Option<String>,
    /// Length of the frame, bytes.
    pub length: u32,
    /// One in so many decisions was looked at when this one was.
    pub one_in: u32,
    /// Decisions since the last one that were wanted too, but beyond the rate.
    pub missed: u64,
}

impl Decision {
    /// What an event says.
    fn of(event: &TraceEvent, names: Names, one_in: u32) -> Self {
        let verdicts = TraceEvent::VERDICTS;
        let verdict = verdicts.get(usize::from(event.verdict)).copied();
        let at = usize::from(event.reason);
        let reason = match verdict {
            Some("pass") => PassReason::ALL.get(at).map(|r| r.word()),
            Some("drop") => Reason::ALL.get(at).map(|r| r.word()),
            _ => None,
        };
        let address = |words: Addr6, port: u16| {
            SocketAddr::new(ip(words, event.family == 6), u16::from_be(port))
        };
        Self {
            nanos: event.nanos,
            source: address(event.src, event.sport),
            destination: address(event.dst, event.dport),
            protocol: protocol_word(event.proto),
            verdict: verdict.unwrap_or("unknown").into(),
            reason: reason.map(Into::into),
            service: names.service,
            backend: names.backend,
            interface: names.interface,
            length: event.length,
            one_in,
            missed: 0,
        }
    }

    /// Whether a filter wants it. Of a reply, the client is whom it goes to.
    fn passes(&self, filter: &Filter, protocol: u8) -> bool {
        let (client, target) = if self.verdict == "reply" {
            (self.destination, self.source)
        } else {
            (self.source, self.destination)
        };
        filter.matches(&Seen {
            service: self.service.as_deref(),
            backend: self.backend,
            client: Some(client),
            target: Some(target),
            protocol,
            verdict: Some(&self.verdict),
            reason: self.reason.as_deref(),
        })
    }
}

/// The address in words as the program has them.
pub(crate) fn ip(words: Addr6, v6: bool) -> IpAddr {
    if !v6 {
        return Ipv4Addr::from(words.a.to_ne_bytes()).into();
    }
    let mut bytes = [0; 16];
    let parts = [words.a, words.b, words.c, words.d];
    for (place, part) in bytes.chunks_exact_mut(4).zip(parts) {
        place.copy_from_slice(&part.to_ne_bytes());
    }
    Ipv6Addr::from(bytes).into()
}

/// Why somebody may not listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are [`LISTENERS`] already.
    TooMany,
    /// The ring cannot be read, or the program not be told to sample.
    Broken(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany => write!(f, "{LISTENERS} are listening already"),
            Self::Broken(why) => write!(f, "decisions cannot be traced: {why}"),
        }
    }
}

impl std::error::Error for Refused {}

/// Who listens, as the worker sees it.
#[derive(Debug)]
struct Ear {
    filter: Filter,
    per_second: u32,
    /// Decisions sent in this second.
    sent: u32,
    missed: u64,
    to: SyncSender<Decision>,
    /// The listener holds the other half: gone, it is gone.
    alive: Arc<()>,
}

impl Ear {
    fn is_gone(&self) -> bool {
        Arc::strong_count(&self.alive) == 1
    }
}

struct Inside {
    ears: Vec<Ear>,
    tap: Box<dyn Tap>,
    /// A thread is at work.
    works: bool,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.works {
            self.tap.close();
        }
    }
}

/// Where listeners come together.
#[derive(Clone)]
pub struct Hub {
    inside: Arc<Mutex<Inside>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// Nobody listens yet. Whatever a predecessor left switched on is switched off.
    #[must_use]
    pub fn new(mut tap: Box<dyn Tap>) -> Self {
        tap.close();
        let inside = Inside {
            ears: Vec::new(),
            tap,
            works: false,
        };
        Self {
            inside: Arc::new(Mutex::new(inside)),
        }
    }

    /// Listens to what passes `filter`, at most so many a second ([`FASTEST`] at the most).
    ///
    /// # Errors
    /// There are too many listeners, or it cannot be done.
    pub fn listen(&self, filter: Filter, per_second: u32) -> Result<Listener, Refused> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.ears.retain(|ear| !ear.is_gone());
        if inside.ears.len() >= LISTENERS {
            return Err(Refused::TooMany);
        }
        let (to, from) = sync_channel(WAITING);
        let alive = Arc::new(());
        inside.ears.push(Ear {
            filter,
            per_second: per_second.clamp(1, FASTEST),
            sent: 0,
            missed: 0,
            to,
            alive: Arc::clone(&alive),
        });
        let begun = worker::begin(&mut inside, &self.inside);
        if let Err(error) = begun {
            let _ = inside.ears.pop();
            return Err(Refused::Broken(error.to_string()));
        }
        Ok(Listener {
            from,
            _alive: alive,
        })
    }

    /// Ends it for all who listen: the program samples no more when this returns.
    pub fn end(&self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.ears.clear();
        if inside.works {
            inside.works = false;
            inside.tap.close();
        }
    }

    /// Whether decisions are sampled: somebody listens.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.works
    }
}

/// Who listens. Gone when dropped.
#[derive(Debug)]
pub struct Listener {
    from: Receiver<Decision>,
    _alive: Arc<()>,
}

impl Listener {
    /// The next decision, if there is one now.
    ///
    /// # Errors
    /// There will be no more: the plane has ended.
    pub fn next_now(&self) -> Result<Option<Decision>, Ended> {
        match self.from.try_recv() {
            Ok(decision) => Ok(Some(decision)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Ended),
        }
    }

    /// The next decision, if one comes within `patience`.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> Option<Decision> {
        self.from.recv_timeout(patience).ok()
    }
}

/// The plane has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;
