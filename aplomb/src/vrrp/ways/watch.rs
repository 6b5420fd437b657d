//! The thread that hears of routes: it looks for those that are tracked, and has those of vips put back when they vanish.
//!
//! The kernel tells of each route that comes or goes, but not of those of IPv4 that go with their device or address. So at
//! each change that may concern one the table is read again: at once, and no more than once in [`PACE`]. A change of a route
//! to somewhere else concerns none, so that a router with all routes of the world costs no more than listening.

use std::{
    collections::BTreeSet,
    io,
    os::fd::AsFd,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use control::{
    name::Name,
    plan::VipPlan,
    spec::{
        VipSpec,
        vip::TrackKind,
        ways::{PROTOCOL, RouteKey, VirtualRoute, WatchedRoute},
    },
};
use l4::net::{
    socket::{Events, Requests},
    wire::Message,
};
use proto::vrrp::terms::Family;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    super::{
        hand::{Job, index_of},
        mailbox::{Command, Mailbox, Sender, mailbox},
    },
    route::{self, Seen},
    rule,
};

/// The least time from one look to the next.
const PACE: Duration = Duration::from_millis(50);
/// What cannot be read is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Datagrams read before commands have their turn.
const AT_A_TIME: usize = 256;

/// What the thread is told.
#[derive(Debug)]
pub(in super::super) enum Watch {
    /// These vips, and no others.
    Plan(Arc<[Arc<VipPlan>]>),
    /// End.
    End,
}

/// A route that a vip tracks.
#[derive(Debug)]
struct Tracked {
    vip: Name,
    /// Its place among what the vip tracks.
    at: usize,
    route: WatchedRoute,
    /// What was told of it: why it fails, if it does.
    told: Option<Option<String>>,
}

struct Watcher {
    mailbox: Mailbox<Watch>,
    tell: Sender<Command>,
    hand: mpsc::Sender<Job>,
    requests: Requests,
    /// None: there is nothing to listen for.
    events: Option<Events>,
    tracked: Vec<Tracked>,
    /// The routes of vips, and whether there are rules.
    routes: BTreeSet<RouteKey>,
    rules: bool,
    /// Something changed that may concern what is tracked, or what vips have.
    look: bool,
    restore: bool,
    /// No look before this.
    not_before: Option<Instant>,
}

/// Starts it.
pub(in super::super) fn start(
    tell: Sender<Command>,
    hand: mpsc::Sender<Job>,
) -> io::Result<(Sender<Watch>, thread::JoinHandle<()>)> {
    let (sender, mailbox) = mailbox()?;
    let watcher = Watcher {
        mailbox,
        tell,
        hand,
        requests: Requests::filtered()?,
        events: None,
        tracked: Vec::new(),
        routes: BTreeSet::new(),
        rules: false,
        look: false,
        restore: false,
        not_before: None,
    };
    let thread = thread::Builder::new().name("vip-routes".into());
    Ok((sender, thread.spawn(move || watcher.run())?))
}

impl Watcher {
    fn run(mut self) {
        loop {
            self.wait();
            self.mailbox.quiet();
            while let Some(order) = self.mailbox.next() {
                match order {
                    Watch::Plan(plans) => self.plan(&plans),
                    Watch::End => return,
                }
            }
            self.hear();
            self.act();
        }
    }

