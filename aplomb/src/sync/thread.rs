//! The thread between flows and peers: reads what came, looks a little further through the tables, sends what is due.
//!
//! What it finds it tells [`own`](super::own) and [`ipvs`](super::ipvs), whichever there are. Nothing in it waits but for
//! sockets, and looking takes at most a fifth of a processor.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use l4::sync::{FlowName, FlowSync, Told};
use proto::time::Instant as Time;

use super::{Shared, Wanted, ipvs::Ipvs, lock, own::Own, socket};
use crate::daemon::clock;

/// Buckets looked at in one step, at most.
const STEP: usize = 512;
/// What may be found in one: as many flows as it has places, and a client of each.
const IN_BUCKET: usize = 16;
/// Buckets that are worth a step.
const LEAST: usize = 8;
/// How many times as long as a step took is waited before the next.
const PACE: u32 = 4;
/// At least between two looks through all.
const REST: Duration = Duration::from_millis(100);
/// Handshakes that are told of one address that goes, at most.
const PARTED: usize = 16_384;
/// The same rest while an address goes.
const BREATH: Duration = Duration::from_millis(5);
/// How long a wait is at most, so that its end is noticed.
const NAP: Duration = Duration::from_millis(50);
/// Datagrams read before something else has its turn.
pub(super) const AT_ONCE: usize = 256;
/// How often it is told how it is.
const TELL: Duration = Duration::from_millis(200);
/// Until a socket that could not be had is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The thread's own state.
pub(super) struct Work {
    shared: Arc<Shared>,
    flows: FlowSync,
    own: Option<Own>,
    ipvs: Option<Ipvs>,
    next: Next,
    /// Handshakes that were told since an address was to go.
    parted: HashSet<FlowName>,
    /// Everything is being told.
    telling: bool,
    look_began: Instant,
    look_took: Duration,
}

/// When what is next.
struct Next {
    look: Instant,
    tell: Instant,
}

/// The time of the protocols.
pub(super) fn time() -> Time {
    Time::from_nanos(clock::now().nanos())
}

impl Work {
    pub(super) fn new(
        wanted: &Wanted,
        shared: Arc<Shared>,
        mut flows: FlowSync,
    ) -> io::Result<Self> {
        let now = Instant::now();
        if let Some(ipvs) = &wanted.ipvs {
            // What came by since everything was told last.
            flows.quiet_after(ipvs.refresh);
        }
        let config = *lock(&shared.config);
        let own = wanted.own.as_ref().map(|spec| Own::new(spec, config));
        Ok(Self {
            own: own.transpose()?,
            ipvs: wanted.ipvs.as_ref().map(Ipvs::new),
            shared,
            flows,
            next: Next {
                look: now,
                tell: now,
            },
            parted: HashSet::new(),
            telling: false,
            look_began: now,
            look_took: Duration::ZERO,
        })
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        while !self.shared.ends.load(Ordering::Relaxed) {
            // Before the tables are known, what others tell could not be understood.
            if self.flows.is_ready() {
                self.open();
            }
            self.settle(false);
            self.receive();
            self.look();
            self.tell();
            self.nap();
        }
        // Nobody is left who would do so.
        self.settle(true);
    }

    fn open(&mut self) {
        if let Some(own) = &mut self.own {
            own.open();
        }
        if let Some(ipvs) = &mut self.ipvs {
            ipvs.open();
        }
    }

    /// Whether there is anybody to tell.
    fn is_listened_to(&self) -> bool {
        self.own.as_ref().is_some_and(Own::has_peers)
            || self.ipvs.as_ref().is_some_and(Ipvs::is_master)
    }

    /// How many records all take.
    fn room(&self) -> usize {
        let own = self.own.as_ref().map(Own::room);
        // With each flow its client may be told.
        let ipvs = self.ipvs.as_ref().map(|ipvs| ipvs.room() / 2);
        own.into_iter().chain(ipvs).min().unwrap_or(0)
    }

    /// Waits until something is to be done, or comes.
    fn nap(&self) {
        let own = self.own.as_ref().map(Own::wait);
        let ipvs = self.ipvs.as_ref().and_then(Ipvs::wait);
        let due = own.into_iter().chain(ipvs).min();
        let mut wait = due.unwrap_or(NAP).min(NAP);
        if self.telling || self.is_listened_to() {
            let look = self.next.look.saturating_duration_since(Instant::now());
            wait = wait.min(look.max(Duration::from_millis(1)));
        }
        let own = self.own.as_ref().and_then(Own::way);
        let ipvs = self.ipvs.as_ref().and_then(Ipvs::way);
        let own = own.into_iter().flat_map(|way| way.polled());
        let ipvs = ipvs.into_iter().filter_map(|way| way.polled());
        socket::wait(own.chain(ipvs), wait);
    }

