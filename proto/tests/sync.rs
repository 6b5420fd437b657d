//! Connection sync under a virtual network that loses, doubles and delays, and nodes that start anew: in the end both
//! know the same, connections and remembered clients. A failed world says its seed; `SYNC_SEED` runs it alone.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    time::Duration,
};

use proto::{
    sync::{
        Flow, FlowKey, Input, Key, Keys, Machine, Method, Output, Record, Session, Settings,
        Template,
    },
    time::Instant,
};

/// As long as a connection is remembered without being told of again.
const MEMORY: Duration = Duration::from_secs(10);
/// How often each is told of again.
const AGAIN: Duration = Duration::from_secs(4);

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

struct Node {
    machine: Machine,
    /// Connections and clients, with the time at which they are forgotten.
    table: BTreeMap<FlowKey, (Record, Instant)>,
    /// What is still to be given of everything.
    scan: Option<Vec<FlowKey>>,
}

fn settings() -> Settings {
    Settings {
        rate: 200_000,
        ..Settings::default()
    }
}

fn keys() -> Keys {
    Keys::new([(1, Key::new(&[5; 32]).unwrap())], 1).unwrap()
}

struct World {
    dice: Dice,
    now: Instant,
    nodes: [Node; 2],
    /// When, to whom, what.
    wire: BinaryHeap<(std::cmp::Reverse<u64>, usize, Vec<u8>)>,
    loss: u64,
    sessions: u8,
    again: Instant,
}

