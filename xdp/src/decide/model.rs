//! The tables in this process' memory: for tests, and for `explain`, which reads the live maps as it is asked
//! ([`Map::lazily`]) and changes only its own copy.

use core::{
    cell::{Cell, RefCell, UnsafeCell},
    hash::Hash,
    ptr::NonNull,
};
use std::{boxed::Box, collections::HashMap, vec::Vec};

use super::{Entry, Inserted, Journey, Route, Table, Tables};
use crate::{
    abi::{
        Addr6, Backend, Cookies, Counters, Endpoint, Family, Flow, FlowState, Fragment,
        FragmentKey, Guard, Hop, Load, Locality, LocalityKey, QuicConfig, QuicId, QuicKey,
        RangeKey, Secret, Service, Settings, Template, TemplateKey, Tick, Tuple, Way,
    },
    packet::Frame,
};

/// Where a value that is not there yet comes from.
type Source<K, V> = Box<dyn Fn(&K) -> Option<V>>;

/// One table. Not for several threads: it is changed through shared references, as the kernel's are.
pub struct Map<K, V> {
    values: UnsafeCell<HashMap<K, Option<Box<V>>>>,
    /// What was taken out: an [`Entry`] of it stays readable, as in the kernel until the program ends.
    gone: UnsafeCell<Vec<Box<V>>>,
    source: Option<Source<K, V>>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self {
            values: UnsafeCell::default(),
            gone: UnsafeCell::default(),
            source: None,
        }
    }
}

