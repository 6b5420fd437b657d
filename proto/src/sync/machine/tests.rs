#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;
use crate::sync::{
    codec::{Message, decode},
    flow::{Flow, Method},
    limits::{MAX_MISSING, MAX_PEERS},
    seal::{Head, Key},
};

fn key(n: u8) -> Key {
    Key::new(&[n; 32]).unwrap()
}

fn keys() -> Keys {
    Keys::new([(1, key(1))], 1).unwrap()
}

fn from() -> SocketAddr {
    "192.0.2.1:8849".parse().unwrap()
}

fn flow(n: u16) -> Flow {
    Flow {
        key: FlowKey {
            template: false,
            protocol: 6,
            client: SocketAddr::new([192, 0, 2, 9].into(), n),
            target: "198.51.100.1:80".parse().unwrap(),
        },
        backend: "10.0.0.1:80".parse().unwrap(),
        method: Method::Nat,
        state: 1,
        persistent: false,
        remaining: Duration::from_secs(900),
        idle: Duration::ZERO,
        source: None,
        delta: None,
    }
}

/// A machine with all that it gave.
struct Node {
    machine: Machine,
    sent: Vec<Vec<u8>>,
    stored: Vec<Record>,
    other: Vec<Output>,
}

impl Node {
    fn new(n: u8, keys: Keys, now: Instant) -> Self {
        Self {
            machine: Machine::new(Settings::default(), keys, Session([n; 16]), now),
            sent: Vec::new(),
            stored: Vec::new(),
            other: Vec::new(),
        }
    }

    fn hand(&mut self, input: Input<'_>, now: Instant) {
        self.machine.handle(input, now);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(datagram) => self.sent.push(datagram),
                Output::Store(record) => self.stored.push(record),
                Output::Scan => self.machine.handle(Input::Scanned, now),
                other => self.other.push(other),
            }
        }
    }

    fn hear(&mut self, datagram: &[u8], now: Instant) {
        let mut bytes = datagram.to_vec();
        let bytes = &mut bytes;
        self.hand(
            Input::Datagram {
                from: from(),
                bytes,
            },
            now,
        );
    }

    fn refused(&self, refusal: Refusal) -> u64 {
        let at = Refusal::ALL.iter().position(|r| *r == refusal).unwrap();
        self.machine.counters().refused[at]
    }
}

/// All that both have sent reaches the other, until neither has more to say.
fn talk(a: &mut Node, b: &mut Node, now: Instant) {
    for _ in 0..20 {
        for datagram in std::mem::take(&mut a.sent) {
            b.hear(&datagram, now);
        }
        for datagram in std::mem::take(&mut b.sent) {
            a.hear(&datagram, now);
        }
    }
}

fn later(now: &mut Instant, millis: u64, nodes: [&mut Node; 2]) {
    *now += Duration::from_millis(millis);
    for node in nodes {
        node.hand(Input::Tick, *now);
    }
}

/// Two nodes that know each other.
fn pair() -> (Node, Node, Instant) {
    let mut now = Instant::at(Duration::from_secs(100));
    let (mut a, mut b) = (Node::new(1, keys(), now), Node::new(2, keys(), now));
    for _ in 0..6 {
        later(&mut now, 60, [&mut a, &mut b]);
        talk(&mut a, &mut b, now);
    }
    assert!(a.machine.in_sync(now) && b.machine.in_sync(now));
    assert!(matches!(
        a.other[..],
        [Output::PeerUp(..), Output::Told(..)]
    ));
    (a, b, now)
}

#[test]
fn a_connection_reaches_the_peer() {
    let (mut a, mut b, mut now) = pair();
    a.hand(Input::Record(Record::Flow(flow(1))), now);
    a.hand(Input::Record(Record::Gone(flow(2).key)), now);
    assert!(a.sent.is_empty(), "others may share its datagram");
    later(&mut now, 10, [&mut a, &mut b]);
    assert_eq!(a.sent.len(), 1);
    talk(&mut a, &mut b, now);
    assert_eq!(b.stored, [Record::Flow(flow(1)), Record::Gone(flow(2).key)]);
}

