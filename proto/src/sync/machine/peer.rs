//! What is known of one peer: whether it is alive, which of its messages came, and whether it has told everything.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use crate::{
    sync::{
        codec::Message,
        limits::{ASK, ASK_ALL, DEAD, HOLD, MAX_ASKED, MAX_HELD, MAX_MISSING, MAX_TRIES},
        refusal::Refusal,
        seal::{Opener, Session},
        window::Window,
    },
    time::Instant,
};

/// One peer's session.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) from: SocketAddr,
    pub(super) opener: Opener,
    pub(super) window: Window,
    pub(super) began: Instant,
    pub(super) heard: Instant,
    /// It has named our session: it is no recording.
    pub(super) proven: bool,
    config: u64,
    /// The last numbered message that was taken.
    taken: u64,
    /// The last that is known to have been sent.
    announced: u64,
    /// Those that came before others that are due.
    held: BTreeMap<u64, Message>,
    /// Since when one is waited for.
    gap: Option<Instant>,
    /// Messages in their order.
    pub(super) ready: VecDeque<Message>,
    /// How many did not come.
    pub(super) missed: u64,
    missing: BTreeMap<u64, Asked>,
    all: All,
}

/// How one message was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    tries: u32,
    next: Instant,
}

/// Whether it has told everything.
#[derive(Clone, Copy, Debug)]
enum All {
    /// It is to be asked, at this time again.
    Ask(Instant),
    /// It is doing so.
    Hearing,
    /// It has, at this time.
    Told(Instant),
}

/// What is told of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its session.
    pub session: Session,
    /// Where it was heard from last.
    pub from: SocketAddr,
    /// It answers us.
    pub answers: bool,
    /// How long ago it was heard.
    pub silent: Duration,
    /// Messages of it that are missing.
    pub missing: usize,
    /// How long ago it had told everything.
    pub told: Option<Duration>,
    /// Its configuration is another one.
    pub differs: bool,
}

impl Peer {
    pub(super) fn new(from: SocketAddr, opener: Opener, now: Instant) -> Self {
        Self {
            from,
            opener,
            window: Window::default(),
            began: now,
            heard: now,
            proven: false,
            config: 0,
            taken: 0,
            announced: 0,
            held: BTreeMap::new(),
            gap: None,
            ready: VecDeque::new(),
            missed: 0,
            missing: BTreeMap::new(),
            all: All::Ask(now),
        }
    }

    /// A datagram of it was opened.
    pub(super) fn heard_of(
        &mut self,
        number: u64,
        from: SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        if !self.window.take(number) {
            return Err(Refusal::Replayed);
        }
        (self.from, self.heard) = (from, now);
        Ok(())
    }

    pub(super) const fn has_told(&self) -> bool {
        matches!(self.all, All::Told(_))
    }

    /// A heartbeat that names us.
    pub(super) fn beats(&mut self, number: u64, config: u64, telling: bool, now: Instant) {
        self.config = config;
        if !self.proven {
            self.proven = true;
            // Everything will be told: what was before matters no more.
            (self.taken, self.announced) = (number, number);
            return self.ask_all(now);
        }
        if matches!(self.all, All::Hearing) && !telling {
            self.all = All::Ask(now);
        }
        self.announced = self.announced.max(number);
        self.look_for_gap(now);
    }

    /// A numbered message came: it is [`Peer::ready`] when those before it are, or have been waited for.
    pub(super) fn takes(
        &mut self,
        number: u64,
        message: Message,
        now: Instant,
    ) -> Result<(), Refusal> {
        if number <= self.taken {
            return Err(Refusal::Late);
        }
        self.announced = self.announced.max(number);
        let _ = self.held.insert(number, message);
        self.release();
        if self.held.len() > MAX_HELD {
            self.skip(now);
        }
        self.look_for_gap(now);
        Ok(())
    }