impl<K: Eq + Hash + Copy, V: Copy> Map<K, V> {
    /// A table whose values come from elsewhere when they are first asked for.
    pub fn lazily(source: impl Fn(&K) -> Option<V> + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::default()
        }
    }

    /// The value of a key, to be read and changed.
    pub fn entry(&self, key: &K) -> Option<Entry<V>> {
        // SAFETY: one thread, and no reference into the table outlives a call; values are boxed, so that growth of the
        // table does not move them, and what is taken out is kept.
        let values = unsafe { &mut *self.values.get() };
        if !values.contains_key(key) {
            let value = self.source.as_ref().and_then(|source| source(key))?;
            let _ = values.insert(*key, Some(Box::new(value)));
        }
        let value = values.get_mut(key)?.as_mut()?;
        // SAFETY: as above.
        Some(unsafe { Entry::new(NonNull::from(&mut **value)) })
    }

    /// A copy of the value of a key.
    pub fn get(&self, key: &K) -> Option<V> {
        // SAFETY: an entry is readable.
        self.entry(key).map(|entry| unsafe { *entry.as_ptr() })
    }

    /// Puts a value in.
    pub fn set(&self, key: K, value: V) {
        let _ = self.remove(&key);
        // SAFETY: as in `entry`.
        let values = unsafe { &mut *self.values.get() };
        let _ = values.insert(key, Some(Box::new(value)));
    }

    /// Takes a value out. Whether it was there.
    pub fn remove(&self, key: &K) -> bool {
        let there = self.entry(key).is_some();
        // SAFETY: as in `entry`.
        let (values, gone) = unsafe { (&mut *self.values.get(), &mut *self.gone.get()) };
        if let Some(Some(value)) = values.insert(*key, None) {
            gone.push(value);
        }
        there
    }

    /// How many values there are of those that were put in or asked for.
    pub fn len(&self) -> usize {
        // SAFETY: as in `entry`.
        let values = unsafe { &*self.values.get() };
        values.values().flatten().count()
    }

    /// Copies of all that there is of those, in no order.
    pub fn all(&self) -> Vec<(K, V)> {
        // SAFETY: as in `entry`.
        let values = unsafe { &*self.values.get() };
        let there = values.iter();
        there
            .filter_map(|(key, value)| Some((*key, *value.as_deref()?)))
            .collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How the way of a packet is found: the destination, and what to fill in.
pub type Router = Box<dyn Fn(Addr6, bool, &mut Hop) -> Route>;

/// All tables of one address family.
pub struct Memory<F: Family> {
    /// The clock.
    pub now: Cell<Tick>,
    /// Seed of the random numbers.
    pub seed: Cell<u32>,
    /// What holds for all services, at 0.
    pub settings: Map<u32, Settings>,
    /// Established flows.
    pub flows: Map<Tuple<F>, Flow<F>>,
    /// Handshakes.
    pub pending: Map<Tuple<F>, Flow<F>>,
    /// The flow in hand.
    pub draft: Map<(), Flow<F>>,
    /// Endpoints.
    pub endpoints: Map<Endpoint<F>, u32>,
    /// Ranges of ports, by what a packet asks for.
    pub ranges: Map<RangeKey<F>, u32>,
    /// Services.
    pub services: Map<u32, Service>,
    /// Backends.
    pub backends: Map<u32, Backend>,
    /// How busy they are.
    pub loads: Map<u32, Load>,
    /// Rings, hash tables, member lists.
    pub schedule: Map<u32, u32>,
    /// How far rings have been gone through.
    pub cursors: Map<u32, u32>,
    /// Traffic.
    pub counters: Map<u32, Counters>,
    /// Persistence templates.
    pub templates: Map<TemplateKey<F>, Template>,
    /// Fragmented packets.
    pub fragments: Map<FragmentKey<F>, Fragment>,
    /// Homes of destinations.
    pub localities: Map<LocalityKey<F>, Locality>,
    /// How QUIC connection IDs are made.
    pub quic_configs: Map<QuicKey, QuicConfig>,
    /// Which backends they name.
    pub quic_ids: Map<QuicId, u32>,
    /// The frame that is decided on, where it is looked into: not to be changed meanwhile.
    pub frame: RefCell<Vec<u8>>,
    /// Ways to backends, found before.
    pub ways: Map<u32, Way>,
    /// What cookies are made with, at 0.
    pub secret: Map<u32, Secret>,
    /// Handshakes of services.
    pub guards: Map<u32, Guard>,
    /// Cookies of services.
    pub cookies: Map<u32, Cookies>,
    /// Routes.
    pub router: Router,
}

impl<F: Family> Default for Memory<F> {
    /// Without services; every destination has the same next hop.
    fn default() -> Self {
        let settings = Map::default();
        settings.set(0, default_settings());
        let secret = Map::default();
        secret.set(
            0,
            Secret {
                key: [1, 2],
                open: 4,
                zero: 0,
            },
        );
        Self {
            now: Cell::new(Tick(1000)),
            seed: Cell::new(1),
            settings,
            flows: Map::default(),
            pending: Map::default(),
            draft: Map::default(),
            endpoints: Map::default(),
            ranges: Map::default(),
            services: Map::default(),
            backends: Map::default(),
            loads: Map::default(),
            schedule: Map::default(),
            cursors: Map::default(),
            counters: Map::default(),
            templates: Map::default(),
            fragments: Map::default(),
            localities: Map::default(),
            quic_configs: Map::default(),
            quic_ids: Map::default(),
            frame: RefCell::default(),
            ways: Map::default(),
            secret,
            guards: Map::default(),
            cookies: Map::default(),
            router: Box::new(|_, _, hop| {
                hop.ifindex = 1;
                hop.mtu = 1500;
                Route::Found
            }),
        }
    }
}

/// IPVS's timeouts, one generation, and source ports of Linux.
fn default_settings() -> Settings {
    const SECONDS: [u32; FlowState::COUNT] =
        [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300, 900];
    Settings {
        generation: 1,
        trace: 0,
        seed: 0,
        source_ports: 32768 << 16 | 60999,
        timeouts: SECONDS.map(Tick::in_seconds),
        flags: crate::abi::settings_flags::SERVICES,
        trace_until: Tick(0),
        zero: 0,
        secret: [0; 2],
    }
}

impl<F: Family> Memory<F> {
    fn table(&self, table: Table) -> &Map<Tuple<F>, Flow<F>> {
        match table {
            Table::Established => &self.flows,
            Table::Pending => &self.pending,
        }
    }
}

impl<F: Family> Tables<F> for Memory<F> {
    fn now(&self) -> Tick {
        self.now.get()
    }

    fn random(&self) -> u32 {
        let next = super::schedule::hash(self.seed.get(), 0x5eed);
        self.seed.set(next);
        next
    }

    fn settings(&self) -> Option<Entry<Settings>> {
        self.settings.entry(&0)
    }

    fn flow(&self, table: Table, key: &Tuple<F>) -> Option<Entry<Flow<F>>> {
        self.table(table).entry(key)
    }

    fn draft(&self) -> Option<Entry<Flow<F>>> {
        if self.draft.entry(&()).is_none() {
            self.draft.set((), Flow::default());
        }
        self.draft.entry(&())
    }

    fn insert(&self, table: Table, key: &Tuple<F>) -> Inserted {
        if self.table(table).entry(key).is_some() {
            return Inserted::Taken;
        }
        let draft = self.draft.get(&()).unwrap_or_default();
        self.table(table).set(*key, draft);
        Inserted::Yes
    }

    fn remove(&self, table: Table, key: &Tuple<F>) -> bool {
        self.table(table).remove(key)
    }

    fn endpoint(&self, key: &Endpoint<F>) -> Option<u32> {
        self.endpoints.get(key)
    }

    fn range(&self, key: &RangeKey<F>) -> Option<u32> {
        self.ranges.get(key)
    }

    fn service(&self, slot: u32) -> Option<Entry<Service>> {
        self.services.entry(&slot)
    }

    fn backend(&self, slot: u32) -> Option<Entry<Backend>> {
        self.backends.entry(&slot)
    }

    fn load(&self, slot: u32) -> Option<Entry<Load>> {
        if self.loads.entry(&slot).is_none() {
            self.loads.set(slot, Load::default());
        }
        self.loads.entry(&slot)
    }

    fn scheduled(&self, index: u32) -> Option<u32> {
        self.schedule.get(&index)
    }

    fn turn(&self, service: u32) -> Option<u32> {
        let turn = self.cursors.get(&service).unwrap_or(0);
        self.cursors.set(service, turn.wrapping_add(1));
        Some(turn)
    }

    fn counters(&self, slot: u32) -> Option<Entry<Counters>> {
        if self.counters.entry(&slot).is_none() {
            self.counters.set(slot, Counters::default());
        }
        self.counters.entry(&slot)
    }

    fn template(&self, key: &TemplateKey<F>) -> Option<Entry<Template>> {
        self.templates.entry(key)
    }

    fn remember(&self, key: &TemplateKey<F>, template: &Template) {
        self.templates.set(*key, *template);
    }

    fn fragment(&self, key: &FragmentKey<F>) -> Option<Entry<Fragment>> {
        self.fragments.entry(key)
    }

    fn keep_fragment(&self, key: &FragmentKey<F>, fragment: &Fragment) {
        self.fragments.set(*key, *fragment);
    }

    fn locality(&self, key: &LocalityKey<F>) -> Option<Entry<Locality>> {
        self.localities.entry(key)
    }

    fn settle(&self, key: &LocalityKey<F>, locality: &Locality) {
        self.localities.set(*key, *locality);
    }

    fn frame(&self) -> Frame {
        // SAFETY: one thread, and nobody changes the frame while it is decided on.
        unsafe { Frame::of(&mut self.frame.borrow_mut()) }
    }

    fn quic_config(&self, key: &QuicKey) -> Option<Entry<QuicConfig>> {
        self.quic_configs.entry(key)
    }

    fn quic_id(&self, key: &QuicId) -> Option<u32> {
        self.quic_ids.get(key)
    }

    fn route(&self, journey: &Journey<F>, hop: &mut Hop) -> Route {
        (self.router)(F::widen(journey.dst), F::IS_V6, hop)
    }

    fn route_other(&self, dst: &Addr6, v6: bool, hop: &mut Hop) -> Route {
        (self.router)(*dst, v6, hop)
    }

    fn way(&self, backend: u32) -> Option<Entry<Way>> {
        if self.ways.entry(&backend).is_none() {
            self.ways.set(backend, Way::default());
        }
        self.ways.entry(&backend)
    }

    fn source(&self, _ifindex: u32, _v6: bool) -> Option<Addr6> {
        Some(Addr6::default())
    }

    fn secret(&self) -> Option<Entry<Secret>> {
        self.secret.entry(&0)
    }

    fn guard(&self, service: u32) -> Option<Entry<Guard>> {
        if self.guards.entry(&service).is_none() {
            self.guards.set(service, Guard::default());
        }
        self.guards.entry(&service)
    }

    fn cookies(&self, service: u32) -> Option<Entry<Cookies>> {
        if self.cookies.entry(&service).is_none() {
            self.cookies.set(service, Cookies::default());
        }
        self.cookies.entry(&service)
    }

    fn bump(&self, number: Entry<u32>, by: u32) {
        let number = number.as_ptr();
        // SAFETY: an entry is readable and writable.
        unsafe { *number = (*number).wrapping_add(by) };
    }
}