#[test]
fn what_is_lost_is_told_as_it_is_by_then() {
    let (mut a, mut b, mut now) = pair();
    for n in 1..3 {
        a.hand(Input::Record(Record::Flow(flow(n))), now);
        later(&mut now, 10, [&mut a, &mut b]);
    }
    let lost = a.sent.remove(0);
    talk(&mut a, &mut b, now);
    assert!(b.stored.is_empty(), "the first may be late");
    later(&mut now, 25, [&mut a, &mut b]);
    assert_eq!(b.stored, [Record::Flow(flow(2))]);
    talk(&mut a, &mut b, now);
    let Some(Output::Find { number, keys }) = a.other.pop() else {
        panic!("it is not asked for");
    };
    assert_eq!(keys, [flow(1).key]);
    let records = vec![Record::Gone(flow(1).key)];
    a.hand(Input::Found { number, records }, now);
    talk(&mut a, &mut b, now);
    assert_eq!(b.stored[1..], [Record::Gone(flow(1).key)]);
    b.hear(&lost, now);
    assert_eq!(b.refused(Refusal::Late), 1, "it says what was");
    assert_eq!(b.stored.len(), 2);
    assert_eq!(b.machine.counters().repaired, 1);
}

#[test]
fn the_last_one_lost_shows_in_the_heartbeat() {
    let (mut a, mut b, mut now) = pair();
    a.hand(Input::Record(Record::Flow(flow(1))), now);
    later(&mut now, 10, [&mut a, &mut b]);
    a.sent.clear();
    later(&mut now, 1000, [&mut a, &mut b]);
    talk(&mut a, &mut b, now);
    later(&mut now, 25, [&mut a, &mut b]);
    talk(&mut a, &mut b, now);
    assert!(matches!(a.other.last(), Some(Output::Find { .. })));
}

#[test]
fn too_much_lost_is_told_as_a_whole() {
    let (mut a, mut b, mut now) = pair();
    for n in 0..=MAX_MISSING + 1 {
        a.hand(Input::Record(Record::Flow(flow(n as u16))), now);
        later(&mut now, 10, [&mut a, &mut b]);
    }
    let last = a.sent.pop().unwrap();
    a.sent.clear();
    let told = a.machine.counters().told_all;
    b.hear(&last, now);
    later(&mut now, 25, [&mut a, &mut b]);
    assert!(!b.machine.in_sync(now));
    talk(&mut a, &mut b, now);
    assert_eq!(a.machine.counters().told_all, told + 1);
    assert!(b.machine.in_sync(now));
}

#[test]
fn recordings_are_not_taken() {
    let (mut a, mut b, mut now) = pair();
    a.hand(Input::Record(Record::Flow(flow(1))), now);
    later(&mut now, 10, [&mut a, &mut b]);
    later(&mut now, 1000, [&mut a, &mut b]);
    let recording = a.sent.clone();
    talk(&mut a, &mut b, now);
    b.stored.clear();
    for datagram in &recording {
        b.hear(datagram, now);
    }
    assert_eq!(b.refused(Refusal::Replayed), recording.len() as u64);
    // The peer is gone, but its recording does not bring it back.
    later(&mut now, 6000, [&mut b, &mut a]);
    assert!(matches!(b.other.last(), Some(Output::PeerDown(..))));
    for datagram in &recording {
        b.hear(datagram, now);
    }
    assert!(!b.machine.has_peers() && b.stored.is_empty());
    // A node that starts anew hears of it too, and believes nothing.
    let mut fresh = Node::new(3, keys(), now);
    for datagram in &recording {
        fresh.hear(datagram, now);
    }
    assert_eq!(fresh.refused(Refusal::Unproven), 1);
    assert!(!fresh.machine.has_peers() && fresh.stored.is_empty());
}

#[test]
fn without_the_key_nothing_is_read_or_written() {
    let now = Instant::at(Duration::from_secs(9));
    let mut ours = Node::new(1, keys(), now);
    for (keys, refusal) in [
        (Keys::new([(1, key(9))], 1).unwrap(), Refusal::Forged),
        (Keys::new([(2, key(1))], 2).unwrap(), Refusal::UnknownKey),
    ] {
        let mut other = Node::new(2, keys, now);
        other.hand(Input::Tick, now);
        ours.hear(&other.sent[0], now);
        assert_eq!(ours.refused(refusal), 1);
    }
    let mut other = Node::new(2, self::keys(), now);
    other.hand(Input::Tick, now);
    let good = other.sent[0].clone();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        ours.hear(&bad, now);
    }
    assert!(ours.machine.peers(now).is_empty());
    ours.hear(&good, now);
    assert_eq!(ours.machine.peers(now).len(), 1);
    assert!(!good.windows(16).skip(20).any(|w| w == [2; 16]));
}

