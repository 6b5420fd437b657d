//! The thread between flows and peers: reads what came, looks a little further through the tables, sends what is due.
//!
//! Nothing in it waits but for the socket, and looking takes at most a fifth of a processor.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use control::spec::SyncSpec;
use l4::sync::{FlowName, FlowSync, Stored, Told};
use proto::{
    sync::{Input, Key, Keys, Machine, Output, Refusal, Session, Settings},
    time::Instant as Time,
};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    Shared, lock,
    socket::Way,
    translate::{name, record, told},
};
use crate::{
    api::model::{ReasonCount, SyncPeer, SyncStatus},
    daemon::clock,
};

/// Buckets looked at in one step, at most.
const STEP: usize = 512;
/// What may be found in one: as many flows as it has places, and a client of each.
const IN_BUCKET: usize = 16;
/// Buckets that are worth a step.
const LEAST: usize = 8;
/// How many times as long as a step took is waited before the next.
const PACE: u32 = 4;
/// At least between two looks through all.
const REST: Duration = Duration::from_millis(100);
/// Handshakes that are told of one address that goes, at most.
const PARTED: usize = 16_384;
/// The same rest while an address goes.
const BREATH: Duration = Duration::from_millis(5);
/// How long a wait is at most, so that its end is noticed.
const NAP: Duration = Duration::from_millis(50);
/// Datagrams read before something else has its turn.
const AT_ONCE: usize = 256;
/// How often it is told how it is.
const TELL: Duration = Duration::from_millis(200);
/// Until a socket that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The thread's own state.
pub(super) struct Work {
    spec: SyncSpec,
    shared: Arc<Shared>,
    flows: FlowSync,
    machine: Machine,
    way: Option<Way>,
    /// The interface it is by: the configured one, or the one that has the address.
    interface: Option<String>,
    /// Why there is none.
    trouble: Option<String>,
    next: Next,
    /// Handshakes that were told since an address was to go.
    parted: HashSet<FlowName>,
    /// Everything is being told.
    telling: bool,
    look_began: Instant,
    look_took: Duration,
    stored: BTreeMap<Stored, u64>,
    unsent: u64,
    rates: Rates,
}

/// When what is next.
struct Next {
    look: Instant,
    tell: Instant,
    open: Instant,
}

/// Flows a second.
struct Rates {
    at: Instant,
    before: (u64, u64),
    now: (u64, u64),
}

fn time() -> Time {
    Time::from_nanos(clock::now().nanos())
}

/// The machine of a configuration.
fn machine(spec: &SyncSpec, config: u64) -> io::Result<Machine> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
    let mut list = Vec::new();
    for key in &spec.keys {
        let bytes = Key::new(key.secret.reveal().as_bytes());
        list.push((key.id, bytes.ok_or_else(|| bad("a key's length"))?));
    }
    let keys = Keys::new(list, spec.active_key).map_err(|e| bad(&e.to_string()))?;
    let mut session = [0; 16];
    if getrandom(&mut session[..], GetRandomFlags::empty())? < session.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let settings = Settings {
        rate: spec.rate.0,
        copies: u32::try_from(spec.peers.len()).unwrap_or(1),
        wait: spec.wait,
        config,
    };
    Ok(Machine::new(settings, keys, Session(session), time()))
}

impl Work {
    pub(super) fn new(spec: &SyncSpec, shared: Arc<Shared>, flows: FlowSync) -> io::Result<Self> {
        let now = Instant::now();
        let config = *lock(&shared.config);
        Ok(Self {
            machine: machine(spec, config)?,
            interface: spec.interface.clone(),
            spec: spec.clone(),
            shared,
            flows,
            way: None,
            trouble: None,
            next: Next {
                look: now,
                tell: now,
                open: now,
            },
            parted: HashSet::new(),
            telling: false,
            look_began: now,
            look_took: Duration::ZERO,
            stored: BTreeMap::new(),
            unsent: 0,
            rates: Rates {
                at: now,
                before: (0, 0),
                now: (0, 0),
            },
        })
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        while !self.shared.ends.load(Ordering::Relaxed) {
            self.open();
            self.receive();
            self.settle(false);
            let config = *lock(&self.shared.config);
            self.machine.handle(Input::Config(config), time());
            self.obey();
            self.look();
            self.tell();
            let wait = self.wait();
            match &self.way {
                Some(way) => way.wait(wait),
                None => std::thread::sleep(wait),
            }
        }
        // Nobody is left who would do so.
        self.settle(true);
    }

