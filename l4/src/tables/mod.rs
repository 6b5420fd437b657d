//! What the program's tables shall hold, from the plan: pure, so that it is tested without a kernel.
//!
//! [`Tables::apply`] compares a plan with what it made of the last one and gives the [`Write`]s between the two, in
//! the order in which packets may see them. A service keeps its slot as long as it is there ([`slots`]), and so does a
//! backend of it, until the sweep has seen that no flow names it ([`Tables::free`]). Lists of backends
//! ([`list`]: [`ring`], [`rendezvous`]) are built in a free part of the schedule map ([`region`]) beside the old ones.
//! [`mod@quic`] knows whom QUIC connection IDs name, [`record`] turns specs into records, [`ramp`] has weights rise slowly, [`place`] addresses into keys; [`mod@answers`] knows where
//! backends answer from; [`adopt`] finds out what a predecessor left.

mod adopt;
mod answers;
mod held;
mod list;
pub(crate) mod place;
mod quic;
mod ramp;
pub mod ranges;
pub(crate) mod record;
pub mod region;
pub mod rendezvous;
pub mod ring;
pub mod slots;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use control::{
    name::{BackendKey, Name},
    plan::Plan,
    time::Instant,
};
use xdp::abi;

pub use self::{
    adopt::Found,
    held::{Held, Kept},
    place::Place,
    quic::Quic,
    write::{Changes, Write},
};
use self::{answers::Answers, region::Regions, slots::Slots, write::Stages};
use crate::net::forwarding::Families;

/// What is asked of the machine's network when a plan is turned into tables.
pub trait Surroundings {
    /// Whether the address is one of this machine's.
    fn is_local(&self, ip: IpAddr) -> bool;
    /// The address that this machine would send from to `ip`.
    fn source_towards(&self, ip: IpAddr) -> Option<IpAddr>;
    /// How often a service's ring was asked (its cursor).
    fn turns(&self, service: u32) -> u32;
}

/// What the tables hold, and why.
#[derive(Debug)]
pub struct Tables {
    services: BTreeMap<Name, Held>,
    /// Services that are no more, as long as flows name their backends; and those a predecessor left.
    retired: Vec<Retired>,
    service_slots: Slots,
    backend_slots: Slots,
    regions: Regions,
    /// What leads to which service.
    places: BTreeMap<Place, u32>,
    /// Where backends answer from, and to.
    answers: Answers,
    /// When services may next take a step of slow start.
    turn: Instant,
    generation: u64,
}

/// A service without a place in the plan.
#[derive(Debug)]
struct Retired {
    /// Its name; a predecessor's is not known.
    name: Option<Name>,
    held: Held,
    /// It is in the tables as if nothing had happened: the plan has not been seen yet.
    live: bool,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            retired: Vec::new(),
            service_slots: Slots::new(abi::SERVICES, &BTreeSet::new()),
            backend_slots: Slots::new(abi::BACKENDS, &BTreeSet::new()),
            regions: Regions::new(abi::SCHEDULE, []),
            places: BTreeMap::new(),
            answers: Answers::default(),
            turn: Instant::ZERO,
            generation: 0,
        }
    }
}

impl Tables {
    /// Goes by a plan. What did not change is not looked at: plans share what is the same.
    ///
    /// # Errors
    /// There is no room for it; then nothing has changed.
    pub fn apply(
        &mut self,
        plan: &Plan,
        now: Instant,
        around: &dyn Surroundings,
    ) -> Result<Changes, String> {
        self.has_room_for(plan)?;
        let mut stages = Stages::default();
        let stepping = self.stepping(now);
        for (name, service) in &plan.services {
            let Some(kernel) = record::kernel_of(service) else {
                continue;
            };
            let Some(pool) = plan.pools.get(&kernel.pool) else {
                continue;
            };
            let mut held = match self.services.remove(name) {
                Some(held) if held.is_of(service, pool, now) && !stepping.contains(name) => {
                    self.services.insert(Name::clone(name), held);
                    continue;
                }
                Some(held) => held,
                None => self.newcomer(name, service, plan),
            };
            held.become_of(
                (Arc::clone(service), Arc::clone(pool)),
                now,
                around,
                (&mut self.backend_slots, &mut self.regions),
                &mut stages,
            );
            self.services.insert(Name::clone(name), held);
        }
        self.retire(plan, &mut stages);
        self.lead(&mut stages);
        let room = abi::ENDPOINTS as usize - self.places.len().min(abi::ENDPOINTS as usize);
        self.answers.settle(room, &mut stages);
        self.generation = plan.generation;
        Ok(stages.finish(self.places.keys()))
    }