    /// What came in order is ready.
    fn release(&mut self) {
        while let Some(first) = self.held.first_entry()
            && *first.key() == self.taken.saturating_add(1)
        {
            self.taken = *first.key();
            self.ready.push_back(first.remove());
        }
    }

    fn look_for_gap(&mut self, now: Instant) {
        if self.announced == self.taken {
            self.gap = None;
        } else {
            let _ = self.gap.get_or_insert(now);
        }
    }

    /// Goes on without what does not come.
    fn skip(&mut self, now: Instant) {
        let next = self.held.first_key_value().map(|(number, _)| *number);
        let last = next.map_or(self.announced, |next| next.saturating_sub(1));
        if last > self.taken {
            self.miss(self.taken + 1, last, now);
            self.taken = last;
        }
        self.release();
        self.gap = None;
        self.look_for_gap(now);
    }

    fn miss(&mut self, first: u64, last: u64, now: Instant) {
        self.missed += (last - first).saturating_add(1);
        if last - first >= (MAX_MISSING - self.missing.len().min(MAX_MISSING)) as u64 {
            return self.ask_all(now);
        }
        let asked = Asked {
            tries: 0,
            next: now,
        };
        self.missing.extend((first..=last).map(|n| (n, asked)));
    }

    /// What is missing cannot be had one by one.
    pub(super) fn ask_all(&mut self, now: Instant) {
        self.missing.clear();
        self.all = All::Ask(now);
    }

    /// A missing message was told again, or said nothing. Whether it was missing.
    pub(super) fn repaired(&mut self, number: u64) -> bool {
        self.missing.remove(&number).is_some()
    }

    /// Waits no longer for what is late.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.gap.is_some_and(|gap| gap + HOLD <= now) {
            self.skip(now);
        }
    }

    /// The peer does not know any more what was in these.
    pub(super) fn forgot(&mut self, numbers: &[u64], now: Instant) {
        if numbers.iter().any(|n| self.missing.contains_key(n)) {
            self.ask_all(now);
        }
    }

    pub(super) fn begins(&mut self) {
        self.all = All::Hearing;
    }

    /// It ends. Whether that is everything.
    pub(super) fn ends(&mut self, now: Instant) -> bool {
        let whole = matches!(self.all, All::Hearing);
        if whole {
            self.all = All::Told(now);
        }
        whole
    }

    /// Asks for what is missing and due.
    pub(super) fn ask(&mut self, of: Session, now: Instant, urgent: &mut VecDeque<Vec<u8>>) {
        if !self.proven {
            return;
        }
        let mut numbers = Vec::new();
        for (number, asked) in &mut self.missing {
            if asked.next > now {
                continue;
            }
            if asked.tries == MAX_TRIES {
                self.ask_all(now);
                numbers.clear();
                break;
            }
            if numbers.len() == MAX_ASKED {
                break;
            }
            asked.tries += 1;
            asked.next = now + ASK * (1 << asked.tries.min(6));
            numbers.push(*number);
        }
        if !numbers.is_empty() {
            urgent.push_back(Message::Missing { of, numbers }.encode());
        }
        if let All::Ask(at) = &mut self.all
            && *at <= now
        {
            *at = now + ASK_ALL;
            urgent.push_back(Message::Tell { of }.encode());
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        let mut next = self.heard + DEAD;
        if let Some(gap) = self.gap {
            next = next.min(gap + HOLD);
        }
        if self.proven {
            if let All::Ask(at) = self.all {
                next = next.min(at);
            }
            for asked in self.missing.values() {
                next = next.min(asked.next);
            }
        }
        next
    }

    pub(super) fn status(&self, session: Session, config: u64, now: Instant) -> PeerStatus {
        PeerStatus {
            session,
            from: self.from,
            answers: self.proven,
            silent: now.saturating_since(self.heard),
            missing: self.missing.len(),
            told: match self.all {
                All::Told(at) => Some(now.saturating_since(at)),
                _ => None,
            },
            differs: self.proven && self.config != config,
        }
    }
}