    /// How long nothing is to be done unless something comes.
    fn wait(&self) -> Duration {
        let due = self.machine.next_deadline().saturating_since(time());
        let mut wait = due.min(NAP);
        if self.telling || self.machine.has_peers() {
            let look = self.next.look.saturating_duration_since(Instant::now());
            wait = wait.min(look.max(Duration::from_millis(1)));
        }
        wait
    }

    /// Has a socket, or says why not.
    fn open(&mut self) {
        // Before the tables are known, what peers tell could not be understood.
        if self.way.is_some() || self.next.open > Instant::now() || !self.flows.is_ready() {
            return;
        }
        self.next.open = Instant::now() + RETRY;
        match Way::open(&self.spec) {
            Ok(way) => {
                tracing::info!(listen = %self.spec.listen, "connection sync");
                (self.way, self.trouble) = (Some(way), None);
                if self.interface.is_none() {
                    self.interface = l4::interface_of(self.spec.listen.ip());
                }
            }
            Err(error) => {
                let trouble = format!("{}: {error}", self.spec.listen);
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::error!("connection sync has no socket, and tries again: {trouble}");
                }
                self.trouble = Some(trouble);
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2048];
        for _ in 0..AT_ONCE {
            let came = self.way.as_ref().and_then(|way| way.receive(&mut buffer));
            let Some((length, from)) = came else {
                return;
            };
            if let Some(bytes) = buffer.get_mut(..length) {
                let input = Input::Datagram { from, bytes };
                self.machine.handle(input, time());
                self.obey();
            }
        }
    }

