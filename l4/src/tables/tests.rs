//! Plans in, tables out: the writes are carried out on a model of the tables, and what packets could see is checked
//! after each.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use control::{
    name::BackendKey,
    plan::{Duty, KernelMember, MemberPlan, Plan, PoolPlan, ServicePlan},
    spec::{
        BackendSpec, Balance, Forward, HashKey, KernelSpec, Listen, PoolSpec, Scheme, ServiceKind,
        ServiceSpec,
    },
    time::Instant,
};
use xdp::abi::{Backend, Service, backend_flags, settings_flags};

use super::*;

mod answers;
mod moves;
mod quic;
mod ramps;

/// The tables as the program sees them.
#[derive(Default)]
struct Model {
    backends: BTreeMap<u32, Backend>,
    services: BTreeMap<u32, Service>,
    schedule: HashMap<u32, u32>,
    cursors: HashMap<u32, u32>,
    places: BTreeMap<Place, u32>,
    answers: BTreeSet<Place>,
    quic: Quic,
    flags: u32,
}

impl Surroundings for Model {
    fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
    }
    fn source_towards(&self, _: IpAddr) -> Option<IpAddr> {
        Some([10, 9, 9, 9].into())
    }
    fn turns(&self, service: u32) -> u32 {
        self.cursors.get(&service).copied().unwrap_or(0)
    }
}

