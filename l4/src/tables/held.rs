//! One service in the tables: what was made of its plan, and how it becomes another.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use control::{
    name::{BackendKey, Name},
    plan::{Duty, MemberPlan, PoolPlan, ServicePlan},
    spec::KernelSpec,
    time::Instant,
};
use xdp::{
    abi::{Backend, Method, Service, backend_flags},
    packet::header::proto,
};

use super::{
    Surroundings,
    list::{Candidate, Lists},
    place::Place,
    quic::Quic,
    ramp::{self, Ramp},
    record,
    region::{Region, Regions},
    slots::Slots,
    write::{Stages, Write},
};

/// One service in the tables.
#[derive(Debug)]
pub struct Held {
    /// Its slot.
    pub slot: u32,
    /// What it was made of; none: a predecessor made it.
    plan: Option<(Arc<ServicePlan>, Arc<PoolPlan>)>,
    /// What leads to it.
    pub places: Vec<Place>,
    /// Where its backends answer from, if it translates addresses of TCP, and to which sources of full NAT.
    answers: BTreeSet<Place>,
    /// Its backends, with those that were removed and may still have flows.
    pub backends: BTreeMap<SocketAddr, Kept>,
    /// Its record.
    pub record: Service,
    lists: Lists,
    quic: Quic,
    /// When it has to be looked at again: a drain ends.
    pub(super) deadline: Option<Instant>,
    /// When a member that rises is given more.
    step: Option<Instant>,
    /// It has to be looked at again though its plan is the same.
    pub(super) doubted: bool,
}

/// A backend's slot and what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The slot.
    pub slot: u32,
    /// The record.
    pub record: Backend,
}

impl Kept {
    /// Whether the configuration no longer has it.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.record.flags & backend_flags::REMOVED != 0
    }
}

impl Held {
    pub(super) fn new(slot: u32) -> Self {
        Self::found(
            slot,
            Service::default(),
            Vec::new(),
            BTreeMap::new(),
            Quic::default(),
        )
    }

    /// One that is in the tables already.
    pub(super) fn found(
        slot: u32,
        record: Service,
        places: Vec<Place>,
        backends: BTreeMap<SocketAddr, Kept>,
        quic: Quic,
    ) -> Self {
        let (table, members) = (record.table, record.members);
        Self {
            slot,
            plan: None,
            places,
            answers: BTreeSet::new(),
            backends,
            record,
            lists: Lists::found(Region::of_word(table), Region::of_word(members)),
            quic,
            deadline: None,
            step: None,
            doubted: false,
        }
    }

    /// What it was made of.
    #[must_use]
    pub fn plan(&self) -> Option<(&ServicePlan, &PoolPlan)> {
        self.plan
            .as_ref()
            .map(|(service, pool)| (&**service, &**pool))
    }

    pub(super) fn pool_name(&self) -> Option<&Name> {
        self.plan.as_ref().map(|(_, pool)| &pool.spec.name)
    }

    /// Whether it is what these plans make of it.
    pub(super) fn is_of(
        &self,
        service: &Arc<ServicePlan>,
        pool: &Arc<PoolPlan>,
        now: Instant,
    ) -> bool {
        let same = |(s, p): &(Arc<_>, Arc<_>)| Arc::ptr_eq(s, service) && Arc::ptr_eq(p, pool);
        !self.doubted
            && self.deadline.is_none_or(|deadline| deadline > now)
            && self.plan.as_ref().is_some_and(same)
    }

    /// When a member that rises is given more, and how many members there are to look at then.
    pub(super) fn step(&self) -> Option<(Instant, usize)> {
        Some((self.step?, self.backends.len()))
    }

    /// What weights are multiplied by in its backends' records.
    #[must_use]
    pub fn scale(&self) -> u32 {
        let plan = self.plan.as_ref();
        plan.map_or(1, |(_, pool)| ramp::scale_of_records(pool))
    }

    /// How many of its backends are on their way out.
    pub(super) fn leaving(&self) -> usize {
        self.backends
            .values()
            .filter(|kept| kept.is_removed())
            .count()
    }

    /// Backends that drain.
    pub(super) fn draining(&self) -> impl Iterator<Item = BackendKey> {
        let members = self.plan.iter().flat_map(|(_, pool)| &pool.members);
        members
            .filter(|m| matches!(m.duty, Duty::Finish { .. }))
            .map(|m| BackendKey::clone(&m.key))
    }

