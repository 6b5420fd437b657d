//! A site without a kernel: `ipvsadm`'s edits go through the engine and the driver's tables into the memory in which
//! the program's own code decides, under a clock of its own. Clients and servers are [`super::site`]'s.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use aplomb::ipvsadm::{Keeper, Output, System, run};
use control::{
    engine::{Action, Engine, Event},
    ipvs::{
        Edit, Error, Features, Overlay, Protocol, Seed, ServiceId, Table,
        listing::{Connection, Listing},
    },
    plan::Plan,
    spec::{Listen, Scheme, ServiceKind, Spec},
    time::Instant,
};
use l4::{
    ending::{is_over, prolonged},
    tables::{Place, Surroundings, Tables, Write},
};
use xdp::{
    abi::{Family, Flow, FlowState, Load, RangeKey, Role, Tick, Tuple, V4, flow_flags},
    decide::{self, Verdict, model::Memory},
    packet::Packet,
};

/// Everything between `ipvsadm` and the wire.
pub(crate) struct Rig {
    table: Table,
    engine: Engine,
    tables: Tables,
    memory: Memory<V4>,
    now: Instant,
    /// `net.ipv4.vs.expire_nodest_conn`; a setting of the file's services here.
    pub(crate) expire_removed: bool,
    /// `net.ipv4.vs.expire_quiescent_template`, likewise.
    pub(crate) expire_quiescent: bool,
    /// At how many addresses, counted from its own, each service is; what services by firewall mark are used for.
    pub(crate) addresses: u8,
}

impl Surroundings for Memory4<'_> {
    fn is_local(&self, _: IpAddr) -> bool {
        false
    }
    fn source_towards(&self, _: IpAddr) -> Option<IpAddr> {
        None
    }
    fn turns(&self, service: u32) -> u32 {
        self.0.cursors.get(&service).unwrap_or(0)
    }
}

struct Memory4<'a>(&'a Memory<V4>);

impl Rig {
    pub(crate) fn new() -> Self {
        // An hour after the start of the clock: nothing is special then.
        let now = Instant::at(Duration::from_secs(3600));
        let rig = Self {
            table: Table::default(),
            engine: Engine::new(1, now),
            tables: Tables::default(),
            memory: Memory::default(),
            now,
            expire_removed: false,
            expire_quiescent: false,
            addresses: 1,
        };
        rig.set_clock();
        rig
    }

    fn set_clock(&self) {
        self.memory.now.set(Tick::of_nanos(self.now.nanos()));
    }

    /// Calls `ipvsadm` with these words.
    pub(crate) fn ipvsadm(&mut self, words: &str) -> Output {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        run("ipvsadm", &words, &mut &b""[..], &System, self, Seed(0))
    }

    /// Puts what is asked for in force, by the road of the daemon.
    pub(crate) fn apply(&mut self) {
        let file = Spec::default();
        let mut spec = Overlay::between(&file, &self.table).effective(&file);
        for service in &mut spec.services {
            let service = std::sync::Arc::make_mut(service);
            for n in 1..self.addresses {
                let SocketAddr::V4(first) = service.listen[0].address else {
                    continue;
                };
                let ip = Ipv4Addr::from_bits(first.ip().to_bits() + u32::from(n));
                let address = SocketAddrV4::new(ip, first.port());
                service
                    .listen
                    .push(Listen::new(Scheme::Tcp, address.into()));
            }
            if let ServiceKind::Kernel(kernel) = &mut service.kind {
                kernel.expire_removed = self.expire_removed;
                kernel.expire_quiescent = self.expire_quiescent;
            }
        }
        self.engine.handle(Event::Apply(spec.into()), self.now);
        while let Some(action) = self.engine.poll_action() {
            if let Action::Plan(plan) = action {
                self.become_of(&plan);
            }
        }
    }

    fn become_of(&mut self, plan: &Plan) {
        let around = Memory4(&self.memory);
        let changes = self.tables.apply(plan, self.now, &around).unwrap();
        assert_eq!(changes.trouble, None);
        for write in changes.writes {
            self.write(write);
        }
        self.tables.settle();
    }

