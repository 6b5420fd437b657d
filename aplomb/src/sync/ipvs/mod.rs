//! What this node and directors that run LVS tell each other: IPVS's protocol ([`proto::sync::ipvs`]) and its way to the
//! group.
//!
//! [`socket`] is the way, [`translate`] turns the words of the kernel's tables into IPVS's and back. Told are only connections
//! whose packets come by here, as Linux does: what one director tells another is never told back.

mod socket;
mod translate;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use control::spec::IpvsSyncSpec;
use l4::sync::{FlowSync, Stored, Told};
use proto::sync::ipvs::{Input, LONGEST, Machine, Output, Refusal, Settings};

use self::{socket::Way, translate::Unspeakable};
use super::{
    own::count,
    rates::Rates,
    thread::{AT_ONCE, RETRY, time},
};
use crate::api::model::IpvsSyncStatus;

/// One node's side of the protocol.
pub(super) struct Ipvs {
    spec: IpvsSyncSpec,
    machine: Machine,
    way: Option<Way>,
    /// Why there is none.
    trouble: Option<String>,
    open: Instant,
    buffer: Box<[u8; LONGEST]>,
    stored: BTreeMap<&'static str, u64>,
    untold: BTreeMap<Unspeakable, u64>,
    unsent: u64,
    rates: Rates,
}

impl Ipvs {
    pub(super) fn new(spec: &IpvsSyncSpec) -> Self {
        let now = Instant::now();
        let settings = Settings {
            master: spec.master,
            backup: spec.backup,
            id: spec.id,
            longest: spec.max_size,
            rate: spec.rate.0,
            refresh: spec.refresh,
        };
        Self {
            machine: Machine::new(settings, time()),
            spec: spec.clone(),
            way: None,
            trouble: None,
            open: now,
            buffer: Box::new([0; LONGEST]),
            stored: BTreeMap::new(),
            untold: BTreeMap::new(),
            unsent: 0,
            rates: Rates::new(now),
        }
    }

    /// The way, if there is one.
    pub(super) const fn way(&self) -> Option<&Way> {
        self.way.as_ref()
    }

    /// Whether it tells.
    pub(super) const fn is_master(&self) -> bool {
        self.spec.master
    }

    /// How many records it takes.
    pub(super) fn room(&self) -> usize {
        self.machine.room()
    }

    /// How long it has nothing to do unless something comes; none: until something does.
    pub(super) fn wait(&self) -> Option<Duration> {
        // Without a way nothing of it is done.
        let _ = self.way.as_ref()?;
        let due = self.machine.next_deadline()?;
        Some(due.saturating_since(time()))
    }