    /// Becomes what a plan says.
    pub(super) fn become_of(
        &mut self,
        plan: (Arc<ServicePlan>, Arc<PoolPlan>),
        now: Instant,
        around: &dyn Surroundings,
        (slots, regions): (&mut Slots, &mut Regions),
        stages: &mut Stages,
    ) {
        let (service, pool) = &plan;
        let Some(kernel) = record::kernel_of(service) else {
            return;
        };
        stages.looked_at += 1;
        let stepping = self.is_of(service, pool, now);
        let weights = Ramp::of(pool, now);
        self.backends_become(kernel, pool, (now, &weights), around, slots, stages);
        let candidates = self.candidates(pool, &weights);
        let mut record = record::service(&service.spec, kernel, pool, around);
        (record.table, record.members) = (self.record.table, self.record.members);
        self.lists_become(
            &mut record,
            pool,
            (candidates, stepping),
            around,
            regions,
            stages,
        );
        let slot_of = |address: &SocketAddr| {
            let kept = self.backends.get(address);
            kept.filter(|kept| !kept.is_removed()).map(|kept| kept.slot)
        };
        let quic = Quic::of(self.slot, kernel, pool, slot_of);
        record.quic = quic.rotations();
        std::mem::replace(&mut self.quic, quic).become_of(&self.quic, stages);
        if record != self.record {
            stages.services.push(Write::Service {
                slot: self.slot,
                record,
            });
            self.record = record;
        }
        let mut places: Vec<_> = service.spec.listen.iter().flat_map(Place::of).collect();
        let addresses: BTreeSet<_> = places.iter().map(Place::ip).collect();
        places.extend(addresses.into_iter().map(Place::Address));
        if places != self.places || self.plan.is_none() {
            self.places = places;
            stages.moved.insert(self.slot);
        }
        self.answers_become(self.answers_of(service, kernel), stages);
        let ends = |m: &MemberPlan| match m.duty {
            Duty::Finish { until } => until.filter(|until| *until > now),
            _ => None,
        };
        self.deadline = pool.members.iter().filter_map(ends).min();
        self.step = weights.next(pool);
        self.doubted = false;
        self.plan = Some(plan);
    }

    fn backends_become(
        &mut self,
        kernel: &KernelSpec,
        pool: &PoolPlan,
        (now, weights): (Instant, &Ramp),
        around: &dyn Surroundings,
        slots: &mut Slots,
        stages: &mut Stages,
    ) {
        let configured: BTreeSet<_> = pool.spec.backends.iter().map(|b| b.address).collect();
        let mut staying = BTreeSet::new();
        for member in &pool.members {
            let address = member.address();
            // Who takes a server out with ipvsadm expects what IPVS does, at once.
            if kernel.ipvs && !configured.contains(&address) {
                continue;
            }
            let weight = weights.recorded(member);
            let record = record::backend(self.slot, kernel, member, (now, weight), around);
            let old = self.backends.get(&address);
            let Some(slot) = old.map(|kept| kept.slot).or_else(|| slots.take()) else {
                // Counted beforehand; but what is not there cannot be given.
                stages.trouble = Some("no slot is free for a backend".into());
                continue;
            };
            staying.insert(address);
            if old.is_none() {
                stages.backends.push(Write::Fresh { slot });
            }
            if old.is_none_or(|kept| kept.record != record) {
                stages.backends.push(Write::Backend { slot, record });
                self.backends.insert(address, Kept { slot, record });
            }
        }
        for (address, kept) in &mut self.backends {
            if !staying.contains(address) {
                remove(kept, kernel.expire_removed, stages);
            }
        }
    }

    /// Who may be given new work: last added first; backups only if nobody else can.
    fn candidates(&self, pool: &PoolPlan, weights: &Ramp) -> Vec<Candidate> {
        let of = |member: &MemberPlan| {
            let kept = self.backends.get(&member.address())?;
            let takes = kept.record.flags & backend_flags::TAKES != 0 && !kept.is_removed();
            takes.then(|| Candidate {
                address: member.address(),
                slot: kept.slot,
                weight: weights.listed(member),
            })
        };
        let all = |backup: bool| {
            let members = pool.members.iter().rev();
            members.filter(move |m| m.backup == backup).filter_map(of)
        };
        if all(false).any(|c| c.weight > 0) || all(true).next().is_none() {
            return all(false).collect();
        }
        all(true).collect()
    }