#[test]
fn another_version_is_refused_as_such() {
    let now = Instant::at(Duration::from_secs(9));
    let (mut ours, mut other) = (Node::new(1, keys(), now), Node::new(2, keys(), now));
    other.hand(Input::Tick, now);
    let mut older = other.sent[0].clone();
    older[2] = 1;
    ours.hear(&older, now);
    assert_eq!(ours.refused(Refusal::Version), 1);
    assert!(ours.machine.peers(now).is_empty());
}

#[test]
fn keys_are_replaced_without_a_gap() {
    let mut now = Instant::at(Duration::from_secs(100));
    let both = |active| Keys::new([(1, key(1)), (2, key(2))], active).unwrap();
    for (a, b) in [
        (keys(), both(1)),
        (both(2), both(1)),
        (both(2), Keys::new([(2, key(2))], 2).unwrap()),
    ] {
        let (mut a, mut b) = (Node::new(1, a, now), Node::new(2, b, now));
        for _ in 0..6 {
            later(&mut now, 60, [&mut a, &mut b]);
            talk(&mut a, &mut b, now);
        }
        assert!(a.machine.has_peers() && b.machine.has_peers());
    }
}

#[test]
fn alone_it_is_in_sync_after_a_while() {
    let mut now = Instant::at(Duration::from_secs(100));
    let mut a = Node::new(1, keys(), now);
    assert!(!a.machine.in_sync(now));
    now += Settings::default().wait;
    a.hand(Input::Tick, now);
    assert!(a.machine.in_sync(now));
}

#[test]
fn who_has_the_key_cannot_fill_the_memory() {
    let mut now = Instant::at(Duration::from_secs(100));
    let mut ours = Node::new(0, keys(), now);
    for n in 1..=200 {
        let mut other = Node::new(n, keys(), now);
        other.hand(Input::Tick, now);
        ours.hear(&other.sent[0], now);
        now += Duration::from_millis(1);
    }
    assert_eq!(ours.machine.peers(now).len(), MAX_PEERS);
    for n in 0..20_000_u32 {
        ours.hand(Input::Record(Record::Flow(flow(n as u16))), Instant::ZERO);
    }
    assert_eq!(ours.machine.room(), 0);
    assert!(ours.machine.counters().dropped > 10_000);
}

#[test]
fn a_number_far_ahead_costs_nothing() {
    let (mut a, mut b, mut now) = pair();
    let mut sealer = keys().sealer(Session([1; 16])).unwrap();
    let far = Message::Flows {
        number: u64::MAX,
        repairs: 0,
        records: Vec::new(),
    };
    // Past those of the session that were sent before.
    let mut datagram = Vec::new();
    for _ in 0..500 {
        datagram = sealer.seal(&far.encode()).unwrap();
    }
    b.hear(&datagram, now);
    later(&mut now, 25, [&mut a, &mut b]);
    assert!(!b.machine.in_sync(now), "everything is asked for");
    for number in [u64::MAX, 0] {
        let message = Message::Heartbeat {
            number,
            config: 0,
            telling: true,
            hears: vec![b.machine.session],
        };
        let datagram = sealer.seal(&message.encode()).unwrap();
        b.hear(&datagram, now);
    }
    let missing = Message::Missing {
        of: b.machine.session,
        numbers: vec![7; 150],
    };
    let datagram = sealer.seal(&missing.encode()).unwrap();
    b.sent.clear();
    b.hear(&datagram, now);
    let opener = keys().opener(1, Session([2; 16])).unwrap();
    let mut answer = b.sent.pop().unwrap();
    let head = Head::read(&answer).unwrap();
    let answer = decode(opener.open(&head, &mut answer).unwrap()).unwrap();
    assert!(matches!(answer, Message::Forgotten { numbers } if numbers.len() <= 64));
}

#[test]
fn the_rate_holds_and_nothing_is_lost_of_it() {
    let (mut a, mut b, mut now) = pair();
    a.machine.bucket = Bucket::new(20_000, now);
    let before = a.machine.counters().bytes_sent;
    for n in 0..4000 {
        a.hand(Input::Record(Record::Flow(flow(n))), now);
    }
    let mut millis = 0;
    while b.stored.len() < 4000 {
        later(&mut now, 10, [&mut a, &mut b]);
        talk(&mut a, &mut b, now);
        millis += 10;
        assert!(millis < 60_000);
    }
    let rate = (a.machine.counters().bytes_sent - before) * 1000 / millis;
    assert!((18_000..22_000).contains(&rate), "{rate}");
}
