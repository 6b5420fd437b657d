//! The tables for a decision on the host: what is asked for is copied from the live ones, what is changed is changed in
//! the copy. So a decision is the program's, and nothing comes of it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use xdp::{
    abi::{
        Addr6, Backend, Cookies, Counters, Endpoint, Family, Flow, Fragment, FragmentKey, Guard,
        Hop, Load, Locality, LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, Secret, Service,
        Settings, Template, TemplateKey, Tick, Tuple, V4, V6,
    },
    decide::{Entry, Inserted, Journey, Route, Table, Tables},
    packet::Frame,
};

use super::{
    cells::Cells,
    source::{Lookup, Source},
};
use crate::trace::ip;

/// The copies of one family's tables.
#[derive(Debug)]
pub(super) struct FamilyCells<F: Family> {
    pending: Cells<Flow<F>>,
    established: Cells<Flow<F>>,
    draft: Cells<Flow<F>>,
    templates: Cells<Template>,
    fragments: Cells<Fragment>,
    localities: Cells<Locality>,
}

impl<F: Family> Default for FamilyCells<F> {
    fn default() -> Self {
        Self {
            pending: Cells::default(),
            established: Cells::default(),
            draft: Cells::default(),
            templates: Cells::default(),
            fragments: Cells::default(),
            localities: Cells::default(),
        }
    }
}

impl<F: Family> FamilyCells<F> {
    fn flows(&self, table: Table) -> &Cells<Flow<F>> {
        match table {
            Table::Pending => &self.pending,
            Table::Established => &self.established,
        }
    }
}

/// A family whose copies a view has.
pub(super) trait Viewed: Family {
    /// Its copies.
    fn of<'v, S>(view: &'v View<'_, S>) -> &'v FamilyCells<Self>;
}

impl Viewed for V4 {
    fn of<'v, S>(view: &'v View<'_, S>) -> &'v FamilyCells<Self> {
        &view.v4
    }
}

impl Viewed for V6 {
    fn of<'v, S>(view: &'v View<'_, S>) -> &'v FamilyCells<Self> {
        &view.v6
    }
}

/// The tables as one series of decisions sees them.
pub(super) struct View<'a, S> {
    pub(super) source: &'a S,
    settings: Cells<Settings>,
    services: Cells<Service>,
    backends: Cells<Backend>,
    loads: Cells<Load>,
    counters: Cells<Counters>,
    turns: RefCell<HashMap<u32, u32>>,
    quic_configs: Cells<QuicConfig>,
    secret: Cells<Secret>,
    guards: Cells<Guard>,
    cookies: Cells<Cookies>,
    /// The frame that is decided on, if there is one and not only its addresses.
    pub(super) frame: Cell<Option<Frame>>,
    drawn: Cell<u32>,
    v4: FamilyCells<V4>,
    v6: FamilyCells<V6>,
}

impl<'a, S: Source> View<'a, S> {
    /// Nothing has been copied yet.
    pub(super) fn new(source: &'a S) -> Self {
        Self {
            source,
            settings: Cells::default(),
            services: Cells::default(),
            backends: Cells::default(),
            loads: Cells::default(),
            counters: Cells::default(),
            turns: RefCell::default(),
            quic_configs: Cells::default(),
            secret: Cells::default(),
            guards: Cells::default(),
            cookies: Cells::default(),
            frame: Cell::new(None),
            drawn: Cell::new(source.now().0 | 1),
            v4: FamilyCells::default(),
            v6: FamilyCells::default(),
        }
    }

    fn find(&self, to: std::net::IpAddr, hop: &mut Hop) -> Route {
        let (route, found) = self.source.way(to);
        if route == Route::Found {
            *hop = Hop {
                generation: hop.generation,
                ..found
            };
        }
        route
    }
}

