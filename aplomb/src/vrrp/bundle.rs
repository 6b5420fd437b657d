//! What moves as one: a vip, or all vips of a group, with their virtual routers.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use control::{
    name::Name,
    plan::VipPlan,
    spec::vip::{TrackKind, tracked_priority},
};
use proto::{
    time::Instant,
    vrrp::{
        group::{Group, GroupInput, GroupOutput, Member},
        machine::{Input, Output, Router, State},
        terms::Family,
    },
};

use super::{
    hand::Job,
    links::Links,
    mailbox::Order,
    report::{Report, cause, family_name},
    seat::Seat,
    tools::Tools,
};

/// A vip of a bundle, and what is tracked for it.
pub(super) struct Vip {
    pub(super) plan: Arc<VipPlan>,
    /// What was told of what others look at.
    told: Vec<Option<String>>,
    /// Why each of what is tracked fails, if it does.
    pub(super) failing: Vec<Option<String>>,
}

/// What moves as one.
pub(super) struct Bundle {
    pub(super) name: Name,
    pub(super) vips: Vec<Vip>,
    pub(super) seats: Vec<Seat>,
    /// None: this node always has the addresses.
    pub(super) group: Option<Group>,
    declined: Option<String>,
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

impl Bundle {
    /// One with these vips, which takes no part yet. Seats are numbered from `first` on.
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
                .then(|| Group::new(configs, None, now).ok())
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
        for seat in &mut self.seats {
            if !had {
                // What a process that crashed left behind: it may be another node's by now.
                tools.job(Job::Give(seat.place(), seat.assigned()));
            }
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
            tools.job(Job::Disarm(seat.place()));
        }
    }

