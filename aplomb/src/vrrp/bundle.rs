//! What moves as one: a vip, or all vips of a group, with their virtual routers.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use control::{name::Name, plan::VipPlan};
use proto::{
    time::Instant,
    vrrp::{
        group::{GateSettings, Group, GroupInput, Member},
        machine::{Input, Router, State},
        terms::Family,
    },
};

use super::{
    hand::Job,
    links::Links,
    mailbox::Order,
    seat::Seat,
    tools::Tools,
    track::{Vip, same_track},
};

/// What moves as one.
pub(super) struct Bundle {
    pub(super) name: Name,
    pub(super) vips: Vec<Vip>,
    pub(super) seats: Vec<Seat>,
    /// None: this node always has the addresses.
    pub(super) group: Option<Group>,
    pub(super) declined: Option<String>,
}

/// What makes another bundle of it, if it changes.
type Shape = Vec<(Name, Family, String, bool, bool)>;

pub(super) fn shape(plans: &[Arc<VipPlan>]) -> Shape {
    let of = |plan: &Arc<VipPlan>| {
        let spec = Arc::clone(&plan.spec);
        let of_family = move |family| {
            let vrrp = spec.vrrp.as_ref();
            (
                spec.name.clone(),
                family,
                spec.interface.clone(),
                vrrp.is_some(),
                vrrp.is_some_and(|vrrp| vrrp.virtual_mac),
            )
        };
        plan.spec.families().into_iter().map(of_family)
    };
    plans.iter().flat_map(of).collect()
}

/// Whatever connection sync says, a better node is not kept back for longer than this.
const GATE: GateSettings = GateSettings {
    timeout: Duration::from_secs(60),
};

impl Bundle {
    /// One with these vips, which takes no part yet. Seats are numbered from `first` on. It does not preempt before it is
    /// told that the connections of its peers are known.
    pub(super) fn new(name: Name, plans: &[Arc<VipPlan>], first: u64, now: Instant) -> Self {
        let mut seats = Vec::new();
        for (vip, plan) in plans.iter().enumerate() {
            for family in plan.spec.families() {
                let id = first + seats.len() as u64;
                seats.push(Seat::new(id, vip, Arc::clone(plan), family));
            }
        }
        let configs = seats
            .iter()
            .filter_map(|seat| Some(seat.router.as_ref()?.1.clone()));
        let configs: Vec<_> = configs.collect();
        let of_all = configs.len() == seats.len();
        Self {
            name,
            vips: plans.iter().map(Vip::new).collect(),
            seats,
            group: of_all
                .then(|| Group::new(configs, Some(GATE), now).ok())
                .flatten(),
            declined: None,
        }
    }

    pub(super) fn shape(&self) -> Shape {
        let plans: Vec<_> = self.vips.iter().map(|vip| Arc::clone(&vip.plan)).collect();
        shape(&plans)
    }

    /// Begins. `adopt`: another process of this node had the addresses until now.
    pub(super) fn start(
        &mut self,
        adopt: bool,
        ours: &BTreeSet<IpAddr>,
        tools: &Tools,
        now: Instant,
    ) {
        for seat in &mut self.seats {
            seat.index = tools
                .links
                .named(seat.interface())
                .map_or(0, |link| link.index);
        }
        let had = adopt && self.has_addresses(&tools.links);
        for vip in self.vips.iter_mut().filter(|_| !had) {
            vip.nothing_seen();
        }
        for seat in &mut self.seats {
            if !had {
                // What a process that crashed left behind: it may be another node's by now.
                tools.job(Job::Clear(seat.ways()));
                tools.job(Job::Give(seat.place(), seat.assigned()));
            }
            seat.refuse(tools);
            if seat.index != 0 {
                tools.job(Job::Arm(seat.place()));
            }
        }
        self.review_tracks(tools, now);
        self.review_links(ours, tools, now);
        self.handle(GroupInput::Start, tools, now);
        if had && self.group.is_some() {
            self.handle(GroupInput::Promote, tools, now);
            self.handle(GroupInput::Resume, tools, now);
            for seat in self.seats.iter_mut().filter(|seat| seat.held.is_none()) {
                seat.give(tools);
            }
        }
    }

    fn has_addresses(&self, links: &Links) -> bool {
        self.seats.iter().all(|seat| {
            let device = seat.place();
            let link = links.named(device.device());
            let mut all = seat.plan.spec.assigned(seat.family);
            link.is_some_and(|link| all.all(|a| link.has(a.address.addr())))
        })
    }

    /// Leaves for good: says so, and gives the addresses up.
    pub(super) fn stop(&mut self, tools: &Tools, now: Instant) {
        self.handle(GroupInput::Stop, tools, now);
        for seat in &mut self.seats {
            if seat.held.is_some() {
                seat.give(tools);
            }
            tools.job(Job::Refuse(seat.id, Vec::new()));
            tools.job(Job::Disarm(seat.place()));
        }
    }

    /// Goes by other plans of the same shape.
    pub(super) fn configure(&mut self, plans: &[Arc<VipPlan>], tools: &Tools, now: Instant) {
        for (at, plan) in plans.iter().enumerate().take(self.vips.len()) {
            if Arc::ptr_eq(&self.vips[at].plan, plan) {
                continue;
            }
            // What is tracked may be something else now: it is told anew.
            let gone = self.vips[at].faults();
            let same = same_track(&self.vips[at].plan, plan);
            self.vips[at].plan = Arc::clone(plan);
            if !same {
                self.vips[at] = Vip::new(plan);
                for name in gone {
                    self.tell_vip(at, &Input::Fault(name, None), tools, now);
                }
            }
            self.configure_seats(at, plan, tools, now);
        }
        self.review_tracks(tools, now);
    }