    fn write(&self, write: Write) {
        let memory = &self.memory;
        match write {
            Write::Fresh { slot } => memory.loads.set(slot, Load::default()),
            Write::Backend { slot, record } => memory.backends.set(slot, record),
            Write::Schedule { region, entries } => {
                for (at, slot) in (region.start..).zip(entries) {
                    memory.schedule.set(at, slot);
                }
            }
            Write::Cursor { service, turns } => memory.cursors.set(service, turns),
            Write::QuicConfig { key, config } => match config {
                Some(config) => memory.quic_configs.set(key, *config),
                None => drop(memory.quic_configs.remove(&key)),
            },
            Write::QuicId { key, slot } => match slot {
                Some(slot) => memory.quic_ids.set(key, slot),
                None => drop(memory.quic_ids.remove(&key)),
            },
            Write::Service { slot, record } => memory.services.set(slot, record),
            Write::Lead { place, slot } => self.lead(&place, slot),
            Write::Flags(flags) => {
                let mut settings = memory.settings.get(&0).unwrap();
                settings.flags = flags;
                memory.settings.set(0, settings);
            }
        }
    }

    fn lead(&self, place: &Place, slot: Option<u32>) {
        let range: Option<RangeKey<V4>> = place.range();
        assert!(range.is_none(), "ipvsadm has no ranges");
        let key = place.endpoint::<V4>().unwrap();
        match slot {
            Some(slot) => self.memory.endpoints.set(key, slot),
            None => drop(self.memory.endpoints.remove(&key)),
        }
    }

    /// What becomes of a packet, by the roads that the program has.
    pub(crate) fn send(&self, packet: &Packet<V4>) -> Verdict<V4> {
        let mut verdict = Verdict::new(packet.tuple);
        if let Some(flow) = self.memory.flows.entry(&packet.tuple)
            && decide::established(&self.memory, packet, flow, false).is_some()
        {
            let flow = self.memory.flows.get(&packet.tuple).unwrap();
            verdict.action = decide::Action::Forward;
            verdict.to = flow.becomes(packet.tuple.proto);
            return verdict;
        }
        decide::decide(&self.memory, &mut { *packet }, &mut verdict);
        verdict
    }

    /// Time goes by, and the sweep comes every second.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = self.now + Duration::from_secs(1);
            if next > end {
                self.now = end;
                self.set_clock();
                return;
            }
            self.now = next;
            self.set_clock();
            self.sweep();
        }
    }

    fn flow(&self, key: &Tuple<V4>) -> Option<Flow<V4>> {
        let memory = &self.memory;
        memory.flows.get(key).or_else(|| memory.pending.get(key))
    }

    /// As the driver's: what is over goes, templates on which connections hang go on, slots that nothing names are
    /// free.
    fn sweep(&mut self) {
        let now = self.memory.now.get();
        let mut held = HashSet::new();
        let mut used = HashSet::new();
        for (key, flow) in self.flows() {
            let reply = flow.becomes(key.proto).reversed();
            let other = || self.flow(&reply);
            if is_over(&flow, now, other) {
                self.end(&key, &reply, &flow);
                continue;
            }
            used.insert(flow.backend);
            if flow.flags & flow_flags::PERSISTENT != 0 {
                let mask = self.memory.services.get(&flow.service).unwrap().mask;
                held.insert((flow.service, V4::mask(key.src, &mask)));
            }
        }
        for (key, mut template) in self.memory.templates.all() {
            let held = held.contains(&(key.service, key.client));
            match prolonged(template.expires, now, held) {
                Some(until) => {
                    template.expires = until;
                    used.insert(template.backend);
                    self.memory.templates.set(key, template);
                }
                None => drop(self.memory.templates.remove(&key)),
            }
        }
        for write in self.tables.free(&mut |slot| !used.contains(&slot)) {
            self.write(write);
        }
    }

    fn end(&self, key: &Tuple<V4>, reply: &Tuple<V4>, flow: &Flow<V4>) {
        for key in [key, reply] {
            let _ = self.memory.flows.remove(key);
            let _ = self.memory.pending.remove(key);
        }
        let mut load = self.memory.loads.get(&flow.backend).unwrap();
        if flow.flags & flow_flags::ACTIVE != 0 {
            load.active -= 1;
        } else {
            load.inactive -= 1;
        }
        self.memory.loads.set(flow.backend, load);
    }

    /// All flows, by the client's direction.
    fn flows(&self) -> impl Iterator<Item = (Tuple<V4>, Flow<V4>)> {
        let mut all = self.memory.flows.all();
        all.extend(self.memory.pending.all());
        all.into_iter()
            .filter(|(_, flow)| Role::of(flow.role) == Role::Forward)
    }

    /// Seconds from now, those begun counted as IPVS does: not.
    fn left(&self, expires: u32) -> Option<u64> {
        let now = self.memory.now.get();
        let ticks = u64::from(expires.wrapping_sub(now.0));
        let seconds = (ticks << Tick::SHIFT) / 1_000_000_000;
        (!now.is_past(expires)).then_some(seconds)
    }

    /// What is counted must be what is there.
    pub(crate) fn check_counts(&self) {
        let mut there: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for (_, flow) in self.flows() {
            let counts = there.entry(flow.backend).or_default();
            if flow.flags & flow_flags::ACTIVE != 0 {
                counts.0 += 1;
            } else {
                counts.1 += 1;
            }
        }
        for (slot, load) in self.memory.loads.all() {
            let counted = (load.active, load.inactive);
            let there = there.remove(&slot).unwrap_or_default();
            assert_eq!(counted, there, "active and inactive of slot {slot}");
        }
        assert!(there.is_empty(), "connections that nobody counted");
    }
}