    /// Has sockets, or says why not.
    pub(super) fn open(&mut self) {
        if self.open > Instant::now() {
            return;
        }
        self.open = Instant::now() + RETRY;
        // One that was removed and made again has the name, and hears nothing.
        let interface = &self.spec.interface;
        if self.way.as_ref().is_some_and(|way| way.is_by(interface)) {
            return;
        }
        self.way = None;
        match Way::open(&self.spec) {
            Ok(way) => {
                let (interface, group) = (&self.spec.interface, self.spec.group);
                tracing::info!(interface, %group, id = self.spec.id, "connection sync by IPVS's protocol");
                (self.way, self.trouble) = (Some(way), None);
            }
            Err(error) => {
                let trouble = format!("{}: {error}", self.spec.interface);
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::error!(
                        "connection sync by IPVS's protocol has no socket, and tries again: {trouble}"
                    );
                }
                self.trouble = Some(trouble);
            }
        }
    }

    /// Reads what came. Whether everything is to be told.
    pub(super) fn receive(&mut self, flows: &mut FlowSync) -> bool {
        let mut scan = false;
        for _ in 0..AT_ONCE {
            let way = self.way.as_ref();
            let Some(length) = way.and_then(|way| way.receive(&mut self.buffer[..])) else {
                break;
            };
            let bytes = self.buffer.get(..length).unwrap_or_default();
            self.machine.handle(Input::Datagram(bytes), time());
            scan |= self.obey(flows);
        }
        scan
    }

    /// Time passes. Whether everything is to be told.
    pub(super) fn tick(&mut self, flows: &mut FlowSync) -> bool {
        if self.way.is_none() {
            return false;
        }
        self.machine.handle(Input::Tick, time());
        self.obey(flows)
    }

    /// This is to be told, with what is remembered of its client: as a look found it, if it is this node's to tell. Whether
    /// everything is.
    pub(super) fn tell(&mut self, told: &Told, flows: &mut FlowSync) -> bool {
        let (true, Told::Flow(flow)) = (self.spec.master && self.way.is_some(), told) else {
            // Clients are told with their connections; what is gone, Linux has no word for.
            return false;
        };
        if flow.heard {
            return false;
        }
        let record = match translate::flow(flow) {
            Ok(record) => record,
            Err(unspeakable) => {
                *self.untold.entry(unspeakable).or_default() += 1;
                return false;
            }
        };
        self.machine.handle(Input::Record(record), time());
        let client = flow.persistent.then(|| flows.client_of(&flow.name));
        if let Some(client) = client.flatten()
            && let Ok(record) = translate::template(&client, flow.method)
        {
            self.machine.handle(Input::Record(record), time());
        }
        self.obey(flows)
    }

    /// Everything was told.
    pub(super) fn scanned(&mut self, flows: &mut FlowSync) -> bool {
        self.machine.handle(Input::Scanned, time());
        self.obey(flows)
    }

    fn obey(&mut self, flows: &mut FlowSync) -> bool {
        let mut scan = false;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(message) => {
                    let sent = self.way.as_ref().is_some_and(|way| way.send(&message));
                    self.unsent += u64::from(!sent);
                }
                Output::Store(record) => {
                    let word = match translate::heard(&record) {
                        Ok(heard) => store(flows, heard),
                        Err(unknown) => unknown.word(),
                    };
                    *self.stored.entry(word).or_default() += 1;
                }
                Output::Scan => scan = true,
            }
        }
        scan
    }

    /// How it is.
    pub(super) fn status(&mut self) -> IpvsSyncStatus {
        let counters = self.machine.counters();
        let rates = self.rates.of(
            (counters.records_sent, counters.records_received),
            Instant::now(),
        );
        let refused = Refusal::ALL.iter().zip(counters.refused);
        let refused = refused.map(|(refusal, n)| count(refusal.word(), n));
        let spec = &self.spec;
        IpvsSyncStatus {
            interface: spec.interface.clone(),
            group: spec.group.to_string(),
            port: spec.port,
            id: spec.id,
            ttl: spec.ttl,
            max_size: spec.max_size as u64,
            master: spec.master,
            backup: spec.backup,
            trouble: self.trouble.clone(),
            records_sent: counters.records_sent,
            records_received: counters.records_received,
            records_sent_per_second: rates.0,
            records_received_per_second: rates.1,
            messages_sent: counters.messages_sent,
            messages_received: counters.messages_received,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            unsent: self.unsent,
            untold: self
                .untold
                .iter()
                .map(|(why, n)| count(why.word(), *n))
                .chain((counters.dropped > 0).then(|| count("no-room", counters.dropped)))
                .collect(),
            stored: self
                .stored
                .iter()
                .map(|(word, n)| count(word, *n))
                .collect(),
            refused: refused.filter(|count| count.packets > 0).collect(),
        }
    }
}

/// Takes what a director tells; the word for what became of it. A client of FTP is told without port, as its data
/// connections belong to it too.
fn store(flows: &mut FlowSync, heard: l4::sync::Heard) -> &'static str {
    let stored = flows.store_heard(&heard);
    match translate::of_ftp(&heard).filter(|_| stored == Stored::UnknownService) {
        Some(ftp) => flows.store_heard(&ftp).word(),
        None => stored.word(),
    }
}