/// A connection in a state, or every fifth time a client that persistence remembers, with a backend of that number.
fn thing(n: u64, state: u8) -> Record {
    let v6 = n.is_multiple_of(3);
    let template = n.is_multiple_of(5);
    // A connection and a client that are alike but for what they are.
    let n = if template { n + 1 } else { n };
    let client: SocketAddr = if v6 {
        format!("[2001:db8::{n:x}]:0")
    } else {
        format!("192.0.{}.{}:0", n / 250, n % 250)
    }
    .parse()
    .unwrap();
    let target = if v6 {
        "[2001:db8:1::1]:80"
    } else {
        "198.51.100.1:80"
    };
    let key = FlowKey {
        template,
        protocol: 6,
        client,
        target: target.parse().unwrap(),
    };
    if template {
        return Record::Template(Template {
            key,
            backend: SocketAddr::new([10, 0, 0, state].into(), 80),
            remaining: MEMORY,
            idle: Duration::ZERO,
        });
    }
    Record::Flow(Flow {
        key,
        backend: "10.0.0.1:80".parse().unwrap(),
        method: Method::Tunnel,
        state,
        persistent: false,
        remaining: MEMORY,
        idle: Duration::ZERO,
        source: None,
        delta: None,
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::at(Duration::from_secs(1000));
        let node = |n: u8| Node {
            machine: Machine::new(settings(), keys(), Session([n; 16]), now),
            table: BTreeMap::new(),
            scan: None,
        };
        Self {
            dice: Dice(seed | 1 << 40),
            now,
            nodes: [node(1), node(2)],
            wire: BinaryHeap::new(),
            loss: 20,
            sessions: 2,
            again: now,
        }
    }

    fn settle(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].machine.poll_output() {
            let now = self.now;
            let node = &mut self.nodes[at];
            match output {
                Output::Send(datagram) => {
                    if self.dice.roll(100) < self.loss {
                        continue;
                    }
                    for _ in 0..=u64::from(self.dice.roll(10) == 0) {
                        let late = u64::from(self.dice.roll(50) == 0);
                        let delay = 1 + self.dice.roll(4) * self.dice.roll(4) + 40 * late;
                        let when = now.nanos() / 1_000_000 + delay;
                        self.wire
                            .push((std::cmp::Reverse(when), 1 - at, datagram.clone()));
                    }
                }
                // The first node carries the connections, and knows better.
                Output::Store(_) if at == 0 => {}
                Output::Store(Record::Gone(key)) => drop(node.table.remove(&key)),
                Output::Store(record) => {
                    let _ = node.table.insert(*record.key(), (record, now + MEMORY));
                }
                Output::Find { number, keys } => {
                    let records = keys
                        .into_iter()
                        .map(|key| match node.table.get(&key) {
                            Some((record, _)) => *record,
                            None => Record::Gone(key),
                        })
                        .collect();
                    node.machine.handle(Input::Found { number, records }, now);
                }
                Output::Scan => node.scan = Some(node.table.keys().copied().collect()),
                Output::PeerUp(..) | Output::PeerDown(..) | Output::Told(..) => {}
            }
        }
    }

    fn hand(&mut self, at: usize, record: Record) {
        let now = self.now;
        self.nodes[at].machine.handle(Input::Record(record), now);
        self.settle(at);
    }

    /// What the first node knows changes.
    fn change(&mut self) {
        let n = self.dice.roll(400);
        let state = self.dice.roll(12) as u8;
        let record = thing(n, state);
        let key = *record.key();
        if state == 0 {
            self.nodes[0].table.remove(&key);
            self.hand(0, Record::Gone(key));
        } else {
            let forever = self.now + Duration::from_secs(1 << 20);
            self.nodes[0].table.insert(key, (record, forever));
            self.hand(0, record);
        }
    }

    /// A node's program starts anew; the second loses its table too.
    fn restart(&mut self, at: usize) {
        self.sessions += 1;
        let session = Session([self.sessions; 16]);
        self.nodes[at].machine = Machine::new(settings(), keys(), session, self.now);
        self.nodes[at].scan = None;
        if at == 1 {
            self.nodes[1].table.clear();
        }
    }

    fn millisecond(&mut self) {
        self.now += Duration::from_millis(1);
        let now = self.now;
        let millis = now.nanos() / 1_000_000;
        while self.wire.peek().is_some_and(|(at, ..)| at.0 <= millis) {
            let (_, to, mut bytes) = self.wire.pop().unwrap();
            let bytes = &mut bytes[..];
            let from = "192.0.2.1:8849".parse().unwrap();
            let input = Input::Datagram { from, bytes };
            self.nodes[to].machine.handle(input, now);
            self.settle(to);
        }
        for at in 0..2 {
            if self.nodes[at].machine.next_deadline() <= now {
                self.nodes[at].machine.handle(Input::Tick, now);
                self.settle(at);
            }
            let node = &mut self.nodes[at];
            node.table.retain(|_, (_, until)| *until > now);
            let room = node.machine.room();
            if let Some(mut scan) = node.scan.take() {
                let some = scan.split_off(scan.len().saturating_sub(room.min(50)));
                for key in some {
                    if let Some((record, _)) = node.table.get(&key) {
                        node.machine.handle(Input::Record(*record), now);
                    }
                }
                if scan.is_empty() {
                    node.machine.handle(Input::Scanned, now);
                } else {
                    node.scan = Some(scan);
                }
                self.settle(at);
            }
        }
        if self.again <= now {
            self.again = now + AGAIN;
            let all: Vec<_> = self.nodes[0]
                .table
                .values()
                .map(|(record, _)| *record)
                .collect();
            for record in all {
                self.hand(0, record);
            }
        }
    }

    fn run(&mut self, millis: u64, changes: bool) {
        for _ in 0..millis {
            self.millisecond();
            if changes && self.dice.roll(3) == 0 {
                self.change();
            }
        }
    }

    fn same(&self) -> bool {
        let plain = |at: usize| -> BTreeMap<_, _> {
            let table = self.nodes[at].table.iter();
            table.map(|(key, (record, _))| (*key, *record)).collect()
        };
        let (a, b) = (plain(0), plain(1));
        if a != b {
            let counters = self.nodes.each_ref().map(|n| n.machine.counters());
            eprintln!("{} and {} connections, {counters:?}", a.len(), b.len());
        }
        a == b
    }
}

fn seeds(count: u64) -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is told its seed")]
    let one = std::env::var("SYNC_SEED").ok();
    one.map_or_else(|| (1..=count).collect(), |seed| vec![seed.parse().unwrap()])
}

#[test]
fn both_know_the_same_in_the_end() {
    for seed in seeds(8) {
        let mut world = World::new(seed);
        for _ in 0..3 {
            world.run(1500, true);
            let at = world.dice.roll(3) as usize;
            if at < 2 {
                world.restart(at);
            }
        }
        // What a restart left untold is forgotten, or told again.
        world.run(16_000, false);
        assert!(world.same(), "SYNC_SEED={seed}");
        let known = &world.nodes[0].table;
        for template in [false, true] {
            let some = known.keys().any(|key| key.template == template);
            assert!(some, "SYNC_SEED={seed}");
        }
        for node in &world.nodes {
            assert!(node.machine.in_sync(world.now), "SYNC_SEED={seed}");
        }
    }
}

#[test]
fn on_a_whole_network_nothing_waits_to_be_forgotten() {
    for seed in seeds(10) {
        let mut world = World::new(seed);
        world.run(3000, true);
        world.loss = 0;
        // Losses of before are repaired, and nothing is told twice by the clock meanwhile.
        world.again = world.now + Duration::from_secs(3600);
        world.run(4000, false);
        assert!(world.same(), "SYNC_SEED={seed}");
    }
}