    fn lists_become(
        &mut self,
        record: &mut Service,
        pool: &PoolPlan,
        (candidates, stepping): (Vec<Candidate>, bool),
        around: &dyn Surroundings,
        regions: &mut Regions,
        stages: &mut Stages,
    ) {
        let old = std::mem::take(&mut self.lists.table);
        let members = std::mem::take(&mut self.lists.members);
        let configured = pool.spec.backends.iter().map(|b| b.weight);
        if !(self.lists).become_of(&pool.spec.balance, configured, candidates) {
            (self.lists.table, self.lists.members) = (old, members);
            return;
        }
        let lists = [
            (self.lists.table.clone(), &old, 0),
            (self.lists.members.clone(), &members, 1),
        ];
        let mut taken = self.lists.at;
        for (new, old, which) in lists {
            // A predecessor's list is not known, only where it is.
            if new == *old && self.plan.is_some() {
                continue;
            }
            let Some(region) = regions.take(u32::try_from(new.len()).unwrap_or(u32::MAX)) else {
                stages.trouble = Some("the schedule map is full".into());
                self.lists.doubt();
                self.doubted = true;
                return;
            };
            stages.schedule.push(Write::Schedule {
                region,
                entries: new,
            });
            regions.give_up(std::mem::replace(&mut taken[which], region));
        }
        if self.lists.table != old && !self.lists.table.is_empty() {
            let turns = self.lists.resume(&old, around.turns(self.slot), stepping);
            stages.schedule.push(Write::Cursor {
                service: self.slot,
                turns,
            });
        }
        self.lists.at = taken;
        let [table, members] = taken;
        (record.table, record.members) = (table.word(), members.word());
    }

    /// Where backends answer from, and to which sources. A source that is not listed is this node's own, and moves nowhere.
    fn answers_of(&self, service: &ServicePlan, kernel: &KernelSpec) -> BTreeSet<Place> {
        let mut listens = service.spec.listen.iter();
        if !listens.any(|listen| listen.scheme.ip_protocol() == proto::TCP) {
            return BTreeSet::new();
        }
        let translated = |kept: &Kept| Method::of(kept.record.method) == Method::Nat;
        let its = (self.backends.iter()).filter(|(_, kept)| translated(kept) && !kept.is_removed());
        let from = its
            .map(|(at, kept)| Place::Backend(at.ip(), u16::from_be(kept.record.port), proto::TCP));
        let to = record::listed_sources(&service.spec, kernel);
        from.chain(to.into_iter().map(Place::Source)).collect()
    }

    fn answers_become(&mut self, answers: BTreeSet<Place>, stages: &mut Stages) {
        let come = answers.difference(&self.answers);
        stages.answers.extend(come.map(|place| (*place, true)));
        let gone = self.answers.difference(&answers);
        stages.answers.extend(gone.map(|place| (*place, false)));
        self.answers = answers;
    }

    /// Leaves the tables; its backends' flows are as those of removed ones.
    pub(super) fn retire(&mut self, regions: &mut Regions, stages: &mut Stages) {
        let kernel = self.plan.as_ref().and_then(|(s, _)| record::kernel_of(s));
        let expire = kernel.is_some_and(|kernel| kernel.expire_removed);
        // The timeout stays: flows are still to be forgotten in their time.
        let record = Service {
            timeout: self.record.timeout,
            ..Service::default()
        };
        stages.services_off.push(Write::Service {
            slot: self.slot,
            record,
        });
        self.record = record;
        std::mem::take(&mut self.quic).become_of(&self.quic, stages);
        for kept in self.backends.values_mut() {
            remove(kept, expire, stages);
        }
        for region in std::mem::take(&mut self.lists).at {
            regions.give_up(region);
        }
        self.places.clear();
        self.answers_become(BTreeSet::new(), stages);
        self.plan = None;
        self.deadline = None;
        self.step = None;
        stages.moved.insert(self.slot);
    }

    /// Takes backends out that are removed and free, and gives their slots. `whole`: the service itself is no more.
    pub(super) fn free(&mut self, is_free: &mut dyn FnMut(u32) -> bool, whole: bool) -> Vec<u32> {
        let mut freed = Vec::new();
        // A member of the plan keeps its slot, removed or not.
        let members: BTreeSet<_> = self
            .plan
            .iter()
            .flat_map(|(_, pool)| pool.members.iter().map(MemberPlan::address))
            .collect();
        self.backends.retain(|address, kept| {
            let over =
                kept.is_removed() && (whole || !members.contains(address)) && is_free(kept.slot);
            if over {
                freed.push(kept.slot);
            }
            !over
        });
        freed
    }
}

/// Marks a backend as removed.
fn remove(kept: &mut Kept, expire: bool, stages: &mut Stages) {
    let mut record = kept.record;
    record.flags &= !(backend_flags::TAKES | backend_flags::EXPIRE);
    record.flags |= backend_flags::REMOVED;
    if expire {
        record.flags |= backend_flags::EXPIRE;
    }
    if record != kept.record {
        kept.record = record;
        stages.backends_off.push(Write::Backend {
            slot: kept.slot,
            record,
        });
    }
}