    fn configure_seats(&mut self, vip: usize, plan: &Arc<VipPlan>, tools: &Tools, now: Instant) {
        for at in 0..self.seats.len() {
            if self.seats[at].vip != vip {
                continue;
            }
            let config = self.seats[at].configure(plan, now);
            self.seats[at].refuse(tools);
            if let Some(config) = config {
                let input = Input::Configure(Box::new(config));
                self.handle(GroupInput::Member(Member(at), input), tools, now);
            }
            self.seats[at].told_priority = None;
            self.seats[at].readdress(tools);
            self.seats[at].refuse(tools);
        }
    }

    /// What others look at for a vip has changed.
    pub(super) fn tracked(&mut self, vip: &Name, at: usize, why: Option<String>) {
        let of_name = |v: &&mut Vip| v.plan.spec.name == *vip;
        if let Some(told) = self
            .vips
            .iter_mut()
            .find(of_name)
            .and_then(|v| v.told.get_mut(at))
        {
            *told = why;
        }
    }

    /// Draws the conclusions from what is tracked.
    pub(super) fn review_tracks(&mut self, tools: &Tools, now: Instant) {
        for at in 0..self.vips.len() {
            let (changes, priority) = self.vips[at].review(&tools.links);
            for (name, why) in changes {
                self.tell_vip(at, &Input::Fault(name, why), tools, now);
            }
            let Some(priority) = priority else { continue };
            for seat in 0..self.seats.len() {
                let its = &mut self.seats[seat];
                if its.vip == at && its.told_priority != Some(priority) {
                    its.told_priority = Some(priority);
                    let input = GroupInput::Member(Member(seat), Input::Priority(priority));
                    self.handle(input, tools, now);
                }
            }
        }
    }

    fn tell_vip(&mut self, vip: usize, input: &Input, tools: &Tools, now: Instant) {
        for seat in 0..self.seats.len() {
            if self.seats[seat].vip == vip {
                let input = GroupInput::Member(Member(seat), input.clone());
                self.handle(input, tools, now);
            }
        }
    }

    /// Tells each virtual router what became of its interface.
    pub(super) fn review_links(&mut self, ours: &BTreeSet<IpAddr>, tools: &Tools, now: Instant) {
        for at in 0..self.seats.len() {
            let seat = &mut self.seats[at];
            let link = tools.links.named(seat.interface());
            if let Some(link) = link.filter(|link| link.index != seat.index) {
                seat.index = link.index;
                tools.job(Job::Arm(seat.place()));
            }
            let running = link.filter(|link| link.running);
            let wanted = seat.wanted_source();
            let family = seat.family;
            let primary = running.and_then(|l| l.primary(family, wanted, |ip| ours.contains(&ip)));
            if self.group.is_none() {
                self.keep(at, running.is_some(), tools);
                continue;
            }
            let before = self.router(at).and_then(Router::primary);
            let input = match primary {
                same if same == before => continue,
                Some(primary) => Input::LinkUp(primary),
                None => Input::LinkDown,
            };
            self.handle(GroupInput::Member(Member(at), input), tools, now);
        }
    }

    /// Addresses that this node always has are there while their interface is.
    fn keep(&mut self, at: usize, running: bool, tools: &Tools) {
        let seat = &mut self.seats[at];
        match (running, seat.held.is_some()) {
            (true, false) => seat.take(tools),
            (false, true) => {
                seat.held = None;
                seat.burst.stop();
                seat.lose_ways(tools);
            }
            _ => {}
        }
    }

    pub(super) fn router(&self, seat: usize) -> Option<&Router> {
        self.group.as_ref()?.member(Member(seat))
    }

    /// Does what an operator asks; why it is not done.
    pub(super) fn obey(&mut self, order: Order, tools: &Tools, now: Instant) -> Result<(), String> {
        if self.group.is_none() {
            return Err("it has no `vrrp`: this node always has its addresses".into());
        }
        self.declined = None;
        let input = match order {
            Order::Release => GroupInput::Release,
            Order::Promote => GroupInput::Promote,
            Order::Resume => GroupInput::Resume,
        };
        self.handle(input, tools, now);
        self.declined.take().map_or(Ok(()), Err)
    }

    /// Whether it waits for a master to be silent, and all it has to do is to take over then.
    pub(super) fn is_backup(&self) -> bool {
        let state = |at: usize| self.router(at).map(Router::state);
        self.group.is_some() && (0..self.seats.len()).all(|at| state(at) == Some(State::Backup))
    }

    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let bursts = self
            .seats
            .iter()
            .filter_map(|seat| seat.burst.next_deadline());
        let group = self.group.as_ref().and_then(Group::next_deadline);
        bursts.chain(group).min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, tools: &Tools, now: Instant) {
        let due = self.group.as_ref().and_then(Group::next_deadline);
        if due.is_some_and(|at| at <= now) {
            self.handle(GroupInput::Tick, tools, now);
        }
        for seat in &mut self.seats {
            seat.announce(tools, now);
        }
    }
}
