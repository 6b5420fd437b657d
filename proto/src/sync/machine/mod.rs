//! One node's side: whom it hears, what it tells, what it asks for.
//!
//! All that is told goes to all peers, under one numbering: who joins or misses something has it told again to all, which
//! does no harm. [`peer`] follows one peer's numbering; [`receive`] takes datagrams, [`tell`] makes them, no faster than
//! a [bucket](super::bucket) allows.

mod peer;
mod receive;
mod tell;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

pub use self::peer::PeerStatus;
use self::{peer::Peer, tell::Telling};
use super::{
    bucket::Bucket,
    flow::{FlowKey, Record},
    limits::{DEAD, GREETING, HEARTBEAT, MAX_GONE, MIN_RATE},
    refusal::Refusal,
    seal::{Keys, Sealer, Session},
};
use crate::time::Instant;

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes a second of datagrams, at least [`MIN_RATE`]; what repairs and heartbeats take counts, but does not wait.
    pub rate: u64,
    /// To how many addresses each datagram is sent, for the rate: 1 for multicast.
    pub copies: u32,
    /// How long after the start a node without peers waits for one before it counts as in sync.
    pub wait: Duration,
    /// What the configuration is, as a number: peers with another one are told of.
    pub config: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate: 12_500_000,
            copies: 1,
            wait: Duration::from_secs(5),
            config: 0,
        }
    }
}

/// What happens to it.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came; it is opened in its place.
    Datagram {
        /// Where from: only told, never trusted.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a mut [u8],
    },
    /// This is to be told. At most [`Machine::room`] at a time; more are dropped and counted.
    Record(Record),
    /// What [`Output::Find`] asked for: how these connections are now.
    Found {
        /// The message that is repaired.
        number: u64,
        /// All that were asked for.
        records: Vec<Record>,
    },
    /// All that [`Output::Scan`] asked for was given.
    Scanned,
    /// The configuration is another one.
    Config(u64),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to all peers.
    Send(Vec<u8>),
    /// A peer tells this.
    Store(Record),
    /// Look these up, and give all of them back with [`Input::Found`].
    Find {
        /// The message that is repaired.
        number: u64,
        /// Connections.
        keys: Vec<FlowKey>,
    },
    /// Give all connections as [`Input::Record`], then [`Input::Scanned`]. If that is being done, begin again.
    Scan,
    /// A peer answers.
    PeerUp(Session, SocketAddr),
    /// One is heard no more.
    PeerDown(Session, SocketAddr),
    /// A peer has told everything.
    Told(Session, SocketAddr),
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records sent, with those that were told again.
    pub records_sent: u64,
    /// Records handed out.
    pub records_received: u64,
    /// Datagrams made; each is sent to every peer.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Authentic datagrams of peers.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Messages of peers that were missed.
    pub missed: u64,
    /// Of these, told again.
    pub repaired: u64,
    /// Messages told again for peers.
    pub repairs: u64,
    /// How often everything was told.
    pub told_all: u64,
    /// Records that found no room.
    pub dropped: u64,
    /// Datagrams that were not taken, by [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
}

impl Counters {
    fn refuse(&mut self, refusal: Refusal) {
        let at = Refusal::ALL.iter().position(|r| *r == refusal);
        if let Some(count) = at.and_then(|at| self.refused.get_mut(at)) {
            *count += 1;
        }
    }
}

/// One node's side. Hand inputs in, then poll outputs until there are none.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    keys: Keys,
    session: Session,
    sealer: Option<Sealer>,
    began: Instant,
    bucket: Bucket,
    peers: BTreeMap<Session, Peer>,
    /// Sessions that ended, with their last datagram: recordings of them are not taken.
    gone: VecDeque<(Session, u64)>,
    telling: Telling,
    heartbeat: Instant,
    /// Whom we do not know well enough is to hear of us, not before this.
    greet: Option<Instant>,
    greeted: Instant,
    /// Messages beside those of connections, encoded.
    urgent: VecDeque<Vec<u8>>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Machine {
    /// A node that starts. `session` is random.
    #[must_use]
    pub fn new(settings: Settings, keys: Keys, session: Session, now: Instant) -> Self {
        let rate = settings.rate.max(MIN_RATE);
        Self {
            sealer: keys.sealer(session),
            settings,
            keys,
            session,
            began: now,
            bucket: Bucket::new(rate, now),
            peers: BTreeMap::new(),
            gone: VecDeque::new(),
            telling: Telling::default(),
            heartbeat: now,
            greet: None,
            greeted: now - GREETING,
            urgent: VecDeque::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        match input {
            Input::Datagram { from, bytes } => {
                if let Err(refusal) = self.receive(from, bytes, now) {
                    self.counters.refuse(refusal);
                }
            }
            Input::Record(record) => {
                if self.telling.room() == 0 {
                    self.counters.dropped += 1;
                } else {
                    self.telling.add(record, now);
                }
            }
            Input::Found { number, records } => self.telling.found(number, records),
            Input::Scanned => self.telling.end(),
            Input::Config(config) => self.settings.config = config,
            Input::Tick => {}
        }
        self.on_time(now);
        self.tell(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to hand in [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let mut next = self.heartbeat;
        let peers = self.peers.values().map(Peer::deadline);
        let tell = self
            .telling
            .deadline()
            .map(|at| at.max(self.bucket.ready()));
        for at in peers.chain(tell).chain(self.greet) {
            next = next.min(at);
        }
        next
    }

    /// How many records may be handed in now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.telling.room()
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.peers.values().any(|peer| peer.proven)
    }

    /// Whether this node knows what its peers know: each that answers has told everything; or there is none, and that
    /// was waited for.
    #[must_use]
    pub fn in_sync(&self, now: Instant) -> bool {
        let waited = now >= self.began + self.settings.wait;
        let mut some = false;
        for peer in self.peers.values() {
            if peer.proven {
                some = true;
                if !peer.has_told() {
                    return false;
                }
            } else if now < peer.began + self.settings.wait {
                return false;
            }
        }
        some || waited
    }

    /// All who are heard.
    #[must_use]
    pub fn peers(&self, now: Instant) -> Vec<PeerStatus> {
        let all = self.peers.iter();
        all.map(|(session, peer)| peer.status(*session, self.settings.config, now))
            .collect()
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// This start's number.
    #[must_use]
    pub const fn session(&self) -> Session {
        self.session
    }

    fn on_time(&mut self, now: Instant) {
        let dead: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| now >= peer.heard + DEAD)
            .map(|(session, _)| *session)
            .collect();
        for session in dead {
            self.forget(session);
        }
        self.take_ready(now);
        for (session, peer) in &mut self.peers {
            peer.ask(*session, now, &mut self.urgent);
        }
        let greets = self.greet.is_some_and(|at| at <= now);
        if self.heartbeat <= now || greets {
            self.heartbeat = now + HEARTBEAT;
            self.greet = None;
            self.greeted = now;
            let beat = self
                .telling
                .heartbeat(self.settings.config, self.peers.keys().copied().collect());
            self.urgent.push_back(beat.encode());
        }
    }

    fn forget(&mut self, session: Session) {
        let Some(peer) = self.peers.remove(&session) else {
            return;
        };
        if !peer.proven {
            return;
        }
        self.gone.retain(|(gone, _)| *gone != session);
        self.gone.push_back((session, peer.window.highest()));
        if self.gone.len() > MAX_GONE {
            let _ = self.gone.pop_front();
        }
        self.outputs.push_back(Output::PeerDown(session, peer.from));
    }
}
