//! Keeps neighbours resolved: the program cannot hold a packet back while somebody is asked for an address, as the
//! kernel's own forwarding does.
//!
//! The next hops of the watched addresses are given to the kernel to keep (`NTF_EXT_MANAGED`); a kernel that does not
//! know how (before 5.16) is asked to confirm each of them at an interval. What the program meets beside them (clients
//! on the same link, a gateway of theirs) is resolved when it asks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    neighbour::{self, Neighbour, NextHop},
    route::{self, Route},
    socket::Requests,
};

/// How often a neighbour that the kernel does not keep is confirmed: well below the 15 s after which a kernel doubts it.
const CONFIRM: Duration = Duration::from_secs(5);
/// How long after a change of routes the next hops are looked up again: changes come in crowds.
const SETTLE: Duration = Duration::from_millis(200);
/// How often they are looked up in any case.
const REVIEW: Duration = Duration::from_secs(60);
/// How often one neighbour is asked for on demand.
const AGAIN: Duration = Duration::from_millis(500);
/// Neighbours asked for on demand that are remembered.
const ASKED: usize = 4096;

/// The neighbours that are kept.
#[derive(Debug)]
pub(super) struct Keeper {
    requests: Requests,
    watched: BTreeSet<IpAddr>,
    /// The next hops of all watched addresses, and whether the kernel keeps them by itself.
    hops: BTreeMap<NextHop, bool>,
    asked: HashMap<NextHop, Instant>,
    review: Instant,
    confirm: Instant,
}

impl Keeper {
    /// One that watches nothing.
    pub(super) fn new(requests: Requests, now: Instant) -> Self {
        Self {
            requests,
            watched: BTreeSet::new(),
            hops: BTreeMap::new(),
            asked: HashMap::new(),
            review: now + REVIEW,
            confirm: now + CONFIRM,
        }
    }

    /// Its socket, for other questions.
    pub(super) fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// These addresses, and no others, are watched from now on.
    pub(super) fn watch(&mut self, addresses: BTreeSet<IpAddr>, now: Instant) {
        self.watched = addresses;
        self.review(now);
    }

    /// Routes or neighbours changed.
    pub(super) fn changed(&mut self, now: Instant) {
        self.review = self.review.min(now + SETTLE);
    }

    /// The kernel forgot a neighbour, and with it that it was to be kept.
    pub(super) fn forgotten(&mut self, hop: &NextHop, now: Instant) {
        if self.hops.remove(hop).is_some() {
            self.changed(now);
        }
    }

    /// Resolves neighbours that the program met and did not know.
    pub(super) fn resolve(&mut self, hops: &[NextHop], now: Instant) {
        if self.asked.len() >= ASKED {
            self.asked.retain(|_, at| now < *at + AGAIN);
        }
        for hop in hops {
            let recently = self.asked.get(hop).is_some_and(|at| now < *at + AGAIN);
            if recently || self.asked.len() >= ASKED {
                continue;
            }
            self.asked.insert(*hop, now);
            self.ask(*hop);
        }
    }

    /// When [`Keeper::work`] has something to do.
    pub(super) fn due(&self) -> Instant {
        self.review.min(self.confirm)
    }

    /// Does what is due.
    pub(super) fn work(&mut self, now: Instant) {
        if now >= self.review {
            self.review(now);
        }
        if now >= self.confirm {
            self.confirm = now + CONFIRM;
            let unkept = self.hops.iter().filter(|(_, kept)| !**kept);
            let unkept: Vec<NextHop> = unkept.map(|(hop, _)| *hop).collect();
            unkept.into_iter().for_each(|hop| self.ask(hop));
        }
    }

    /// Looks up the next hops of all watched addresses; new ones are kept, others let go.
    fn review(&mut self, now: Instant) {
        self.review = now + REVIEW;
        let mut wanted = BTreeSet::new();
        for address in self.watched.clone() {
            // Without a route there is nobody to resolve; a new route brings us here again.
            if let Ok(route) = lookup(&mut self.requests, address, true) {
                wanted.extend(route.all_hops(address));
            }
        }
        for hop in self.hops.keys().copied().collect::<Vec<_>>() {
            if !wanted.contains(&hop) {
                self.let_go(hop);
            }
        }
        for hop in wanted {
            if !self.hops.contains_key(&hop) {
                let kept = self.keep(hop);
                self.hops.insert(hop, kept);
            }
        }
    }

    /// Has the kernel keep a neighbour, and says whether it does.
    fn keep(&mut self, hop: NextHop) -> bool {
        if let Err(error) = self.requests.perform(neighbour::manage(hop, true)) {
            tracing::debug!(?hop, %error, "a neighbour cannot be kept");
            return false;
        }
        // A kernel that does not know the flag ignores it.
        let mut kept = false;
        let asked = self.requests.ask(neighbour::get(hop), &mut |message| {
            kept |= Neighbour::read(message).is_some_and(|neighbour| neighbour.managed);
        });
        asked.is_ok() && kept
    }

    fn let_go(&mut self, hop: NextHop) {
        if self.hops.remove(&hop) == Some(true) {
            // It may have gone with its device.
            let _ = self.requests.perform(neighbour::manage(hop, false));
        }
    }

    fn ask(&mut self, hop: NextHop) {
        if let Err(error) = self.requests.perform(neighbour::resolve(hop)) {
            tracing::debug!(?hop, %error, "a neighbour cannot be asked for");
        }
    }
}

/// Asks for the route to an address; see [`route::get`].
pub(super) fn lookup(requests: &mut Requests, address: IpAddr, all: bool) -> io::Result<Route> {
    let mut route = None;
    requests.ask(route::get(address, all), &mut |message| {
        if message.kind == route::NEW {
            route = Route::read(message, address);
        }
    })?;
    route.ok_or_else(|| io::ErrorKind::NetworkUnreachable.into())
}