impl Model {
    /// Carries writes out; after each, every place must lead to whole lists of backends that are there.
    fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write.clone() {
                Write::Fresh { .. } => {}
                Write::Backend { slot, record } => drop(self.backends.insert(slot, record)),
                Write::Schedule { region, entries } => {
                    assert_eq!(region.length as usize, entries.len());
                    for (at, slot) in entries.into_iter().enumerate() {
                        self.schedule.insert(region.start + at as u32, slot);
                    }
                }
                Write::Cursor { service, turns } => drop(self.cursors.insert(service, turns)),
                Write::QuicConfig { key, config } => match config {
                    Some(config) => drop(self.quic.configs.insert(key, *config)),
                    None => drop(self.quic.configs.remove(&key)),
                },
                Write::QuicId { key, slot } => match slot {
                    Some(slot) => drop(self.quic.ids.insert(key, slot)),
                    None => drop(self.quic.ids.remove(&key)),
                },
                Write::Service { slot, record } => drop(self.services.insert(slot, record)),
                Write::Lead {
                    place: place @ (Place::Backend(..) | Place::Source(_)),
                    slot,
                } => assert!(if slot.is_some() {
                    self.answers.insert(place)
                } else {
                    self.answers.remove(&place)
                }),
                Write::Lead {
                    place,
                    slot: Some(slot),
                } => drop(self.places.insert(place, slot)),
                Write::Lead { place, slot: None } => drop(self.places.remove(&place)),
                Write::Flags(flags) => self.flags = flags,
            }
            self.check();
        }
    }

    fn check(&self) {
        for (id, slot) in &self.quic.ids {
            let backend = self.backends[slot];
            assert_eq!(backend.service, id.service);
            let wanted = backend_flags::PRESENT;
            assert_eq!(backend.flags & (wanted | backend_flags::REMOVED), wanted);
        }
        for slot in self.places.values() {
            assert_ne!(self.flags & settings_flags::SERVICES, 0);
            let record = self.services[slot];
            for word in [record.table, record.members] {
                for backend in self.list(word) {
                    let backend = self.backends[&backend];
                    assert_eq!(backend.service, *slot);
                    let wanted = backend_flags::PRESENT;
                    assert_eq!(backend.flags & (wanted | backend_flags::REMOVED), wanted);
                }
            }
        }
    }

    fn list(&self, word: u64) -> Vec<u32> {
        let region = region::Region::of_word(word);
        (region.start..region.start + region.length)
            .map(|at| self.schedule[&at])
            .collect()
    }

    fn slot_of(&self, address: &str) -> u32 {
        let address: SocketAddr = address.parse().unwrap();
        let mut found = self
            .backends
            .iter()
            .filter(|(_, b)| record::address_of(b) == address);
        *found.next().unwrap().0
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn pool(name: &str, balance: Balance, members: &[(&str, u32)]) -> Arc<PoolPlan> {
    let member = |(address, weight): &(&str, u32)| MemberPlan {
        key: BackendKey {
            pool: name.parse().unwrap(),
            address: at(address),
        },
        weight: *weight,
        backup: false,
        max_connections: None,
        kernel: KernelMember::default(),
        duty: Duty::Take,
        rising_since: None,
    };
    Arc::new(PoolPlan {
        spec: Arc::new(PoolSpec {
            name: name.parse().unwrap(),
            balance,
            checks: Vec::new(),
            agent: None,
            passive: control::spec::check::PassiveSpec::default(),
            panic_below: control::spec::Share::NONE,
            slow_start: Duration::ZERO,
            queue: control::spec::pool::QueueSpec::default(),
            drain: None,
            connect: control::spec::pool::ConnectSpec::default(),
            backends: members
                .iter()
                .map(|(a, _)| BackendSpec::at(at(a)))
                .collect(),
        }),
        members: members.iter().map(member).collect(),
        panic: false,
    })
}

fn service(name: &str, listen: &str, pool: &str, ipvs: bool) -> Arc<ServicePlan> {
    let mut kernel = KernelSpec::new(Forward::Direct, pool.parse().unwrap());
    kernel.ipvs = ipvs;
    Arc::new(ServicePlan {
        spec: Arc::new(ServiceSpec {
            name: name.parse().unwrap(),
            listen: vec![Listen::new(Scheme::Tcp, at(listen))],
            kind: ServiceKind::Kernel(Box::new(kernel)),
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None,
        }),
    })
}

fn plan(services: &[Arc<ServicePlan>], pools: &[Arc<PoolPlan>]) -> Plan {
    Plan {
        services: services
            .iter()
            .map(|s| (s.spec.name.clone(), Arc::clone(s)))
            .collect(),
        pools: pools
            .iter()
            .map(|p| (p.spec.name.clone(), Arc::clone(p)))
            .collect(),
        ..Plan::default()
    }
}

fn apply(tables: &mut Tables, model: &mut Model, plan: &Plan) -> Changes {
    let changes = tables.apply(plan, Instant::ZERO, model).unwrap();
    model.write(&changes.writes);
    assert_eq!(changes.trouble, None);
    tables.settle();
    changes
}

#[test]
fn what_did_not_change_is_not_touched() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let services = [
        service("a", "10.0.0.1:80", "p", false),
        service("b", "10.0.0.2:80", "q", false),
    ];
    let pools = [
        pool(
            "p",
            Balance::WeightedRoundRobin,
            &[("10.1.0.1:80", 1), ("10.1.0.2:80", 2)],
        ),
        pool("q", Balance::RoundRobin, &[("10.1.0.1:80", 1)]),
    ];
    let first = plan(&services, &pools);
    apply(&mut tables, &mut model, &first);
    let again = apply(&mut tables, &mut model, &first);
    assert_eq!(again.services, 0);
    assert_eq!(
        again
            .writes
            .iter()
            .filter(|w| !matches!(w, Write::Flags(_)))
            .count(),
        0
    );

    let other = pool(
        "q",
        Balance::RoundRobin,
        &[("10.1.0.1:80", 1), ("10.1.0.9:80", 1)],
    );
    let before: Vec<_> = model.backends.clone().into_iter().collect();
    let changes = apply(
        &mut tables,
        &mut model,
        &plan(&services, &[Arc::clone(&pools[0]), other]),
    );
    assert_eq!(changes.services, 1);
    for (slot, record) in before {
        assert_eq!(model.backends[&slot], record);
    }
}