    /// Goes by other plans of the same shape.
    pub(super) fn configure(&mut self, plans: &[Arc<VipPlan>], tools: &Tools, now: Instant) {
        for at in 0..self.vips.len().min(plans.len()) {
            let plan = &plans[at];
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
            if let Some(config) = self.seats[at].configure(plan, now) {
                let input = Input::Configure(Box::new(config));
                self.handle(GroupInput::Member(Member(at), input), tools, now);
            }
            self.seats[at].told_priority = None;
            self.seats[at].readdress(tools);
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

    /// Tells the group, and does what follows.
    pub(super) fn handle(&mut self, input: GroupInput, tools: &Tools, now: Instant) {
        let Some(group) = &mut self.group else { return };
        group.handle(input, now);
        while let Some(output) = self.group.as_mut().and_then(Group::poll_output) {
            match output {
                GroupOutput::Member(Member(at), output) => self.perform(at, output, tools, now),
                GroupOutput::Moved { from, to } => self.moved(from, to, tools),
                GroupOutput::Declined(_, why) => self.declined = Some(why.to_string()),
                GroupOutput::GateOpened(_) => {}
            }
        }
    }

    fn perform(&mut self, at: usize, output: Output, tools: &Tools, now: Instant) {
        let router = self
            .group
            .as_ref()
            .and_then(|group| group.member(Member(at)));
        let (Some(router), Some(seat)) = (router, self.seats.get_mut(at)) else {
            return;
        };
        let vip = seat.plan.spec.name.clone();
        match output {
            Output::Advertise(advert) => seat.advertise(&advert, router.primary(), tools),
            Output::Take(_) => seat.take(tools),
            // A master's that changed: `readdress` does it.
            Output::GiveUp(_) if router.state() == State::Master => {}
            Output::GiveUp(_) => seat.give(tools),
            Output::Announce => seat.burst.again(now),
            Output::Moved(moved) => {
                seat.why = moved.why.to_string();
                let kind = (moved.to, cause(&moved.why));
                *seat.transitions.entry(kind).or_default() += 1;
                tools.report(Report::Moved {
                    vip,
                    family: seat.family,
                    from: moved.from,
                    to: moved.to,
                    why: seat.why.clone(),
                    priority: router.priority().0,
                });
            }
            // Who sent it is known to the caller.
            Output::Refused(refusal) => seat.last_refusal = Some(refusal.to_string()),
            Output::Noted(refusal) => tools.report(Report::Trouble {
                vip,
                what: format!("an advert is obeyed, though: {refusal}"),
            }),
            Output::SplitBrain { peer, priority } => tools.report(Report::Trouble {
                vip,
                what: format!("split brain: {peer} is master too, with priority {priority}"),
            }),
            Output::SplitBrainOver { lasted } => tools.report(Report::Note {
                vip,
                what: format!("the split brain is over, it lasted {lasted:?}"),
            }),
            Output::Declined(why) => self.declined = Some(why.to_string()),
        }
    }

    fn moved(&self, from: State, to: State, tools: &Tools) {
        for (at, vip) in self.vips.iter().enumerate() {
            let spec = &vip.plan.spec;
            let Some(vrrp) = &spec.vrrp else { continue };
            let seat = self.seats.iter().position(|seat| seat.vip == at);
            let priority = seat
                .and_then(|seat| self.router(seat))
                .map(Router::priority);
            tools.report(Report::Role {
                vip: spec.name.clone(),
                group: self.name.clone(),
                from,
                to,
                why: seat.map_or_else(String::new, |seat| self.seats[seat].why.clone()),
                priority: priority.map_or(0, |priority| priority.0),
                notify: vrrp.notify.clone(),
            });
        }
    }
}

impl Vip {
    fn new(plan: &Arc<VipPlan>) -> Self {
        let count = plan.failing.len();
        Self {
            plan: Arc::clone(plan),
            told: vec![None; count],
            failing: vec![None; count],
        }
    }

    /// Its faults by name, as they were told.
    fn faults(&self) -> Vec<Arc<str>> {
        let vrrp = self.plan.spec.vrrp.as_ref();
        let count = vrrp.map_or(0, |vrrp| vrrp.track.len());
        (0..count).map(|at| self.fault(at)).collect()
    }

    fn fault(&self, at: usize) -> Arc<str> {
        let vrrp = self.plan.spec.vrrp.as_ref();
        let label = vrrp
            .and_then(|vrrp| vrrp.track.get(at))
            .map(|t| t.what.label());
        format!("{} (track {})", label.unwrap_or_default(), at + 1).into()
    }

    /// Faults that came or went, and the priority that is left.
    fn review(
        &mut self,
        links: &Links,
    ) -> (
        Vec<(Arc<str>, Option<Arc<str>>)>,
        Option<proto::vrrp::terms::Priority>,
    ) {
        let plan = Arc::clone(&self.plan);
        let Some(vrrp) = &plan.spec.vrrp else {
            return (Vec::new(), None);
        };
        let (mut changes, mut weights) = (Vec::new(), Vec::new());
        for (at, track) in vrrp.track.iter().enumerate() {
            let why = match &track.what {
                TrackKind::Interface(name) => match links.named(name) {
                    Some(link) if link.running => None,
                    Some(_) => Some("it is down".to_owned()),
                    None => Some("there is no such interface".to_owned()),
                },
                TrackKind::Service { .. } | TrackKind::Pool { .. } => {
                    plan.failing.get(at).cloned().flatten()
                }
                _ => self.told.get(at).cloned().flatten(),
            };
            match track.weight {
                None if self.failing.get(at) != Some(&why) => {
                    changes.push((self.fault(at), why.as_deref().map(Arc::from)));
                }
                Some(weight) if (weight < 0) == why.is_some() => weights.push(weight),
                _ => {}
            }
            if let Some(failing) = self.failing.get_mut(at) {
                *failing = why;
            }
        }
        let priority = tracked_priority(vrrp.priority, weights.into_iter());
        (changes, Some(priority))
    }
}

fn same_track(old: &VipPlan, new: &VipPlan) -> bool {
    let track = |plan: &VipPlan| plan.spec.vrrp.as_ref().map(|vrrp| vrrp.track.clone());
    track(old) == track(new)
}

/// How a vip's virtual router is called in a log line.
pub(super) fn called(vip: &Name, family: Family) -> String {
    format!("{vip} ({})", family_name(family))
}
