//! Routes and rules that are there while addresses are. [`route`] and [`rule`] hold their form, [`watch`] is the thread that
//! hears of changes: what vanishes though it should be there is put back, and routes that are tracked are looked for.
//!
//! What belongs to us is known by the number of who made it ([`PROTOCOL`]): nobody else's route or rule is replaced or taken
//! away, and what a process that died left behind is found.

mod route;
mod rule;
#[cfg(test)]
mod tests;
pub(super) mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use control::spec::ways::{HopDevice, PROTOCOL, RouteKey, RouteKind, VirtualRoute, VirtualRule};
use l4::net::socket::Requests;
use proto::vrrp::terms::Family;

/// What comes and goes with the addresses of a seat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WaysOf {
    /// The device that has the addresses.
    pub(super) device: String,
    pub(super) routes: Vec<VirtualRoute>,
    pub(super) rules: Vec<VirtualRule>,
}

impl WaysOf {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.rules.is_empty()
    }

    /// Whether it has this route, by the same device.
    fn has(&self, route: &VirtualRoute, device: &str) -> bool {
        let same_device = self.device == device || !is_by_own_device(route);
        same_device && self.routes.contains(route)
    }
}

fn is_by_own_device(route: &VirtualRoute) -> bool {
    match &route.kind {
        RouteKind::Unicast(hops) => hops.iter().any(|hop| hop.dev == HopDevice::OfVip),
        _ => false,
    }
}

/// What should be there, by the seat whose addresses it belongs to.
#[derive(Debug)]
pub(super) struct Ways {
    requests: Requests,
    held: BTreeMap<u64, WaysOf>,
    /// What is not there though it should be, and why.
    failed: BTreeMap<u64, String>,
}

