//! The program with tables of its own, pinned nowhere and attached nowhere: for tests and benchmarks.
//!
//! Packets go through the program as it is loaded into the kernel (`BPF_PROG_TEST_RUN`), by tables that are filled the
//! way the daemon fills them. Needs the same rights.

use std::{collections::HashSet, io, net::IpAddr, os::fd::AsFd, sync::Arc};

use control::{plan::Plan, spec::L4Spec};
use xdp::{
    abi::{Cookies, Family, Guard, Iface, Load, PassReason, Reason, Service, Tick, V4, V6},
    decide::model::{Map, Memory},
};

pub use crate::sys::test_run::Outcome;
use crate::{
    load::{StartError, object},
    maps::{FamilyMaps, Maps, Watched},
    plane::{instant, now},
    sync::{Exchange, FlowName, Heard, Stored, Told, ToldTemplate},
    sys::{Put, test_run},
    tables::{Surroundings, Tables},
    worker::{settle_settings, sweep::Sweep},
};

/// The program with tables of its own.
#[derive(Debug)]
pub struct Harness {
    loaded: Arc<object::Loaded>,
    tables: Tables,
    exchange: Exchange,
    /// Addresses that count as this machine's.
    pub locals: HashSet<IpAddr>,
}

struct Around<'a> {
    maps: &'a Maps,
    locals: &'a HashSet<IpAddr>,
}

impl Surroundings for Around<'_> {
    fn is_local(&self, ip: IpAddr) -> bool {
        self.locals.contains(&ip)
    }

    fn source_towards(&self, _: IpAddr) -> Option<IpAddr> {
        self.locals.iter().next().copied()
    }

    fn turns(&self, service: u32) -> u32 {
        self.maps.turns(service)
    }
}

impl Harness {
    /// Loads it.
    ///
    /// # Errors
    /// Why it cannot be loaded here.
    pub fn new(spec: &L4Spec) -> Result<Self, StartError> {
        let loaded = object::load_privately(spec)?;
        settle_settings(&loaded.maps, spec).map_err(StartError::of("writing settings"))?;
        Ok(Self {
            loaded: Arc::new(loaded),
            tables: Tables::default(),
            exchange: Exchange::default(),
            locals: HashSet::new(),
        })
    }

    /// Has the tables go by a plan.
    ///
    /// # Errors
    /// They cannot, or a write failed.
    pub fn apply(&mut self, plan: &Plan) -> io::Result<()> {
        let around = Around {
            maps: &self.loaded.maps,
            locals: &self.locals,
        };
        let changes = self
            .tables
            .apply(plan, instant(), &around)
            .map_err(io::Error::other)?;
        for write in &changes.writes {
            self.loaded.maps.write(write)?;
        }
        self.tables.settle();
        changes
            .trouble
            .map_or(Ok(()), |trouble| Err(io::Error::other(trouble)))
    }

    /// Tells the program of a device.
    ///
    /// # Errors
    /// The write failed.
    pub fn device(&self, index: u32, iface: &Iface) -> io::Result<()> {
        self.loaded
            .maps
            .ifaces
            .put(&index, iface, Put::Any)
            .map(drop)
    }

    /// Has every decision about every service traced for so many ticks from now.
    ///
    /// # Errors
    /// The tables cannot be written.
    pub fn trace_for(&self, ticks: i32) -> io::Result<()> {
        let slots: Vec<u32> = self.tables.all().map(|(_, held)| held.slot).collect();
        self.loaded.maps.watch(Watched::All, &slots)?;
        self.loaded.maps.change_settings(|settings| {
            settings.trace = 1;
            settings.trace_until = Tick(now().0.wrapping_add_signed(ticks));
        })
    }