#[test]
fn members_are_gone_through_last_added_first() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let services = [service("a", "10.0.0.1:80", "p", false)];
    let members = [("10.1.0.1:80", 5), ("10.1.0.2:80", 1), ("10.1.0.3:80", 1)];
    apply(
        &mut tables,
        &mut model,
        &plan(
            &services,
            &[pool("p", Balance::WeightedRoundRobin, &members)],
        ),
    );
    let record = model.services[&0];
    let [one, two, three] = members.map(|(a, _)| model.slot_of(a));
    assert_eq!(model.list(record.members), [three, two, one]);
    assert_eq!(
        model.list(record.table),
        [three, two, one, one, one, one, one]
    );
}

#[test]
fn a_removed_backend_keeps_its_slot_until_it_is_free() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let services = [service("a", "10.0.0.1:80", "p", true)];
    let both = pool(
        "p",
        Balance::RoundRobin,
        &[("10.1.0.1:80", 1), ("10.1.0.2:80", 1)],
    );
    apply(
        &mut tables,
        &mut model,
        &plan(&services, &[Arc::clone(&both)]),
    );
    let slot = model.slot_of("10.1.0.2:80");
    let one = pool("p", Balance::RoundRobin, &[("10.1.0.1:80", 1)]);
    apply(
        &mut tables,
        &mut model,
        &plan(&services, &[Arc::clone(&one)]),
    );
    assert_ne!(model.backends[&slot].flags & backend_flags::REMOVED, 0);
    assert!(tables.free(&mut |_| false).is_empty(), "flows name it");
    let back = apply(&mut tables, &mut model, &plan(&services, &[both]));
    assert_eq!(model.slot_of("10.1.0.2:80"), slot);
    assert_eq!(model.backends[&slot].flags & backend_flags::REMOVED, 0);
    assert!(
        !back.writes.contains(&Write::Fresh { slot }),
        "it keeps its counts"
    );

    apply(&mut tables, &mut model, &plan(&services, &[one]));
    let freed = tables.free(&mut |_| true);
    assert_eq!(
        freed,
        [Write::Backend {
            slot,
            record: Backend::default()
        }]
    );
    assert_eq!(tables.used(), (1, 1));
}

#[test]
fn a_renamed_service_keeps_its_flows_and_a_deleted_one_its_slots() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let pools = [pool("p", Balance::RoundRobin, &[("10.1.0.1:80", 1)])];
    apply(
        &mut tables,
        &mut model,
        &plan(&[service("a", "10.0.0.1:80", "p", false)], &pools),
    );
    let renamed = [service("b", "10.0.0.1:80", "p", false)];
    let changes = apply(&mut tables, &mut model, &plan(&renamed, &pools));
    assert!(
        !changes
            .writes
            .iter()
            .any(|w| matches!(w, Write::Lead { .. } | Write::Fresh { .. }))
    );

    apply(&mut tables, &mut model, &plan(&[], &[]));
    assert!(model.places.is_empty());
    assert_eq!(model.flags, 0);
    assert_eq!(model.services[&0].flags, 0);
    let backend = model.backends[&0];
    assert_ne!(backend.flags & backend_flags::REMOVED, 0);
    apply(&mut tables, &mut model, &plan(&renamed, &pools));
    assert_eq!(tables.used(), (1, 1), "the same slots again");
    apply(&mut tables, &mut model, &plan(&[], &[]));
    assert_eq!(tables.free(&mut |_| true).len(), 1);
    assert_eq!(tables.used(), (0, 0));
}

