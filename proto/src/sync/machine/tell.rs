//! What is to be told, and the datagrams made of it.

use std::collections::{BTreeSet, VecDeque};

use super::{Counters, Machine, Output};
use crate::{
    sync::{
        codec::{Message, put_record},
        flow::{FlowKey, Record},
        limits::{
            FLOWS_HEADER, GATHER, MAX_ASKED, MAX_BODY, MAX_RECORDS, MAX_REPAIRS, MAX_SENT,
            MAX_SENT_KEYS, MAX_WAITING,
        },
        seal::Session,
    },
    time::Instant,
};

/// The fewest bytes that a full datagram's records have: less room is not worth another record.
const NEARLY: usize = 128;

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    waiting: VecDeque<Item>,
    /// When the first of them came.
    since: Option<Instant>,
    /// How long they are as bytes.
    bytes: usize,
    /// Marks among them, which do not wait for others.
    marks: usize,
    repairs: VecDeque<(u64, Vec<Record>)>,
    /// Messages that are looked up.
    looking: BTreeSet<u64>,
    /// Whom messages were about, by their numbers.
    sent: VecDeque<(u64, Vec<FlowKey>)>,
    sent_keys: usize,
    number: u64,
    scan: Option<Scan>,
}

/// Everything is being told.
#[derive(Debug, Default)]
struct Scan {
    /// And is to be once more.
    again: bool,
}

#[derive(Debug)]
enum Item {
    Record(Record),
    Begin,
    End,
}

impl Telling {
    pub(super) fn room(&self) -> usize {
        MAX_WAITING.saturating_sub(self.waiting.len())
    }

    pub(super) fn add(&mut self, record: Record, now: Instant) {
        self.bytes += length(&record);
        let _ = self.since.get_or_insert(now);
        self.waiting.push_back(Item::Record(record));
    }

    pub(super) fn heartbeat(&self, config: u64, hears: Vec<Session>) -> Message {
        Message::Heartbeat {
            number: self.number,
            config,
            telling: self.scan.is_some(),
            hears,
        }
    }

    /// A peer wants everything.
    pub(super) fn all(&mut self, outputs: &mut VecDeque<Output>) {
        match &mut self.scan {
            Some(scan) => scan.again = true,
            None => self.begin(outputs),
        }
    }

    fn begin(&mut self, outputs: &mut VecDeque<Output>) {
        self.scan = Some(Scan::default());
        self.mark(Item::Begin);
        outputs.push_back(Output::Scan);
    }

    /// Everything is in the queue.
    pub(super) fn end(&mut self) {
        if self.scan.is_some() {
            self.mark(Item::End);
        }
    }

    fn mark(&mut self, item: Item) {
        self.marks += 1;
        self.waiting.push_back(item);
    }

    /// A peer misses messages.
    pub(super) fn ask(
        &mut self,
        numbers: &[u64],
        outputs: &mut VecDeque<Output>,
        urgent: &mut VecDeque<Vec<u8>>,
    ) {
        let (mut forgotten, mut nothing) = (Vec::new(), Vec::new());
        for number in numbers.iter().take(MAX_ASKED) {
            let at = self.sent.binary_search_by_key(number, |(n, _)| *n);
            let Some((_, keys)) = at.ok().and_then(|at| self.sent.get(at)) else {
                forgotten.push(*number);
                continue;
            };
            if keys.is_empty() {
                nothing.push(*number);
                continue;
            }
            if self.looking.len() + self.repairs.len() >= MAX_REPAIRS
                || self.repairs.iter().any(|(n, _)| n == number)
                || !self.looking.insert(*number)
            {
                continue;
            }
            outputs.push_back(Output::Find {
                number: *number,
                keys: keys.clone(),
            });
        }
        if !forgotten.is_empty() {
            let numbers = forgotten;
            urgent.push_back(Message::Forgotten { numbers }.encode());
        }
        if !nothing.is_empty() {
            let numbers = nothing;
            urgent.push_back(Message::Nothing { numbers }.encode());
        }
    }

    /// How connections are that were asked for.
    pub(super) fn found(&mut self, number: u64, records: Vec<Record>) {
        if self.looking.remove(&number) {
            self.repairs.push_back((number, records));
        }
    }