    /// Services that take a step of slow start now: no more than there is time for in each turn.
    fn stepping(&mut self, now: Instant) -> BTreeSet<Name> {
        if now < self.turn {
            return BTreeSet::new();
        }
        let due = self.services.iter().filter_map(|(name, held)| {
            let (at, members) = held.step()?;
            (at <= now).then(|| (at, members, Name::clone(name)))
        });
        let due: Vec<_> = due.collect();
        if !due.is_empty() {
            self.turn = now + ramp::TURN;
        }
        ramp::turn(due).into_iter().collect()
    }

    /// Whether there are slots enough.
    fn has_room_for(&self, plan: &Plan) -> Result<(), String> {
        let kernel = || {
            plan.services
                .values()
                .filter_map(|s| Some((s, record::kernel_of(s)?)))
        };
        let retired = self.retired.iter().filter(|r| !r.live);
        let services = kernel().count() + retired.clone().count();
        if services > abi::SERVICES as usize {
            return Err(format!(
                "{services} services are more than the kernel data plane's {}",
                abi::SERVICES
            ));
        }
        let configs = kernel().filter_map(|(_, k)| k.quic_lb.as_ref());
        let configs: usize = configs.map(|quic_lb| quic_lb.configs.len()).sum();
        if configs > abi::QUIC_CONFIGS as usize {
            return Err(format!(
                "{configs} configurations of QUIC connection IDs are more than the kernel data plane's {}",
                abi::QUIC_CONFIGS
            ));
        }
        let members = kernel().filter_map(|(_, k)| Some(plan.pools.get(&k.pool)?.members.len()));
        let gone: usize = retired.map(|r| r.held.backends.len()).sum();
        let leaving: usize = self.services.values().map(Held::leaving).sum();
        let backends = members.sum::<usize>() + gone + leaving;
        if backends > abi::BACKENDS as usize {
            return Err(format!(
                "{backends} backends of all services together are more than the kernel data plane's {}",
                abi::BACKENDS
            ));
        }
        let places =
            kernel().flat_map(|(s, _)| s.spec.listen.iter().map(|l| Place::of(l).len() + 1));
        let places: usize = places.sum();
        if places > abi::ENDPOINTS as usize {
            return Err(format!(
                "{places} addresses and ports are more than the kernel data plane's {}",
                abi::ENDPOINTS
            ));
        }
        Ok(())
    }

    /// The place in the tables for a service that is new by its name: that of a former one of this name, or of one
    /// that was where it is, or a free one.
    fn newcomer(&mut self, name: &Name, service: &control::plan::ServicePlan, plan: &Plan) -> Held {
        let namesake = self
            .retired
            .iter()
            .position(|r| r.name.as_ref() == Some(name));
        let places: BTreeSet<_> = service.spec.listen.iter().flat_map(Place::of).collect();
        let same_place = |held: &Held| held.places.iter().any(|place| places.contains(place));
        let former = namesake.or_else(|| {
            self.retired
                .iter()
                .position(|r| r.live && same_place(&r.held))
        });
        if let Some(at) = former {
            return self.retired.swap_remove(at).held;
        }
        let is_gone = |name: &Name| {
            let service = plan.services.get(name);
            service.is_none_or(|s| record::kernel_of(s).is_none())
        };
        let renamed = self
            .services
            .iter()
            .find(|(name, held)| is_gone(name) && same_place(held))
            .map(|(name, _)| Name::clone(name));
        if let Some(held) = renamed.and_then(|name| self.services.remove(&name)) {
            return held;
        }
        // `has_room_for` counted; the last slot is shared in a case that cannot be.
        Held::new(self.service_slots.take().unwrap_or(abi::SERVICES - 1))
    }