    /// Reads what came, and does what is due.
    fn receive(&mut self) {
        let (config, mut scan) = (*lock(&self.shared.config), false);
        if let Some(own) = &mut self.own {
            scan |= own.receive(&mut self.flows);
            scan |= own.tick(config, &mut self.flows);
        }
        if let Some(ipvs) = &mut self.ipvs {
            scan |= ipvs.receive(&mut self.flows);
            scan |= ipvs.tick(&mut self.flows);
        }
        self.scan(scan);
    }

    /// Begins to tell everything, if it is to be done. All are told: a look that tells leaves nothing that would be news.
    fn scan(&mut self, asked: bool) {
        if asked {
            self.flows.begin_all();
            self.telling = true;
        }
    }

    /// Goes a step through the tables, if it is time and there is room for what is found.
    fn look(&mut self) {
        let began = Instant::now();
        let steps = STEP.min(self.room() / IN_BUCKET);
        let wanted = self.telling || self.is_listened_to();
        if began < self.next.look || steps < LEAST || !wanted || !self.flows.is_ready() {
            return;
        }
        let steps = u32::try_from(steps).unwrap_or(1);
        let mut found = Vec::new();
        let was_telling = self.telling;
        let through = if was_telling {
            self.flows.all(steps, &mut found)
        } else {
            self.flows.look(steps, &mut found)
        };
        let in_haste = self.shared.looks.are_in_haste();
        if !in_haste {
            self.parted.clear();
        } else if through && !was_telling {
            self.part(&mut found);
        }
        let mut again = false;
        for told in &found {
            if let Some(own) = &mut self.own {
                again |= own.tell(told, &mut self.flows);
            }
            if let Some(ipvs) = &mut self.ipvs {
                again |= ipvs.tell(told, &mut self.flows);
            }
        }
        self.next.look = Instant::now() + began.elapsed() * PACE;
        if through && was_telling {
            self.telling = false;
            again |= self.scanned();
        } else if through {
            let now = Instant::now();
            let _ = self.shared.looks.through.fetch_add(1, Ordering::Relaxed);
            let rest = if in_haste { BREATH } else { REST };
            self.next.look = self.next.look.max(now + rest);
            self.look_took = now.duration_since(self.look_began);
            self.look_began = now;
        }
        self.scan(again);
    }

    /// Everything was told.
    fn scanned(&mut self) -> bool {
        let mut again = false;
        if let Some(own) = &mut self.own {
            again |= own.scanned(&mut self.flows);
        }
        if let Some(ipvs) = &mut self.ipvs {
            again |= ipvs.scanned(&mut self.flows);
        }
        again
    }

    /// What made a difference while addresses moved does so no longer, if they have settled or at the end.
    fn settle(&self, end: bool) {
        self.shared.looks.settle(end, || {
            if let Err(error) = self.flows.addresses_rest() {
                tracing::warn!(%error, "the kernel data plane's settings cannot be written");
            }
        });
    }

    /// Adds handshakes that were not told yet since an address was to go; not without end, whoever floods.
    fn part(&mut self, found: &mut Vec<Told>) {
        let (room, mut under_way) = (self.room(), Vec::new());
        self.flows.handshakes(&mut under_way);
        for told in under_way {
            let Told::Flow(flow) = &told else { continue };
            let has_room = self.parted.len() < PARTED && found.len() < room;
            if has_room && self.parted.insert(flow.name) {
                found.push(told);
            }
        }
    }

    /// Says how it is.
    fn tell(&mut self) {
        // Directors of Linux's own do not say what they know: of them, nothing is waited for.
        let in_sync = self.own.as_ref().is_none_or(Own::in_sync);
        self.shared.in_sync.store(in_sync, Ordering::Relaxed);
        let now = Instant::now();
        if self.next.tell > now {
            return;
        }
        self.next.tell = now + TELL;
        let took = self.look_took;
        let own = self.own.as_mut().map(|own| own.status(took));
        let ipvs = self.ipvs.as_mut().map(Ipvs::status);
        *lock(&self.shared.status) = (own, ipvs);
    }
}
