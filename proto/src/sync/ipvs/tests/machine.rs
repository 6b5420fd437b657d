use std::time::Duration;

use super::record;
use crate::{
    sync::ipvs::{Input, Machine, Output, Record, Refusal, Settings},
    time::Instant,
};

/// A node with what it gave.
struct Node {
    machine: Machine,
    sent: Vec<Vec<u8>>,
    stored: Vec<Record>,
    scans: u32,
}

impl Node {
    fn new(settings: Settings) -> Self {
        Self {
            machine: Machine::new(settings, Instant::ZERO),
            sent: Vec::new(),
            stored: Vec::new(),
            scans: 0,
        }
    }

    fn handle(&mut self, input: Input<'_>, now: Instant) {
        self.machine.handle(input, now);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(message) => self.sent.push(message),
                Output::Store(record) => self.stored.push(record),
                Output::Scan => self.scans += 1,
            }
        }
    }

    /// Goes on to what is due, until then.
    fn until(&mut self, end: Instant) {
        while let Some(due) = self.machine.next_deadline().filter(|due| *due <= end) {
            self.handle(Input::Tick, due);
        }
    }
}

fn both(id: u8) -> Settings {
    Settings {
        master: true,
        backup: true,
        id,
        ..Settings::default()
    }
}

fn seconds(n: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(n)
}

#[test]
fn two_directors_tell_each_other() {
    let (mut a, mut b) = (Node::new(both(7)), Node::new(both(7)));
    for n in 0..50 {
        a.handle(Input::Record(record(n)), seconds(1));
    }
    b.handle(Input::Record(record(1000)), seconds(1));
    assert_eq!(a.sent.len(), 1, "40 records are a message");
    assert!(b.sent.is_empty(), "it waits for others");
    a.until(seconds(2));
    b.until(seconds(2));
    assert_eq!((a.sent.len(), b.sent.len()), (2, 1));
    for message in &a.sent {
        b.handle(Input::Datagram(message), seconds(2));
    }
    for message in &b.sent {
        a.handle(Input::Datagram(message), seconds(2));
    }
    let told: Vec<_> = (0..50).map(record).collect();
    assert_eq!(b.stored, told);
    assert_eq!(a.stored, [record(1000)]);
    let counters = a.machine.counters();
    assert_eq!((counters.records_sent, counters.messages_sent), (50, 2));
    assert_eq!(
        (counters.records_received, counters.messages_received),
        (1, 1)
    );
}

#[test]
fn who_only_listens_tells_nothing_and_who_only_tells_hears_nothing() {
    let mut backup = Node::new(Settings {
        master: false,
        ..both(7)
    });
    let mut master = Node::new(Settings {
        backup: false,
        ..both(7)
    });
    for node in [&mut backup, &mut master] {
        node.handle(Input::Record(record(1)), seconds(1));
        node.until(seconds(3));
    }
    assert_eq!((backup.sent.len(), backup.scans), (0, 0));
    let message = master.sent.remove(0);
    master.handle(Input::Datagram(&message), seconds(3));
    assert!(master.stored.is_empty());
    backup.handle(Input::Datagram(&message), seconds(3));
    assert_eq!(backup.stored.len(), 1);
}

#[test]
fn other_groups_are_counted_and_nothing_else() {
    let (mut ours, mut theirs, mut any) =
        (Node::new(both(7)), Node::new(both(8)), Node::new(both(0)));
    theirs.handle(Input::Record(record(1)), seconds(1));
    theirs.until(seconds(2));
    ours.handle(Input::Datagram(&theirs.sent[0]), seconds(2));
    assert!(ours.stored.is_empty());
    let id = Refusal::ALL.iter().position(|r| *r == Refusal::Id);
    assert_eq!(ours.machine.counters().refused[id.unwrap()], 1);
    any.handle(Input::Datagram(&theirs.sent[0]), seconds(2));
    assert_eq!(any.stored.len(), 1, "0 takes all");
}

#[test]
fn everything_is_told_at_first_and_then_from_time_to_time() {
    let mut node = Node::new(both(7));
    node.handle(Input::Tick, Instant::ZERO);
    assert_eq!(node.scans, 0, "all is news yet");
    node.until(seconds(2));
    assert_eq!(node.scans, 1);
    node.until(seconds(600));
    assert_eq!(node.scans, 1, "it is still being told");
    node.handle(Input::Scanned, seconds(600));
    node.until(seconds(659));
    assert_eq!(node.scans, 1);
    node.until(seconds(660));
    assert_eq!(node.scans, 2);
}

#[test]
fn no_more_is_sent_than_may_be_and_nothing_stays_behind() {
    let mut node = Node::new(Settings {
        rate: 20_000,
        ..both(7)
    });
    let mut given = 0;
    for n in 0..9000 {
        node.handle(Input::Record(record(n)), seconds(1));
        given += u64::from(node.machine.counters().dropped == 0);
    }
    assert!((8192..8500).contains(&given), "{given}");
    assert_eq!(node.machine.room(), 0);
    let counted = |node: &Node| node.machine.counters().bytes_sent;
    node.until(seconds(11));
    assert!(
        (195_000..210_000).contains(&counted(&node)),
        "{}",
        counted(&node)
    );
    node.until(seconds(100));
    assert_eq!(node.machine.counters().records_sent, given);
    let records: u64 = node.sent.iter().map(|message| u64::from(message[4])).sum();
    assert_eq!(records, given);
}
