//! The thread of virtual routers. Nothing else runs on it, and it waits for nothing but packets, links, commands and
//! deadlines; where the system allows, it has real-time priority.

use std::{collections::BTreeSet, net::IpAddr, os::fd::AsFd, sync::Arc, time::Duration};

use control::{name::Name, plan::VipPlan};
use proto::{
    time::Instant,
    vrrp::{
        codec::{Packet, decode},
        group::{GroupInput, Member},
        machine::{Input, Router},
        refusal::Refusal,
        terms::{Family, Vrid},
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    bundle::{Bundle, shape},
    hand::Job,
    leniency::Leniency,
    mailbox::{Command, Mailbox},
    pacemaker::Pacemaker,
    report::Report,
    seat::{AGAIN, Seat},
    show,
    socket::{Channel, ROOM},
    tools::Tools,
};

/// Packets taken from one socket before deadlines are looked at: a flood must not keep the own adverts from being sent.
const AT_A_TIME: usize = 256;
/// The longest wait.
const LONG: Duration = Duration::from_secs(3600);

/// The thread's own.
pub(super) struct Worker {
    mailbox: Mailbox,
    tools: Tools,
    bundles: Vec<Bundle>,
    /// Addresses of all vips: none of them is an interface's own.
    ours: BTreeSet<IpAddr>,
    seats: u64,
    /// Another process of this node had the addresses until now. For the first plan.
    adopt: bool,
    /// What a process that died left behind is gone. With the first plan.
    settled: bool,
    /// Whether the connections that peers know are known here.
    in_sync: bool,
    leniency: Leniency,
    pacemaker: Pacemaker,
    /// How often it had to move this thread, and when that was last told.
    moves: u64,
    moves_told: Option<Instant>,
    room: Vec<u8>,
}

/// What becomes of the thread.
enum Next {
    GoOn,
    End,
}

impl Worker {
    pub(super) fn new(
        mailbox: Mailbox,
        tools: Tools,
        pacemaker: Pacemaker,
        adopt: bool,
        in_sync: bool,
    ) -> Self {
        Self {
            mailbox,
            tools,
            bundles: Vec::new(),
            ours: BTreeSet::new(),
            seats: 0,
            adopt,
            settled: false,
            in_sync,
            leniency: Leniency::default(),
            pacemaker,
            moves: 0,
            moves_told: None,
            room: vec![0; ROOM],
        }
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        self.pacemaker.attend();
        loop {
            self.wait();
            // All that has come before any deadline: this thread's own delay is nobody's death.
            self.hear();
            if self.tools.links.read() {
                self.links_changed();
            }
            if let Next::End = self.obey() {
                return;
            }
            let now = self.tools.clock.now();
            let lenient = self.leniency.holds(now);
            for bundle in &mut self.bundles {
                if !(lenient && bundle.is_backup()) {
                    bundle.tick(&self.tools, now);
                }
            }
        }
    }

    /// When something is due.
    fn next_deadline(&self) -> Option<Instant> {
        let of = |bundle: &Bundle| {
            let due = bundle.next_deadline()?;
            Some(if bundle.is_backup() {
                self.leniency.defer(due)
            } else {
                due
            })
        };
        self.bundles.iter().filter_map(of).min()
    }

    fn wait(&mut self) {
        let due = self.next_deadline();
        let now = self.tools.clock.now();
        let wait = due.map_or(LONG, |at| at.saturating_since(now));
        let wait = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let channels: Vec<&Channel> = self.tools.channels.values().map(|c| &**c).collect();
        let own = [self.mailbox.as_fd(), self.tools.links.as_fd()];
        let fds = own.into_iter().chain(channels.iter().map(|c| c.as_fd()));
        let mut fds: Vec<PollFd<'_>> = fds
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        self.pacemaker.waits(due);
        // Interrupted or not: what is there is found by looking.
        let _ = poll(&mut fds, Some(&wait));
        let moved = self.pacemaker.runs();
        let now = self.tools.clock.now();
        if moved {
            self.moved(now);
        }
        let late = due.map_or(Duration::ZERO, |due| now.saturating_since(due));
        let backups = self.bundles.iter().filter(|bundle| bundle.is_backup());
        let waited_for = backups.filter_map(Bundle::next_deadline).min();
        // What stands still, or did, is of interest when that is due.
        let (stood, standing) = match waited_for {
            Some(due) if due <= now => (self.pacemaker.stood(now), self.pacemaker.standing(now)),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        self.leniency
            .woke(now, late.max(stood), standing, waited_for);
    }

    /// This thread was brought to another core.
    fn moved(&mut self, now: Instant) {
        self.moves += 1;
        let told = self.moves_told;
        if told.is_none_or(|told| now.saturating_since(told) >= AGAIN) {
            self.moves_told = Some(now);
            self.tools.report(Report::CoreStoodStill(self.moves));
        }
    }

    fn hear(&mut self) {
        let channels = self.tools.channels.iter();
        let channels: Vec<_> = channels.map(|(k, c)| (k.clone(), Arc::clone(c))).collect();
        let mut room = std::mem::take(&mut self.room);
        for ((interface, family), channel) in channels {
            for _ in 0..AT_A_TIME {
                let take = |packet: Result<Packet<'_>, Refusal>| {
                    if let Ok(packet) = packet {
                        self.packet(&interface, family, packet);
                    }
                };
                if !channel.receive(&mut room, take) {
                    break;
                }
            }
        }
        self.room = room;
    }

    /// One packet, for the virtual router that has its id, if there is one here.
    fn packet(&mut self, interface: &str, family: Family, packet: Packet<'_>) {
        let vrid = packet.message.get(1).and_then(|id| Vrid::new(*id));
        let Some((bundle, at)) = vrid.and_then(|vrid| self.find(interface, family, vrid)) else {
            return;
        };
        let now = self.tools.clock.now();
        let from = packet.source;
        let bundle = &mut self.bundles[bundle];
        let ours = bundle.router(at).and_then(Router::primary);
        let seat = &mut bundle.seats[at];
        let decoded = match decode(packet) {
            Ok(decoded) => decoded,
            Err(refusal) => {
                seat.unread.count(refusal.cause());
                return seat.complain(Some(from), &refusal, &self.tools, now);
            }
        };
        let Some((wire, _)) = &mut seat.router else {
            return;
        };
        match wire.read(decoded, ours, self.tools.clock.utc()) {
            Ok(accepted) => {
                let input = Input::Advert {
                    from: accepted.from,
                    advert: accepted.advert,
                };
                bundle.handle(GroupInput::Member(Member(at), input), &self.tools, now);
            }
            Err(refusal) => seat.complain(Some(from), &refusal, &self.tools, now),
        }
    }

    fn find(&self, interface: &str, family: Family, vrid: Vrid) -> Option<(usize, usize)> {
        let places = self.bundles.iter().enumerate().flat_map(|(bundle, its)| {
            let seats = its.seats.iter().enumerate();
            seats.map(move |(at, seat)| (bundle, at, seat))
        });
        let mut places = places.filter(|(_, _, seat)| {
            seat.vrid() == Some(vrid) && seat.family == family && seat.interface() == interface
        });
        places.next().map(|(bundle, at, _)| (bundle, at))
    }

    fn obey(&mut self) -> Next {
        self.mailbox.quiet();
        while let Some(command) = self.mailbox.next() {
            let now = self.tools.clock.now();
            match command {
                Command::Plan(plans) => self.plan(&plans, now),
                Command::Tracked(vip, at, why) => self.tracked(&vip, at, why, now),
                Command::InSync(known) => {
                    self.in_sync = known;
                    for bundle in &mut self.bundles {
                        bundle.handle(GroupInput::InSync(known), &self.tools, now);
                    }
                }
                Command::Taken(seat, outcome) => self.taken(seat, outcome, now),
                Command::Beside(id, what, outcome) => {
                    if let Some(seat) = self.seat(id) {
                        let report = seat.beside(what, outcome);
                        report
                            .into_iter()
                            .for_each(|report| self.tools.report(report));
                    }
                }
                Command::Order(name, order, reply) => {
                    let mut bundles = self.bundles.iter_mut();
                    let found = bundles.find(|bundle| bundle.name == name);
                    let done = found.map(|bundle| bundle.obey(order, &self.tools, now));
                    let _ = reply.send(done);
                }
                Command::Status(reply) => {
                    let _ = reply.send(show::all(&self.bundles, now));
                }
                Command::Stop(reply) => {
                    for bundle in &mut self.bundles {
                        bundle.stop(&self.tools, now);
                    }
                    self.tools.job(Job::Barrier(reply));
                    return Next::End;
                }
                Command::Rest => return Next::End,
            }
        }
        Next::GoOn
    }

    fn taken(&mut self, id: u64, outcome: Result<(), String>, now: Instant) {
        let seats = self.bundles.iter_mut().flat_map(|bundle| &mut bundle.seats);
        if let Some(seat) = seats.into_iter().find(|seat| seat.id == id) {
            seat.taken(outcome, &self.tools, now);
        }
    }

    fn seat(&mut self, id: u64) -> Option<&mut Seat> {
        let mut seats = self.bundles.iter_mut().flat_map(|bundle| &mut bundle.seats);
        seats.find(|seat| seat.id == id)
    }

    fn tracked(&mut self, vip: &Name, at: usize, why: Option<String>, now: Instant) {
        let has = |bundle: &&mut Bundle| bundle.vips.iter().any(|v| v.plan.spec.name == *vip);
        if let Some(bundle) = self.bundles.iter_mut().find(has) {
            bundle.tracked(vip, at, why);
            bundle.review_tracks(&self.tools, now);
        }
    }

    fn links_changed(&mut self) {
        self.open_channels();
        let now = self.tools.clock.now();
        for bundle in &mut self.bundles {
            bundle.review_tracks(&self.tools, now);
            bundle.review_links(&self.ours, &self.tools, now);
        }
    }

    /// A socket for each interface and family that has a virtual router, as long as there is that interface.
    fn open_channels(&mut self) {
        let seats = self.bundles.iter().flat_map(|bundle| &bundle.seats);
        let wanted = seats.filter(|seat| seat.router.is_some());
        let wanted: BTreeSet<_> = wanted
            .map(|s| (s.interface().to_owned(), s.family))
            .collect();
        self.tools.channels.retain(|key, _| wanted.contains(key));
        for key in wanted {
            let index = self.tools.links.named(&key.0).map(|link| link.index);
            let kept = self.tools.channels.get(&key).map(|channel| channel.index);
            if index == kept {
                continue;
            }
            drop(self.tools.channels.remove(&key));
            let Some(index) = index else { continue };
            match Channel::open(key.1, index) {
                Ok(channel) => drop(self.tools.channels.insert(key, Arc::new(channel))),
                Err(error) => self.no_channel(&key.0, &error),
            }
        }
    }

    fn no_channel(&self, interface: &str, error: &std::io::Error) {
        let seats = self.bundles.iter().flat_map(|bundle| &bundle.seats);
        for seat in seats.filter(|seat| seat.interface() == interface) {
            self.tools.report(Report::Trouble {
                vip: seat.plan.spec.name.clone(),
                what: format!("no socket for adverts on {interface}: {error}"),
            });
        }
    }

    /// Goes by these vips: what is new starts, what is gone leaves, what stays is configured.
    fn plan(&mut self, plans: &[Arc<VipPlan>], now: Instant) {
        let wanted = groups(plans);
        let keeps = |bundle: &Bundle| {
            let its = wanted.iter().find(|(name, _)| *name == bundle.name);
            its.is_some_and(|(_, plans)| shape(plans) == bundle.shape())
        };
        let (kept, gone): (Vec<_>, Vec<_>) = self.bundles.drain(..).partition(keeps);
        self.bundles = kept;
        for mut bundle in gone {
            bundle.stop(&self.tools, now);
            let there = |name: &Name| plans.iter().any(|plan| plan.spec.name == *name);
            for vip in bundle.vips.iter().filter(|vip| !there(&vip.plan.spec.name)) {
                self.tools.report(Report::Gone(vip.plan.spec.name.clone()));
            }
        }
        let addresses = plans
            .iter()
            .flat_map(|plan| plan.spec.addresses.iter().chain(&plan.spec.excluded));
        self.ours = addresses.map(|address| address.address.addr()).collect();
        let mut new = Vec::new();
        for (name, plans) in &wanted {
            match self.bundles.iter_mut().find(|bundle| bundle.name == *name) {
                Some(bundle) => bundle.configure(plans, &self.tools, now),
                None => {
                    let bundle = Bundle::new(name.clone(), plans, self.seats, now);
                    self.seats += bundle.seats.len() as u64;
                    new.push(bundle);
                }
            }
        }
        let first_new = self.bundles.len();
        self.bundles.extend(new);
        self.open_channels();
        let adopt = std::mem::take(&mut self.adopt);
        for bundle in self.bundles.iter_mut().skip(first_new) {
            bundle.handle(GroupInput::InSync(self.in_sync), &self.tools, now);
            bundle.start(adopt, &self.ours, &self.tools, now);
        }
        for bundle in self.bundles.iter_mut().take(first_new) {
            bundle.review_links(&self.ours, &self.tools, now);
        }
        let vrrp = plans.iter().filter_map(|plan| plan.spec.vrrp.as_ref());
        self.pacemaker
            .set_interval(vrrp.map(|vrrp| vrrp.interval).min());
        if !std::mem::replace(&mut self.settled, true) {
            self.tools.job(Job::Settle);
        }
    }
}

/// Vips by what moves as one, in the order of the configuration.
fn groups(plans: &[Arc<VipPlan>]) -> Vec<(Name, Vec<Arc<VipPlan>>)> {
    let mut groups: Vec<(Name, Vec<Arc<VipPlan>>)> = Vec::new();
    for plan in plans {
        let name = plan.spec.group();
        match groups.iter_mut().find(|(group, _)| group == name) {
            Some((_, members)) => members.push(Arc::clone(plan)),
            None => groups.push((name.clone(), vec![Arc::clone(plan)])),
        }
    }
    groups
}