#[test]
fn a_successor_finds_what_is_there() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let services = [
        service("a", "10.0.0.1:80", "p", false),
        service("b", "10.0.0.2:80", "p", false),
    ];
    let hash = Balance::Maglev(HashKey::Source);
    let pools = [pool("p", hash, &[("10.1.0.1:80", 1), ("10.1.0.2:80", 1)])];
    apply(&mut tables, &mut model, &plan(&services, &pools));
    let (backends, places) = (model.backends.clone(), model.places.clone());

    let mut next = Tables::adopt(Found {
        services: model.services.clone().into_iter().collect(),
        backends: model.backends.clone().into_iter().collect(),
        places: model.places.clone(),
        answers: model.answers.clone(),
        quic: model.quic.clone(),
    });
    // One service is gone since, and one is new.
    let services = [
        service("a", "10.0.0.1:80", "p", false),
        service("c", "10.0.0.3:80", "p", false),
    ];
    let changes = apply(&mut next, &mut model, &plan(&services, &pools));
    assert_eq!(
        model.places[&Place::Port([10, 0, 0, 1].into(), 80, 6)],
        places[&Place::Port([10, 0, 0, 1].into(), 80, 6)]
    );
    let of_a = |b: &&Backend| b.service == 0;
    assert!(
        backends
            .values()
            .filter(of_a)
            .eq(model.backends.values().filter(of_a))
    );
    assert!(
        !changes
            .writes
            .iter()
            .any(|w| matches!(w, Write::Fresh { slot: 0 | 1 }))
    );
    assert!(
        !model
            .places
            .contains_key(&Place::Port([10, 0, 0, 2].into(), 80, 6))
    );
    assert_eq!(
        next.free(&mut |_| true).len(),
        2,
        "those of the service that is gone"
    );
}

#[test]
fn a_drain_ends_in_its_time() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let services = [service("a", "10.0.0.1:80", "p", false)];
    let until = Instant::from_nanos(1_000);
    let mut pool = pool(
        "p",
        Balance::RoundRobin,
        &[("10.1.0.1:80", 1), ("10.1.0.2:80", 1)],
    );
    Arc::get_mut(&mut pool).unwrap().members[1].duty = Duty::Finish { until: Some(until) };
    let plan = plan(&services, &[pool]);
    apply(&mut tables, &mut model, &plan);
    let slot = model.slot_of("10.1.0.2:80");
    assert_eq!(
        model.backends[&slot].flags & (backend_flags::TAKES | backend_flags::REMOVED),
        0
    );
    assert_eq!(tables.draining().len(), 1);
    assert_eq!(tables.deadline(), Some(until));
    let changes = tables.apply(&plan, until, &model).unwrap();
    model.write(&changes.writes);
    let cut = backend_flags::REMOVED | backend_flags::EXPIRE;
    assert_eq!(model.backends[&slot].flags & cut, cut);
    assert_eq!(tables.deadline(), None);
    assert!(
        tables.free(&mut |_| true).is_empty(),
        "it is in the plan still"
    );
}

#[test]
fn one_backend_among_a_thousand_services() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let name = |n: u32| format!("s{n}");
    let services: Vec<_> = (0..1000)
        .map(|n: u32| {
            service(
                &name(n),
                &format!("10.0.{}.{}:80", n / 250, n % 250 + 1),
                &name(n),
                false,
            )
        })
        .collect();
    let mut pools: Vec<_> = (0..1000)
        .map(|n: u32| {
            pool(
                &name(n),
                Balance::WeightedRoundRobin,
                &[(&format!("10.1.{}.{}:80", n / 250, n % 250 + 1), 1)],
            )
        })
        .collect();
    let changes = tables
        .apply(&plan(&services, &pools), Instant::ZERO, &model)
        .unwrap();
    for write in &changes.writes {
        if let Write::Cursor { service, turns } = write {
            model.cursors.insert(*service, *turns);
        }
    }
    pools[500] = pool(
        &name(500),
        Balance::WeightedRoundRobin,
        &[("10.9.0.1:80", 1), ("10.9.0.2:80", 1)],
    );
    let began = std::time::Instant::now();
    let changes = tables
        .apply(&plan(&services, &pools), Instant::ZERO, &model)
        .unwrap();
    println!("one change among 1000 services: {:?}", began.elapsed());
    assert_eq!(changes.services, 1);
    assert!(changes.writes.len() < 12, "{:?}", changes.writes);
}