    fn wait(&self) {
        let waiting = (self.look || self.restore).then_some(self.not_before);
        let until = waiting.map(|at| at.map_or(Duration::ZERO, |at| at - Instant::now().min(at)));
        let timeout = until.map(|until| Timespec {
            tv_sec: i64::try_from(until.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(until.subsec_nanos()),
        });
        let own = [self.mailbox.as_fd()];
        let fds = own.into_iter().chain(self.events.iter().map(AsFd::as_fd));
        let mut fds: Vec<PollFd<'_>> = fds
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // Interrupted or not: what is there is found by looking.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    fn plan(&mut self, plans: &[Arc<VipPlan>]) {
        self.tracked = plans.iter().flat_map(|plan| tracked(&plan.spec)).collect();
        let routes = plans.iter().flat_map(|plan| &plan.spec.routes);
        self.routes = routes.map(VirtualRoute::key).collect();
        self.rules = plans.iter().any(|plan| !plan.spec.rules.is_empty());
        if self.tracked.is_empty() && !self.has_ways() {
            self.events = None;
            (self.look, self.restore) = (false, false);
            return;
        }
        if self.events.is_none() {
            match Events::of_routes() {
                Ok(events) => self.events = Some(events),
                Err(error) => tracing::warn!(%error, "changes of routes are not heard"),
            }
        }
        // A vip that was configured anew has forgotten what it was told.
        self.look = true;
        self.not_before = None;
    }

    fn has_ways(&self) -> bool {
        self.rules || !self.routes.is_empty()
    }

    fn hear(&mut self) {
        let Some(events) = &mut self.events else {
            return;
        };
        let (tracked, routes) = (&self.tracked, &self.routes);
        let (mut look, mut restore) = (false, false);
        let read = events.read(AT_A_TIME, &mut |message| {
            let concerned = concerns(message, tracked, routes);
            look |= concerned.0;
            restore |= concerned.1;
        });
        // What was lost may have been anything.
        let lost = read.is_err();
        self.look |= (look || lost) && !self.tracked.is_empty();
        self.restore |= (restore || lost) && self.has_ways();
    }

    fn act(&mut self) {
        let now = Instant::now();
        if self.not_before.is_some_and(|at| now < at) {
            return;
        }
        if std::mem::take(&mut self.restore) {
            // It ends after this thread.
            let _ = self.hand.send(Job::Restore);
            self.not_before = Some(now + PACE);
        }
        if std::mem::take(&mut self.look) {
            let looked = self.look_for_all();
            self.look = looked.is_err();
            let pause = if self.look { AGAIN } else { PACE };
            self.not_before = Some(Instant::now() + pause);
            if let Err(error) = looked {
                tracing::warn!(%error, "routes cannot be read: what is tracked of them is not known");
            }
        }
    }

    /// Reads the tables that routes are tracked in, and tells what has changed.
    fn look_for_all(&mut self) -> io::Result<()> {
        let places = self.tracked.iter().map(|tracked| {
            let family = rule::number(Family::of(tracked.route.to.addr()));
            (family, tracked.route.table)
        });
        let places: BTreeSet<(u8, u32)> = places.collect();
        let mut seen = Vec::new();
        for (family, table) in places {
            let (tracked, filter) = (&self.tracked, route::filter(family, table, 0));
            let dumped = self.requests.dump(route::GET, &filter, &mut |message| {
                let one = Seen::read(message);
                seen.extend(one.filter(|one| tracked.iter().any(|t| is_about(&t.route, one))));
            });
            match dumped {
                // A table is there once something is in it.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                done => done?,
            }
        }
        for tracked in &mut self.tracked {
            let why = failing(&tracked.route, &seen, |name| index_of(name).ok());
            if tracked.told.as_ref() != Some(&why) {
                let told = Command::Tracked(tracked.vip.clone(), tracked.at, why.clone());
                self.tell.send(told);
                tracked.told = Some(why);
            }
        }
        Ok(())
    }
}

fn tracked(spec: &VipSpec) -> Vec<Tracked> {
    let all = spec.vrrp.iter().flat_map(|vrrp| &vrrp.track).enumerate();
    let routes = all.filter_map(|(at, track)| match &track.what {
        TrackKind::Route(route) => Some(Tracked {
            vip: spec.name.clone(),
            at,
            route: route.clone(),
            told: None,
        }),
        _ => None,
    });
    routes.collect()
}

/// Whether a change may concern what is tracked, and what vips have.
fn concerns(
    message: &Message<'_>,
    tracked: &[Tracked],
    routes: &BTreeSet<RouteKey>,
) -> (bool, bool) {
    match message.kind {
        route::NEW | route::DELETE => {
            let Some(seen) = Seen::read(message) else {
                return (false, false);
            };
            let gone = message.kind == route::DELETE;
            (
                tracked.iter().any(|t| is_about(&t.route, &seen)),
                // Ours, or what was in its way.
                gone && routes.contains(&seen.key),
            )
        }
        rule::NEW => (false, false),
        rule::DELETE => (false, rule::read(message).is_some()),
        // Devices, addresses and next hops take routes with them.
        _ => (true, true),
    }
}

/// Whether a route is to where another is tracked to. Those that vips bring with them count for nothing: a vip would hold
/// itself up.
pub(super) fn is_about(watched: &WatchedRoute, seen: &Seen) -> bool {
    seen.key.0 == watched.to && seen.key.1 == watched.table && seen.proto != PROTOCOL
}

/// Why none of these is what is tracked; none if one is.
pub(super) fn failing(
    watched: &WatchedRoute,
    seen: &[Seen],
    index: impl Fn(&str) -> Option<u32>,
) -> Option<String> {
    let its: Vec<&Seen> = seen.iter().filter(|one| is_about(watched, one)).collect();
    if its.is_empty() {
        return Some("it is not there".into());
    }
    let device = watched.dev.as_ref().map(|dev| index(dev));
    let fits = |hop: &&route::SeenHop| {
        let by = watched.via.is_none() || hop.via == watched.via;
        by && device.is_none_or(|device| device == Some(hop.device))
    };
    let leading = its.iter().filter(|one| one.leads);
    let hops: Vec<_> = leading.flat_map(|one| &one.hops).filter(fits).collect();
    if hops.is_empty() {
        return Some("it is there, but leads elsewhere or nowhere".into());
    }
    let usable = hops.iter().any(|hop| hop.usable);
    (!usable).then(|| "its device is down".into())
}