impl Ways {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            requests: Requests::filtered()?,
            held: BTreeMap::new(),
            failed: BTreeMap::new(),
        })
    }

    /// Has a seat have these, and none else. All that can be is done; the first failure is told.
    pub(super) fn set(&mut self, seat: u64, wanted: WaysOf) -> Result<(), String> {
        let had = self.held.get(&seat);
        if had.map_or(wanted.is_empty(), |had| *had == wanted) && !self.failed.contains_key(&seat) {
            return Ok(());
        }
        let had = self.held.insert(seat, wanted.clone());
        let removed = self.remove(&had.unwrap_or_default(), &wanted);
        if wanted.is_empty() {
            let _ = self.held.remove(&seat);
            let _ = self.failed.remove(&seat);
        }
        if removed {
            self.heal();
        }
        let outcome = self.install(&wanted);
        self.note(seat, outcome.clone());
        outcome
    }

    /// Takes away what a process that died may have left, of what these say, whoever is said to have made it.
    pub(super) fn clear(&mut self, ways: &WaysOf) {
        if self.remove(ways, &WaysOf::default()) {
            self.heal();
        }
    }

    /// Takes away all that is ours and that no seat has.
    pub(super) fn sweep(&mut self) {
        let mut rules = self.rules_there();
        rules.retain(|rule| !self.held.values().any(|ways| ways.rules.contains(rule)));
        for rule in &rules {
            tracing::info!("a rule that was left behind goes: {rule}");
        }
        if self.remove_rules(&rules.iter().collect::<Vec<_>>()) {
            self.heal();
        }
        let routes = self.held.values().flat_map(|ways| &ways.routes);
        let keys: BTreeSet<RouteKey> = routes.map(VirtualRoute::key).collect();
        for family in FAMILIES {
            for key in self.routes_there(rule::number(family), 0, PROTOCOL) {
                if keys.contains(&key) {
                    continue;
                }
                let (to, table, _) = key;
                tracing::info!("a route that was left behind goes: {to} in table {table}");
                let gone = route::delete_by_key(key, PROTOCOL);
                let _ = self.requests.perform(gone);
            }
        }
    }

    /// Puts back what is not there though it should be; what came of it for each seat that has any.
    pub(super) fn restore(&mut self) -> Vec<(u64, Result<(), String>)> {
        let held: Vec<(u64, WaysOf)> = self.held.iter().map(|(s, w)| (*s, w.clone())).collect();
        let mut outcomes = Vec::new();
        for (seat, ways) in held {
            let outcome = if self.failed.contains_key(&seat) {
                self.install(&ways)
            } else {
                self.put_back(&ways)
            };
            self.note(seat, outcome.clone());
            outcomes.push((seat, outcome));
        }
        outcomes
    }

    /// The kernel takes away the first that fits what is said of it, which may have been another's.
    fn heal(&mut self) {
        let held: Vec<WaysOf> = self.held.values().cloned().collect();
        for ways in held {
            // What cannot be is said when it is tried again.
            let _ = self.put_back(&ways);
        }
    }

    /// As [`Ways::install`], of what was installed before: what is in its place is itself. It reads no table, which takes long
    /// where there are many routes.
    fn put_back(&mut self, ways: &WaysOf) -> Result<(), String> {
        let mut outcome = Ok(());
        for route in &ways.routes {
            let request = route::add(route, &ways.device, false);
            let done = request.and_then(|request| self.requests.perform(request));
            let done = done.or_else(there_is_fine);
            outcome = outcome.and(done.map_err(|e| format!("route {route}: {e}")));
        }
        outcome.and(self.install_rules(ways))
    }

    fn note(&mut self, seat: u64, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => drop(self.failed.remove(&seat)),
            Err(why) => drop(self.failed.insert(seat, why)),
        }
    }

    /// Takes away what `had` has and no seat; whether there was any. What gives way to another of `next` with the same key
    /// stays until it is replaced.
    fn remove(&mut self, had: &WaysOf, next: &WaysOf) -> bool {
        let kept = |rule: &&VirtualRule| self.held.values().any(|w| w.rules.contains(rule));
        let gone: Vec<&VirtualRule> = had.rules.iter().filter(|rule| !kept(rule)).collect();
        let mut removed = self.remove_rules(&gone);
        for route in &had.routes {
            let replaced =
                |other: &VirtualRoute| other.key() == route.key() && other.proto == route.proto;
            let kept = self.held.values().any(|ways| ways.has(route, &had.device));
            if !kept && !next.routes.iter().any(replaced) {
                // One that is not there is gone, which is what is wanted.
                removed |= self.requests.perform(route::delete(route)).is_ok();
            }
        }
        removed
    }

    /// Takes these away; whether there were any. Of ours with one priority, the kernel takes the first that says no less than
    /// what is asked for, whatever more it says: another may go in its place, and has to be put back.
    fn remove_rules(&mut self, gone: &[&VirtualRule]) -> bool {
        let mut there = match gone {
            [] => Vec::new(),
            _ => self.rules_there(),
        };
        let mut removed = false;
        // Each round takes one at least, unless the kernel refuses.
        for _ in 0..there.len() {
            let left: Vec<_> = gone.iter().filter(|rule| there.contains(rule)).collect();
            if left.is_empty() {
                break;
            }
            for rule in left {
                let _ = self.requests.perform(rule::delete(rule));
            }
            removed = true;
            there = self.rules_there();
        }
        removed
    }

    /// Routes first: a rule leads to a table that is filled.
    fn install(&mut self, ways: &WaysOf) -> Result<(), String> {
        let mut outcome = Ok(());
        for route in &ways.routes {
            let done = self.install_route(route, &ways.device);
            outcome = outcome.and(done.map_err(|e| format!("route {route}: {e}")));
        }
        outcome.and(self.install_rules(ways))
    }

    /// One that somebody else made is not replaced: it would be gone for good.
    fn install_route(&mut self, route: &VirtualRoute, device: &str) -> io::Result<()> {
        let done = self.requests.perform(route::add(route, device, false)?);
        if !done.as_ref().is_err_and(is_there) {
            return done;
        }
        let family = rule::number(route.family());
        let ours = self.routes_there(family, route.table, route.proto);
        if !ours.contains(&route.key()) {
            let what = "another route to it is there, with the same metric";
            return Err(io::Error::other(what));
        }
        self.requests.perform(route::add(route, device, true)?)
    }

    fn install_rules(&mut self, ways: &WaysOf) -> Result<(), String> {
        let mut outcome = Ok(());
        for rule in &ways.rules {
            // Ours, or one of somebody else's that does the same.
            let done = self
                .requests
                .perform(rule::add(rule))
                .or_else(there_is_fine);
            outcome = outcome.and(done.map_err(|e| format!("rule {rule}: {e}")));
        }
        outcome
    }

    /// The routes of a table (0: of any) that this one made. What cannot be told counts as not there.
    fn routes_there(&mut self, family: u8, table: u32, maker: u8) -> BTreeSet<RouteKey> {
        let mut there = BTreeSet::new();
        let filter = route::filter(family, table, maker);
        let _ = self.requests.dump(route::GET, &filter, &mut |message| {
            let seen = route::Seen::read(message).filter(|seen| seen.proto == maker);
            there.extend(seen.map(|seen| seen.key));
        });
        there
    }

    /// Our rules.
    fn rules_there(&mut self) -> Vec<VirtualRule> {
        let mut there = Vec::new();
        for family in FAMILIES {
            let filter = rule::filter(family);
            let _ = self.requests.dump(rule::GET, &filter, &mut |message| {
                there.extend(rule::read(message));
            });
        }
        there
    }
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

fn is_there(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EEXIST)
}

fn there_is_fine(error: io::Error) -> io::Result<()> {
    if is_there(&error) { Ok(()) } else { Err(error) }
}
