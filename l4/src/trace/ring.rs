//! The program's ring and switch, live.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::SocketAddr,
    os::fd::AsFd,
    sync::Arc,
};

use aya::maps::{Map, MapData, RingBuf};
use control::name::Name;
use xdp::abi::{Tick, TraceEvent};

use super::tap::{Names, Tap};
use crate::{
    maps::Watched,
    plane::{Plane, lock, now},
};

/// How long tracing goes on unless it is renewed, which happens once a second.
const LASTS: u32 = Tick::in_seconds(10);

/// Until when it goes on from now.
fn until() -> Tick {
    Tick(now().0.wrapping_add(LASTS))
}

/// The ring of a plane's program.
pub(crate) struct Ring {
    plane: Arc<Plane>,
    ring: Option<RingBuf<MapData>>,
    services: HashMap<u32, String>,
    backends: HashMap<u32, SocketAddr>,
}

impl Ring {
    /// It is opened when somebody listens.
    pub(crate) fn new(plane: Arc<Plane>) -> Self {
        Self {
            plane,
            ring: None,
            services: HashMap::new(),
            backends: HashMap::new(),
        }
    }

    /// Learns who slots are, and what of them is to be watched.
    fn look(&mut self, wanted: Option<&[Name]>) -> (Watched, Vec<u32>) {
        self.services.clear();
        self.backends.clear();
        let mut slots = Vec::new();
        let mut watched = BTreeSet::new();
        let tables = lock(&self.plane.tables);
        for (name, held) in tables.all() {
            slots.push(held.slot);
            if let Some(name) = name {
                self.services.insert(held.slot, name.to_string());
                if wanted.is_some_and(|wanted| wanted.contains(name)) {
                    watched.insert(held.slot);
                }
            }
            for (address, kept) in &held.backends {
                self.backends.insert(kept.slot, *address);
            }
        }
        match wanted {
            Some(_) => (Watched::Slots(watched), slots),
            None => (Watched::All, slots),
        }
    }

    fn switch(&self, every: u32, watched: Watched, slots: &[u32]) -> io::Result<()> {
        let loaded = self.plane.loaded();
        loaded.maps.watch(watched, slots)?;
        loaded.maps.change_settings(|settings| {
            settings.trace = every;
            settings.trace_until = until();
        })
    }

    fn learn(&mut self) {
        let tables = lock(&self.plane.tables);
        for (name, held) in tables.all() {
            if let Some(name) = name {
                self.services.insert(held.slot, name.to_string());
            }
            for (address, kept) in &held.backends {
                self.backends.insert(kept.slot, *address);
            }
        }
    }
}

impl Tap for Ring {
    fn open(&mut self, every: u32, services: Option<&[Name]>) -> io::Result<()> {
        if self.ring.is_none() {
            let map = self
                .plane
                .loaded()
                .maps
                .trace
                .as_fd()
                .try_clone_to_owned()?;
            let data = MapData::from_fd(map).map_err(io::Error::other)?;
            let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(io::Error::other)?;
            self.ring = Some(ring);
        }
        let (watched, slots) = self.look(services);
        self.switch(every, watched, &slots)
    }

    fn renew(&mut self) {
        let loaded = self.plane.loaded();
        let renewed = loaded
            .maps
            .change_settings(|settings| settings.trace_until = until());
        if let Err(error) = renewed {
            tracing::warn!(%error, "tracing ends by itself soon");
        }
    }

    fn close(&mut self) {
        let (_, slots) = self.look(None);
        if let Err(error) = self.switch(0, Watched::None, &slots) {
            tracing::warn!(%error, "tracing cannot be switched off");
        }
        self.ring = None;
    }

    fn next(&mut self) -> Option<TraceEvent> {
        let item = self.ring.as_mut()?.next()?;
        let bytes: &[u8] = &item;
        if bytes.len() < size_of::<TraceEvent>() {
            return Some(unknown());
        }
        // SAFETY: there are enough bytes, any of which are an event.
        let event = unsafe { bytes.as_ptr().cast::<TraceEvent>().read_unaligned() };
        drop(item);
        let new = |known: bool, slot: u32| !known && slot != u32::MAX;
        if new(self.services.contains_key(&event.service), event.service)
            || new(self.backends.contains_key(&event.backend), event.backend)
        {
            // Added since somebody began to listen.
            self.learn();
        }
        Some(event)
    }

    fn names(&self, event: &TraceEvent) -> Names {
        Names {
            service: self.services.get(&event.service).cloned(),
            backend: self.backends.get(&event.backend).copied(),
            interface: self
                .plane
                .monitor
                .device(event.ifindex)
                .map(|device| device.name),
        }
    }
}

/// What does not have an event's size: none of the program's.
fn unknown() -> TraceEvent {
    TraceEvent {
        nanos: 0,
        src: xdp::abi::Addr6::default(),
        dst: xdp::abi::Addr6::default(),
        sport: 0,
        dport: 0,
        proto: 0,
        family: 4,
        verdict: u8::MAX,
        reason: 0,
        backend: u32::MAX,
        service: u32::MAX,
        ifindex: 0,
        length: 0,
    }
}
