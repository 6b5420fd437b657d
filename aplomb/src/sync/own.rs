//! What nodes of aplomb tell each other: the protocol's machine ([`proto::sync::Machine`]) and its way to peers.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use control::spec::SyncSpec;
use l4::sync::{FlowSync, Stored, Told};
use proto::sync::{Input, Key, Keys, Machine, Output, Refusal, Session, Settings};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    rates::Rates,
    socket::Way,
    thread::{AT_ONCE, RETRY, time},
    translate::{name, record, told},
};
use crate::api::model::{ReasonCount, SyncPeer, SyncStatus};

/// One node's side of the protocol.
pub(super) struct Own {
    spec: SyncSpec,
    machine: Machine,
    way: Option<Way>,
    /// The interface it is by: the configured one, or the one that has the address.
    interface: Option<String>,
    /// Why there is no way.
    trouble: Option<String>,
    open: Instant,
    stored: BTreeMap<Stored, u64>,
    unsent: u64,
    rates: Rates,
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

impl Own {
    pub(super) fn new(spec: &SyncSpec, config: u64) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            machine: machine(spec, config)?,
            interface: spec.interface.clone(),
            spec: spec.clone(),
            way: None,
            trouble: None,
            open: now,
            stored: BTreeMap::new(),
            unsent: 0,
            rates: Rates::new(now),
        })
    }

    /// The way, if there is one.
    pub(super) const fn way(&self) -> Option<&Way> {
        self.way.as_ref()
    }

    /// Whether there is anybody to tell.
    pub(super) fn has_peers(&self) -> bool {
        self.machine.has_peers()
    }

    /// Whether this node knows what its peers know.
    pub(super) fn in_sync(&self) -> bool {
        self.machine.in_sync(time())
    }

    /// How many records it takes.
    pub(super) fn room(&self) -> usize {
        self.machine.room()
    }

    /// How long it has nothing to do unless something comes.
    pub(super) fn wait(&self) -> Duration {
        self.machine.next_deadline().saturating_since(time())
    }

    /// Has a socket, or says why not.
    pub(super) fn open(&mut self) {
        if self.way.is_some() || self.open > Instant::now() {
            return;
        }
        self.open = Instant::now() + RETRY;
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

    /// Reads what came. Whether everything is to be told.
    pub(super) fn receive(&mut self, flows: &mut FlowSync) -> bool {
        let (mut buffer, mut scan) = ([0; 2048], false);
        for _ in 0..AT_ONCE {
            let came = self.way.as_ref().and_then(|way| way.receive(&mut buffer));
            let Some((length, from)) = came else {
                break;
            };
            if let Some(bytes) = buffer.get_mut(..length) {
                let input = Input::Datagram { from, bytes };
                scan |= self.handle(input, flows);
            }
        }
        scan
    }

    /// The configuration is this one, and time passes. Whether everything is to be told.
    pub(super) fn tick(&mut self, config: u64, flows: &mut FlowSync) -> bool {
        self.handle(Input::Config(config), flows)
    }

    /// This is to be told. Whether everything is.
    pub(super) fn tell(&mut self, told: &Told, flows: &mut FlowSync) -> bool {
        self.handle(Input::Record(record(told)), flows)
    }

    /// Everything was told. Whether it is to be again.
    pub(super) fn scanned(&mut self, flows: &mut FlowSync) -> bool {
        self.handle(Input::Scanned, flows)
    }

    fn handle(&mut self, input: Input<'_>, flows: &mut FlowSync) -> bool {
        self.machine.handle(input, time());
        let mut scan = false;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(datagram) => match &self.way {
                    Some(way) => self.unsent += way.send(&datagram),
                    None => self.unsent += 1,
                },
                Output::Store(record) => {
                    let stored = flows.store(&told(&record));
                    *self.stored.entry(stored).or_default() += 1;
                }
                Output::Find { number, keys } => {
                    let found = keys.iter().map(|key| record(&flows.find(&name(key))));
                    let records = found.collect();
                    self.machine
                        .handle(Input::Found { number, records }, time());
                }
                Output::Scan => scan = true,
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
        scan
    }

    /// How it is.
    pub(super) fn status(&mut self, look_took: Duration) -> SyncStatus {
        let counters = self.machine.counters();
        let rates = self.rates.of(
            (counters.records_sent, counters.records_received),
            Instant::now(),
        );
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
            in_sync: self.in_sync(),
            trouble: self.trouble.clone(),
            peers: peers.collect(),
            flows_sent: counters.records_sent,
            flows_received: counters.records_received,
            flows_sent_per_second: rates.0,
            flows_received_per_second: rates.1,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            datagrams_sent: counters.datagrams_sent,
            datagrams_received: counters.datagrams_received,
            unsent: self.unsent,
            missed: counters.missed,
            repaired: counters.repaired,
            told_all: counters.told_all,
            look_seconds: look_took.as_secs_f64(),
            stored: stored.collect(),
            refused: refused.filter(|count| count.packets > 0).collect(),
        }
    }
}

/// A count with its reason.
pub(super) fn count(reason: &str, packets: u64) -> ReasonCount {
    ReasonCount {
        reason: reason.into(),
        packets,
    }
}