    /// Takes services out that the plan does not have.
    fn retire(&mut self, plan: &Plan, stages: &mut Stages) {
        let is_gone = |name: &Name| {
            let service = plan.services.get(name);
            service.is_none_or(|s| record::kernel_of(s).is_none())
        };
        let gone: Vec<_> = self
            .services
            .keys()
            .filter(|name| is_gone(name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(mut held) = self.services.remove(&name) {
                held.retire(&mut self.regions, stages);
                self.retired.push(Retired {
                    name: Some(name),
                    held,
                    live: false,
                });
            }
        }
        for orphan in self.retired.iter_mut().filter(|r| r.live) {
            orphan.live = false;
            orphan.held.retire(&mut self.regions, stages);
        }
    }

    /// Makes all places lead where they shall.
    fn lead(&mut self, stages: &mut Stages) {
        if stages.moved.is_empty() {
            return;
        }
        let mut wanted = BTreeMap::new();
        for held in self.services.values() {
            for place in &held.places {
                wanted.insert(*place, held.slot);
            }
        }
        for (place, slot) in &wanted {
            if self.places.get(place) != Some(slot) {
                stages.lead(*place, Some(*slot));
            }
        }
        for place in self.places.keys() {
            if !wanted.contains_key(place) {
                stages.lead(*place, None);
            }
        }
        self.places = wanted;
    }

    /// Has a service looked at again, though its plan is the same: an address of the machine came or went.
    pub fn doubt_all(&mut self) {
        for held in self.services.values_mut() {
            held.doubted = true;
        }
    }

    /// No packet that began before the last [`Tables::apply`] is on its way any more: call it some milliseconds later.
    pub fn settle(&mut self) {
        self.regions.settle();
    }

    /// When a plan has to be applied again though nothing changed: a drain ends then, or a member that rises is to be
    /// given more.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let of = |held: &Held| {
            let step = held.step().map(|(at, _)| at.max(self.turn));
            [held.deadline, step].into_iter().flatten().min()
        };
        self.services.values().filter_map(of).min()
    }

    /// Gives slots back that no flow names: `is_free` says so of a slot that takes nothing any more.
    pub fn free(&mut self, is_free: &mut dyn FnMut(u32) -> bool) -> Vec<Write> {
        let mut writes = Vec::new();
        let all = self.services.values_mut().map(|held| (held, false));
        let retired = self.retired.iter_mut().filter(|r| !r.live);
        for (held, whole) in all.chain(retired.map(|r| (&mut r.held, true))) {
            for slot in held.free(is_free, whole) {
                writes.push(Write::Backend {
                    slot,
                    record: abi::Backend::default(),
                });
                self.backend_slots.give_back(slot);
            }
        }
        let service_slots = &mut self.service_slots;
        self.retired.retain(|r| {
            let over = !r.live && r.held.backends.is_empty();
            if over {
                service_slots.give_back(r.held.slot);
            }
            !over
        });
        writes
    }

    /// Services that are in the plan, by name.
    pub fn services(&self) -> impl Iterator<Item = (&Name, &Held)> {
        self.services.iter()
    }

    /// All services that flows may name, with their names as far as known.
    pub fn all(&self) -> impl Iterator<Item = (Option<&Name>, &Held)> {
        let named = self.services.iter().map(|(name, held)| (Some(name), held));
        named.chain(self.retired.iter().map(|r| (r.name.as_ref(), &r.held)))
    }

    /// The slots of a backend in all services, of those in the plan.
    pub fn slots_of(&self, key: &BackendKey) -> impl Iterator<Item = u32> {
        let services = self
            .services
            .values()
            .filter(|h| h.pool_name() == Some(&key.pool));
        services.filter_map(|held| held.backends.get(&key.address).map(|kept| kept.slot))
    }

    /// Backends that drain, of services in the plan.
    #[must_use]
    pub fn draining(&self) -> BTreeSet<BackendKey> {
        self.services.values().flat_map(Held::draining).collect()
    }

    /// All backends' addresses.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        let backends = self.all().flat_map(|(_, held)| held.backends.keys());
        backends.map(SocketAddr::ip).collect()
    }

    /// The families that packets are forwarded in.
    pub(crate) fn families(&self) -> Families {
        let services = self.places.keys().map(Place::ip);
        let held = self.services.values();
        let backends = held.flat_map(|held| held.backends.keys().map(SocketAddr::ip));
        services.chain(backends).collect()
    }

    /// The plan that was applied last.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many slots of services and of backends are in use.
    #[must_use]
    pub fn used(&self) -> (u32, u32) {
        (self.service_slots.used(), self.backend_slots.used())
    }
}