    /// Does what the protocol wants.
    fn obey(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(datagram) => match &self.way {
                    Some(way) => self.unsent += way.send(&datagram),
                    None => self.unsent += 1,
                },
                Output::Store(record) => {
                    let stored = self.flows.store(&told(&record));
                    *self.stored.entry(stored).or_default() += 1;
                }
                Output::Find { number, keys } => {
                    let found = keys.iter().map(|key| record(&self.flows.find(&name(key))));
                    let records = found.collect();
                    self.machine
                        .handle(Input::Found { number, records }, time());
                }
                Output::Scan => {
                    self.flows.begin_all();
                    self.telling = true;
                }
                Output::PeerUp(session, from) => {
                    tracing::info!(%session, %from, "connection sync: a peer answers");
                }
                Output::PeerDown(session, from) => {
                    tracing::warn!(%session, %from, "connection sync: a peer is silent");
                }
                Output::Told(session, from) => {
                    tracing::info!(%session, %from, "connection sync: a peer has told everything");
                }
            }
        }
    }

    /// Goes a step through the tables, if it is time and there is room for what is found.
    fn look(&mut self) {
        let began = Instant::now();
        let steps = STEP.min(self.machine.room() / IN_BUCKET);
        let wanted = self.telling || self.machine.has_peers();
        if began < self.next.look || steps < LEAST || !wanted || !self.flows.is_ready() {
            return;
        }
        let steps = u32::try_from(steps).unwrap_or(1);
        let mut found = Vec::new();
        let was_telling = self.telling;
        let through = if was_telling {
            self.flows.all(steps, &mut found)
        } else {
            self.flows.look(steps, &mut found)
        };
        let in_haste = self.shared.looks.are_in_haste();
        if !in_haste {
            self.parted.clear();
        } else if through && !was_telling {
            self.part(&mut found);
        }
        for told in &found {
            self.machine.handle(Input::Record(record(told)), time());
        }
        self.next.look = Instant::now() + began.elapsed() * PACE;
        if through && was_telling {
            self.telling = false;
            self.machine.handle(Input::Scanned, time());
        } else if through {
            let now = Instant::now();
            let _ = self.shared.looks.through.fetch_add(1, Ordering::Relaxed);
            let rest = if in_haste { BREATH } else { REST };
            self.next.look = self.next.look.max(now + rest);
            self.look_took = now.duration_since(self.look_began);
            self.look_began = now;
        }
        self.obey();
    }

    /// What made a difference while addresses moved does so no longer, if they have settled or at the end.
    fn settle(&self, end: bool) {
        self.shared.looks.settle(end, || {
            if let Err(error) = self.flows.addresses_rest() {
                tracing::warn!(%error, "the kernel data plane's settings cannot be written");
            }
        });
    }

    /// Adds handshakes that were not told yet since an address was to go; not without end, whoever floods.
    fn part(&mut self, found: &mut Vec<Told>) {
        let mut under_way = Vec::new();
        self.flows.handshakes(&mut under_way);
        for told in under_way {
            let Told::Flow(flow) = &told else { continue };
            let has_room = self.parted.len() < PARTED && found.len() < self.machine.room();
            if has_room && self.parted.insert(flow.name) {
                found.push(told);
            }
        }
    }

    /// Says how it is.
    fn tell(&mut self) {
        let in_sync = self.machine.in_sync(time());
        self.shared.in_sync.store(in_sync, Ordering::Relaxed);
        let now = Instant::now();
        if self.next.tell > now {
            return;
        }
        self.next.tell = now + TELL;
        let counters = self.machine.counters();
        let flows = (counters.records_sent, counters.records_received);
        let passed = now.duration_since(self.rates.at);
        if passed >= Duration::from_secs(1) {
            let rate = |now: u64, before: u64| {
                (now - before) * 1000 / u64::try_from(passed.as_millis()).unwrap_or(1000).max(1)
            };
            self.rates.now = (
                rate(flows.0, self.rates.before.0),
                rate(flows.1, self.rates.before.1),
            );
            (self.rates.at, self.rates.before) = (now, flows);
        }
        *lock(&self.shared.status) = self.status(in_sync);
    }

    fn status(&self, in_sync: bool) -> SyncStatus {
        let counters = self.machine.counters();
        let count = |reason: &str, packets: u64| ReasonCount {
            reason: reason.into(),
            packets,
        };
        let stored = self.stored.iter().map(|(s, n)| count(s.word(), *n));
        let refused = Refusal::ALL.iter().zip(counters.refused);
        let refused = refused.map(|(refusal, n)| count(refusal.word(), n));
        let peers = self.machine.peers(time()).into_iter().map(|peer| SyncPeer {
            address: peer.from.to_string(),
            session: peer.session.to_string(),
            answers: peer.answers,
            silent_seconds: peer.silent.as_secs_f64(),
            missing: peer.missing as u64,
            told_seconds: peer.told.map(|told| told.as_secs_f64()),
            config_differs: peer.differs,
        });
        SyncStatus {
            listen: self.spec.listen.to_string(),
            interface: self.interface.clone(),
            group: self.spec.group().map(|group| group.to_string()),
            in_sync,
            trouble: self.trouble.clone(),
            peers: peers.collect(),
            flows_sent: counters.records_sent,
            flows_received: counters.records_received,
            flows_sent_per_second: self.rates.now.0,
            flows_received_per_second: self.rates.now.1,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            datagrams_sent: counters.datagrams_sent,
            datagrams_received: counters.datagrams_received,
            unsent: self.unsent,
            missed: counters.missed,
            repaired: counters.repaired,
            told_all: counters.told_all,
            look_seconds: self.look_took.as_secs_f64(),
            stored: stored.collect(),
            refused: refused.filter(|count| count.packets > 0).collect(),
        }
    }
}