    /// Whether the program traces: it ends that by itself when the time is over.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn is_traced(&self) -> io::Result<bool> {
        let settings = self.loaded.maps.settings_there()?;
        Ok(settings.is_some_and(|settings| settings.trace != 0))
    }

    /// Sends a packet through the program, as if it had come in by an interface (0: by loopback).
    ///
    /// # Errors
    /// The kernel did not run it.
    pub fn run(&self, packet: &[u8], interface: u32) -> io::Result<Outcome> {
        self.run_behind(packet, interface, 0)
    }

    /// The same behind so many bytes of a driver's metadata (a multiple of four), which leave the less room for headers.
    ///
    /// # Errors
    /// The kernel did not run it.
    pub fn run_behind(&self, packet: &[u8], interface: u32, metadata: u32) -> io::Result<Outcome> {
        test_run::run(self.loaded.program.as_fd(), packet, interface, metadata)
    }

    /// Goes through all flows as the daemon does once a second, `later` ticks from now.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn sweep(&mut self, later: u32) -> io::Result<crate::status::SweepStatus> {
        let maps = &self.loaded.maps;
        let slots: Vec<_> = self.slots().map(|slot| (slot, None)).collect();
        let masks = self
            .tables
            .all()
            .map(|(_, held)| (held.slot, held.record.mask))
            .collect();
        let mut sweep = Sweep::begin(maps, slots.into_iter(), masks);
        let at = Tick(now().0.wrapping_add(later));
        while !sweep.step(maps, at)? {}
        sweep.status.corrected = sweep.counts.settle(maps, |_| 0);
        Ok(sweep.status)
    }

    /// All that another node is to be told, or only news.
    pub fn tell(&mut self, all: bool) -> Vec<Told> {
        let (maps, mut told) = (&self.loaded.maps, Vec::new());
        self.exchange.learn(&self.tables);
        if all {
            self.exchange.begin_all();
            while !self.exchange.all(maps, 1000, &mut told) {}
        } else {
            while !self.exchange.look(maps, 1000, &mut told) {}
        }
        told
    }

    /// The handshakes that another node is to be told of when an address goes.
    pub fn handshakes(&mut self) -> Vec<Told> {
        self.exchange.learn(&self.tables);
        let mut told = Vec::new();
        self.exchange.handshakes(&self.loaded.maps, &mut told);
        told
    }

    /// How a flow is to be told now.
    pub fn find(&mut self, name: &FlowName) -> Told {
        self.exchange.learn(&self.tables);
        self.exchange.find(&self.loaded.maps, name)
    }

    /// Takes what another node tells.
    pub fn store(&mut self, told: &Told) -> Stored {
        self.exchange.learn(&self.tables);
        self.exchange.store(&self.loaded.maps, told)
    }

    /// Takes what a director of Linux's own tells.
    pub fn store_heard(&mut self, heard: &Heard) -> Stored {
        self.exchange.learn(&self.tables);
        self.exchange.store_heard(&self.loaded.maps, heard)
    }

    /// What is remembered of a flow's client.
    pub fn client_of(&mut self, flow: &FlowName) -> Option<ToldTemplate> {
        self.exchange.learn(&self.tables);
        self.exchange.client_of(&self.loaded.maps, flow)
    }

    fn slots(&self) -> impl Iterator<Item = u32> {
        let backends = self
            .tables
            .all()
            .flat_map(|(_, held)| held.backends.values());
        backends.map(|kept| kept.slot)
    }

    /// How busy the backend at an address is, over all services.
    #[must_use]
    pub fn load(&self, address: std::net::SocketAddr) -> Load {
        let kept = self
            .tables
            .all()
            .filter_map(|(_, held)| held.backends.get(&address));
        let loads = kept.filter_map(|kept| self.loaded.maps.loads.get(kept.slot));
        loads.fold(Load::default(), |all, one| Load {
            active: all.active.wrapping_add(one.active),
            inactive: all.inactive.wrapping_add(one.inactive),
            full: all.full | one.full,
            persistent: all.persistent + one.persistent,
        })
    }

    /// Packets that were dropped for a reason, over all processors.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn drops(&self, reason: Reason) -> io::Result<u64> {
        Ok(self.loaded.maps.drops.get(reason as u32)?.iter().sum())
    }

    /// Packets that were passed for a reason, over all processors.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn passes(&self, reason: PassReason) -> io::Result<u64> {
        Ok(self.loaded.maps.passes.get(reason as u32)?.iter().sum())
    }

    /// A service's cookies, by its slot, over all processors.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn cookies(&self, slot: u32) -> io::Result<Cookies> {
        let each = self.loaded.maps.cookies.get(slot)?;
        Ok(crate::report::cookies(&each))
    }

    /// A service's open handshakes as the program counts them.
    #[must_use]
    pub fn guard(&self, slot: u32) -> Guard {
        self.loaded.maps.guards.get(slot).unwrap_or_default()
    }

    /// How many entries there are of each kind, both families together: handshakes, established flows.
    #[must_use]
    pub fn flows(&self) -> (usize, usize) {
        const MOST: usize = 1 << 20;
        let maps = &self.loaded.maps;
        let pending = maps.v4.pending.all(MOST).len() + maps.v6.pending.all(MOST).len();
        let flows = maps.v4.flows.all(MOST).len() + maps.v6.flows.all(MOST).len();
        (pending, flows)
    }

    /// The record of the service at a slot, as the program has it.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn service(&self, slot: u32) -> io::Result<Option<Service>> {
        self.loaded.maps.services.get(&slot)
    }

    /// The same tables for IPv4 on the host: what user space writes is read from the kernel's, what the program changes
    /// (flows and the like) begins empty. The way of packets is the caller's to say.
    #[must_use]
    pub fn memory4(&self) -> Memory<V4> {
        self.memory(|maps| &maps.v4)
    }

    /// The same for IPv6.
    #[must_use]
    pub fn memory6(&self) -> Memory<V6> {
        self.memory(|maps| &maps.v6)
    }

    fn memory<F: Family>(&self, family: fn(&Maps) -> &FamilyMaps<F>) -> Memory<F> {
        let memory = Memory::<F>::default();
        memory.settings.set(0, self.loaded.maps.settings());
        memory.now.set(now());
        if let Ok(Some(secret)) = self.loaded.maps.secret.get(&0) {
            memory.secret.set(0, secret);
        }
        let (places, ranges) = (Arc::clone(&self.loaded), Arc::clone(&self.loaded));
        let (services, backends) = (Arc::clone(&self.loaded), Arc::clone(&self.loaded));
        let schedule = Arc::clone(&self.loaded);
        Memory {
            endpoints: Map::lazily(move |key| family(&places.maps).endpoints.get(key).ok()?),
            ranges: Map::lazily(move |key| family(&ranges.maps).ranges.get(key).ok()?),
            services: Map::lazily(move |slot| services.maps.services.get(slot).ok()?),
            backends: Map::lazily(move |slot| backends.maps.backends.get(slot).ok()?),
            schedule: Map::lazily(move |index| schedule.maps.schedule.get(*index)),
            ..memory
        }
    }
}