impl Keeper for Rig {
    fn edit(&mut self, edits: &[Edit]) -> Result<Vec<Result<(), Error>>, String> {
        let edit = |edit| self.table.edit(edit, Features::OURS);
        let outcomes = edits.iter().map(edit).collect();
        self.apply();
        Ok(outcomes)
    }

    fn listing(&mut self) -> Result<Listing, String> {
        let mut listing = Listing::of(&self.table, 4096);
        for counted in &mut listing.services {
            let id = counted.service.id;
            let of = |(_, held): &(_, &l4::tables::Held)| {
                let listens = held.plan().map(|(service, _)| &service.spec.listen[0]);
                listens.is_some_and(|l| {
                    (l.address, l.scheme.ip_protocol()) == (id.address, id.protocol.number())
                })
            };
            let (_, held) = self.tables.services().find(of).ok_or("not in the tables")?;
            for (at, counts) in counted.destinations.iter_mut().enumerate() {
                let slot = held.backends[&counted.service.destinations[at].address].slot;
                let load = self.memory.loads.get(&slot).unwrap_or_default();
                (counts.active, counts.inactive) = (load.active, load.inactive);
                let templates = self.memory.templates.all().into_iter();
                let its = templates.filter(|(_, template)| template.backend == slot);
                counts.persistent = its.count().try_into().unwrap();
            }
        }
        Ok(listing)
    }

    fn connections(&mut self) -> Result<Vec<Connection>, String> {
        let mut found = Vec::new();
        for (key, flow) in self.flows() {
            let reply = flow.becomes(key.proto).reversed();
            let other = self.flow(&reply).and_then(|flow| self.left(flow.expires));
            let Some(expires) = self.left(flow.expires).max(other) else {
                continue;
            };
            found.push(Connection {
                protocol: if key.proto == 6 {
                    Protocol::Tcp
                } else {
                    Protocol::Udp
                },
                client: address(key.src, key.sport),
                service: address(key.dst, key.dport),
                destination: address(flow.dst, flow.dport),
                state: word(FlowState::of(flow.state)),
                expires,
            });
        }
        let mut named: BTreeMap<u32, (ServiceId, BTreeMap<u32, SocketAddr>)> = BTreeMap::new();
        for (_, held) in self.tables.services() {
            let (service, _) = held.plan().ok_or("no plan")?;
            let id = ServiceId {
                protocol: Protocol::Tcp,
                address: service.spec.listen[0].address,
            };
            let backends = held.backends.iter();
            let backends = backends.map(|(address, kept)| (kept.slot, *address));
            named.insert(held.slot, (id, backends.collect()));
        }
        for (key, template) in self.memory.templates.all() {
            let (Some(expires), Some((id, backends))) =
                (self.left(template.expires), named.get(&key.service))
            else {
                continue;
            };
            found.push(Connection {
                protocol: id.protocol,
                client: address(key.client, 0),
                service: id.address,
                destination: backends[&template.backend],
                state: "ASSURED".into(),
                expires,
            });
        }
        let order: BTreeSet<_> = found.iter().map(|c| (c.client, c.service)).collect();
        assert_eq!(order.len(), found.len(), "a connection is there twice");
        Ok(found)
    }
}

fn address(ip: u32, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_ne_bytes().into(), u16::from_be(port))
}

/// `TIME_WAIT` of `TimeWait`.
fn word(state: FlowState) -> String {
    let mut word = String::new();
    for letter in format!("{state:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}
