//! One node's side: as master it packs and paces what is to be told, as backup it sorts what is heard.

use std::{collections::VecDeque, time::Duration};

use super::{GATHER, LONGEST_V4, MAX_WAITING, Record, Refusal, STALE, read, write::Writer};
use crate::{
    sync::{bucket::Bucket, limits::MIN_RATE},
    time::Instant,
};

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// It tells.
    pub master: bool,
    /// It listens.
    pub backup: bool,
    /// The sync id: a master's messages have it, a backup takes no others; of a backup 0 takes all.
    pub id: u8,
    /// The longest message, bytes.
    pub longest: usize,
    /// Bytes a second of messages, at least [`MIN_RATE`].
    pub rate: u64,
    /// After how long everything is told again: what got lost, or who came later.
    pub refresh: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            master: false,
            backup: false,
            id: 0,
            longest: LONGEST_V4,
            rate: 10 << 20,
            refresh: Duration::from_secs(60),
        }
    }
}

/// What happens to it.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram(&'a [u8]),
    /// This is to be told. At most [`Machine::room`] at a time; more are dropped and counted.
    Record(Record),
    /// All that [`Output::Scan`] asked for was given.
    Scanned,
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to the group.
    Send(Vec<u8>),
    /// A master tells this.
    Store(Record),
    /// Give all connections as [`Input::Record`], then [`Input::Scanned`].
    Scan,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages made.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Records in them.
    pub records_sent: u64,
    /// Records that found no room.
    pub dropped: u64,
    /// Messages whose header was right.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Records handed out.
    pub records_received: u64,
    /// Messages and records that were not taken, by [`Refusal::ALL`].
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

/// When everything is told next.
#[derive(Clone, Copy, Debug)]
enum Refresh {
    At(Instant),
    Runs,
}

/// One node's side of it.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    writer: Writer,
    bucket: Bucket,
    waiting: VecDeque<Record>,
    /// When the message in the making is sent, full or not.
    flush: Option<Instant>,
    refresh: Refresh,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Machine {
    /// A node that begins now.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            writer: Writer::new(settings.id, settings.longest),
            bucket: Bucket::new(settings.rate.max(MIN_RATE), now),
            waiting: VecDeque::new(),
            flush: None,
            // At first all is news anyway.
            refresh: Refresh::At(now + STALE),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Something happens. All outputs are to be taken before the next input.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        match input {
            Input::Datagram(bytes) if self.settings.backup => self.hear(bytes),
            Input::Record(record) if self.settings.master => self.queue(record, now),
            Input::Scanned => self.refresh = Refresh::At(now + self.settings.refresh),
            Input::Datagram(_) | Input::Record(_) | Input::Tick => {}
        }
        self.tell(now);
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let refresh = match self.refresh {
            Refresh::At(at) if self.settings.master => Some(at),
            _ => None,
        };
        let send = (!self.waiting.is_empty()).then(|| self.bucket.ready());
        let flush = self.flush.map(|at| at.max(self.bucket.ready()));
        [refresh, send, flush].into_iter().flatten().min()
    }

    /// How many records it takes.
    #[must_use]
    pub fn room(&self) -> usize {
        MAX_WAITING - self.waiting.len()
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn hear(&mut self, bytes: &[u8]) {
        let records = match read::message(bytes, self.settings.id) {
            Ok(records) => records,
            Err(refusal) => return self.counters.refuse(refusal),
        };
        self.counters.messages_received += 1;
        self.counters.bytes_received += bytes.len() as u64;
        for record in records {
            match record {
                Ok(record) => {
                    self.counters.records_received += 1;
                    self.outputs.push_back(Output::Store(record));
                }
                Err(refusal) => self.counters.refuse(refusal),
            }
        }
    }

    fn queue(&mut self, record: Record, now: Instant) {
        if self.room() == 0 {
            self.counters.dropped += 1;
            return;
        }
        self.waiting.push_back(record);
        let due = now + GATHER;
        self.flush = Some(self.flush.map_or(due, |before| before.min(due)));
    }

    /// Does what is due of a master.
    fn tell(&mut self, now: Instant) {
        if !self.settings.master {
            return;
        }
        if let Refresh::At(at) = self.refresh
            && at <= now
        {
            self.refresh = Refresh::Runs;
            self.outputs.push_back(Output::Scan);
        }
        while self.bucket.ready() <= now {
            let Some(record) = self.waiting.pop_front() else {
                break;
            };
            self.counters.records_sent += 1;
            if let Some(message) = self.writer.put(&record) {
                self.send(message, now);
            }
        }
        if self.flush.is_none() && !self.writer.is_empty() {
            // What had to wait for the rate.
            self.flush = Some(now + GATHER);
        }
        let due = self.flush.is_some_and(|at| at <= now);
        if due && self.bucket.ready() <= now {
            if let Some(message) = self.writer.take() {
                self.send(message, now);
            }
            self.flush = None;
        }
    }

    fn send(&mut self, message: Vec<u8>, now: Instant) {
        self.bucket.take(message.len() as u64, now);
        self.counters.messages_sent += 1;
        self.counters.bytes_sent += message.len() as u64;
        self.outputs.push_back(Output::Send(message));
    }
}