    /// From when on there is something to send.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.repairs.is_empty() || self.is_full() {
            return Some(Instant::ZERO);
        }
        self.since.map(|since| since + GATHER)
    }

    fn is_full(&self) -> bool {
        self.marks > 0 || self.bytes + FLOWS_HEADER + NEARLY > MAX_BODY
    }

    /// The next message, if there is one that waits no longer.
    fn next(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        outputs: &mut VecDeque<Output>,
    ) -> Option<Vec<u8>> {
        if let Some((repairs, records)) = self.repairs.pop_front() {
            return Some(self.repair(repairs, records, counters));
        }
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        match self.waiting.front()? {
            Item::Record(_) => Some(self.gather(now, counters)),
            Item::Begin => Some(self.marked(|number| Message::Begin { number })),
            Item::End => {
                counters.told_all += 1;
                let message = self.marked(|number| Message::End { number });
                if self.scan.take().is_some_and(|scan| scan.again) {
                    self.begin(outputs);
                }
                Some(message)
            }
        }
    }

    fn marked(&mut self, message: impl FnOnce(u64) -> Message) -> Vec<u8> {
        let _ = self.waiting.pop_front();
        self.marks -= 1;
        message(self.numbered(Vec::new())).encode()
    }

    /// A message of the records that wait.
    fn gather(&mut self, now: Instant, counters: &mut Counters) -> Vec<u8> {
        let mut records = Vec::new();
        let mut room = MAX_BODY - FLOWS_HEADER;
        while let Some(Item::Record(record)) = self.waiting.front() {
            let length = length(record);
            if length > room || records.len() == MAX_RECORDS {
                break;
            }
            room -= length;
            self.bytes -= length;
            records.push(*record);
            let _ = self.waiting.pop_front();
        }
        self.since = (self.bytes > 0).then_some(now);
        self.flows(0, records, counters)
    }

    /// A message in place of a lost one. What does not fit waits: only the last part says that it repairs.
    fn repair(&mut self, lost: u64, mut records: Vec<Record>, counters: &mut Counters) -> Vec<u8> {
        let mut room = MAX_BODY - FLOWS_HEADER;
        let fitting = records.iter().take(MAX_RECORDS).take_while(|record| {
            let fits = length(record) <= room;
            room = room.saturating_sub(length(record));
            fits
        });
        let rest = records.split_off(fitting.count());
        if rest.is_empty() {
            counters.repairs += 1;
            return self.flows(lost, records, counters);
        }
        self.repairs.push_front((lost, rest));
        self.flows(0, records, counters)
    }

    fn flows(&mut self, repairs: u64, records: Vec<Record>, counters: &mut Counters) -> Vec<u8> {
        counters.records_sent += records.len() as u64;
        // Of a repair that is lost, what it repairs is asked for again.
        let kept = if repairs == 0 { &records[..] } else { &[] };
        let keys = kept.iter().map(|record| *record.key()).collect();
        Message::Flows {
            number: self.numbered(keys),
            repairs,
            records,
        }
        .encode()
    }

    /// The number of a message about these.
    fn numbered(&mut self, keys: Vec<FlowKey>) -> u64 {
        self.number += 1;
        self.sent_keys += keys.len();
        self.sent.push_back((self.number, keys));
        while self.sent.len() > MAX_SENT || self.sent_keys > MAX_SENT_KEYS {
            let first = self.sent.pop_front();
            self.sent_keys -= first.map_or(0, |(_, keys)| keys.len());
        }
        self.number
    }
}

/// A record's bytes.
fn length(record: &Record) -> usize {
    let mut bytes = Vec::with_capacity(128);
    put_record(record, &mut bytes);
    bytes.len()
}

impl Machine {
    /// Sends what may be sent.
    pub(super) fn tell(&mut self, now: Instant) {
        while let Some(body) = self.urgent.pop_front() {
            self.send(&body, now);
        }
        while self.bucket.ready() <= now {
            let next = self
                .telling
                .next(now, &mut self.counters, &mut self.outputs);
            let Some(body) = next else {
                break;
            };
            self.send(&body, now);
        }
    }

    fn send(&mut self, body: &[u8], now: Instant) {
        let sealed = self.sealer.as_mut().and_then(|sealer| sealer.seal(body));
        let Some(datagram) = sealed else {
            self.counters.dropped += 1;
            return;
        };
        let copies = u64::from(self.settings.copies.max(1));
        self.bucket.take(datagram.len() as u64 * copies, now);
        self.counters.datagrams_sent += 1;
        self.counters.bytes_sent += datagram.len() as u64;
        self.outputs.push_back(Output::Send(datagram));
    }
}