impl<F: Viewed, S: Source + Lookup<F>> Tables<F> for View<'_, S> {
    fn now(&self) -> Tick {
        self.source.now()
    }

    fn random(&self) -> u32 {
        // Marsaglia's xorshift: any draw may do.
        let mut x = self.drawn.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.drawn.set(x);
        x
    }

    fn settings(&self) -> Option<Entry<Settings>> {
        self.settings.get(&0_u32, || self.source.settings())
    }

    fn flow(&self, table: Table, key: &Tuple<F>) -> Option<Entry<Flow<F>>> {
        let cells = F::of(self).flows(table);
        cells.get(key, || self.source.flow(table, key))
    }

    fn draft(&self) -> Option<Entry<Flow<F>>> {
        F::of(self).draft.get(&0_u32, || Some(Flow::default()))
    }

    fn insert(&self, table: Table, key: &Tuple<F>) -> Inserted {
        if Tables::<F>::flow(self, table, key).is_some() {
            return Inserted::Taken;
        }
        let Some(draft) = Tables::<F>::draft(self) else {
            return Inserted::Full;
        };
        // SAFETY: an entry is readable.
        let flow = unsafe { *draft.as_ptr() };
        F::of(self).flows(table).put(key, flow);
        Inserted::Yes
    }

    fn remove(&self, table: Table, key: &Tuple<F>) -> bool {
        let there = Tables::<F>::flow(self, table, key).is_some();
        F::of(self).flows(table).remove(key);
        there
    }

    fn endpoint(&self, key: &Endpoint<F>) -> Option<u32> {
        self.source.endpoint(key)
    }

    fn range(&self, key: &RangeKey<F>) -> Option<u32> {
        self.source.range(key)
    }

    fn service(&self, slot: u32) -> Option<Entry<Service>> {
        self.services.get(&slot, || self.source.service(slot))
    }

    fn backend(&self, slot: u32) -> Option<Entry<Backend>> {
        self.backends.get(&slot, || self.source.backend(slot))
    }

    fn load(&self, slot: u32) -> Option<Entry<Load>> {
        self.loads.get(&slot, || self.source.load(slot))
    }

    fn scheduled(&self, index: u32) -> Option<u32> {
        self.source.scheduled(index)
    }

    fn turn(&self, service: u32) -> Option<u32> {
        let mut turns = self.turns.borrow_mut();
        let next = match turns.get(&service) {
            Some(next) => *next,
            None => self.source.turns(service)?,
        };
        turns.insert(service, next.wrapping_add(1));
        Some(next)
    }

    fn counters(&self, slot: u32) -> Option<Entry<Counters>> {
        self.counters.get(&slot, || Some(Counters::default()))
    }

    fn template(&self, key: &TemplateKey<F>) -> Option<Entry<Template>> {
        let cells = &F::of(self).templates;
        cells.get(key, || self.source.template(key))
    }

    fn remember(&self, key: &TemplateKey<F>, template: &Template) {
        F::of(self).templates.put(key, *template);
    }

    fn fragment(&self, key: &FragmentKey<F>) -> Option<Entry<Fragment>> {
        let cells = &F::of(self).fragments;
        cells.get(key, || self.source.fragment(key))
    }

    fn keep_fragment(&self, key: &FragmentKey<F>, fragment: &Fragment) {
        F::of(self).fragments.put(key, *fragment);
    }

    fn locality(&self, key: &LocalityKey<F>) -> Option<Entry<Locality>> {
        let cells = &F::of(self).localities;
        cells.get(key, || self.source.locality(key))
    }

    fn settle(&self, key: &LocalityKey<F>, locality: &Locality) {
        F::of(self).localities.put(key, *locality);
    }

    fn frame(&self) -> Frame {
        // SAFETY: the other one has no bytes.
        let none = || unsafe { Frame::new(0, 0) };
        self.frame.get().unwrap_or_else(none)
    }

    fn quic_config(&self, key: &QuicKey) -> Option<Entry<QuicConfig>> {
        self.quic_configs.get(key, || self.source.quic_config(key))
    }

    fn quic_id(&self, key: &QuicId) -> Option<u32> {
        self.source.quic_id(key)
    }

    fn route(&self, journey: &Journey<F>, hop: &mut Hop) -> Route {
        self.find(ip(F::widen(journey.dst), F::IS_V6), hop)
    }

    fn route_other(&self, dst: &Addr6, v6: bool, hop: &mut Hop) -> Route {
        self.find(ip(*dst, v6), hop)
    }

    fn secret(&self) -> Option<Entry<Secret>> {
        self.secret.get(&0_u32, || self.source.secret())
    }

    fn guard(&self, service: u32) -> Option<Entry<Guard>> {
        self.guards.get(&service, || self.source.guard(service))
    }

    fn cookies(&self, service: u32) -> Option<Entry<Cookies>> {
        self.cookies.get(&service, || Some(Cookies::default()))
    }

    fn bump(&self, number: Entry<u32>, by: u32) {
        let at = number.as_ptr();
        // SAFETY: a number in an entry of these cells, which this thread alone uses.
        unsafe { *at = (*at).wrapping_add(by) };
    }
}
