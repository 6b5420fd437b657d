//! What is to be told: flows that are new, that changed, or that peers would forget.
//!
//! The table of established flows is walked in the order of memory, over and over; of an idle one that costs a look at its
//! tags. Handshakes are not told but when an address goes, see [`super::handshakes`]. Clients that persistence remembers are told with their
//! connections, see [`super::templates`].

use std::net::SocketAddr;

use xdp::abi::{Family, Flow, LANES, Method, Role, Slot, Tick, Tuple, V4, V6, flow_flags};

use super::{
    Exchange, FlowName, Synced, Told, ToldFlow, left, of_ticks,
    shadow::{Mark, Owner},
    templates, timeout,
};
use crate::{
    maps::{FamilyMaps, Maps},
    plane::now,
    tables::place::{socket, words},
};

/// How far one has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    v6: bool,
    /// The bucket that is next.
    bucket: u32,
}

/// How far one has come in telling everything: connections, then remembered clients, so that none is missed that came
/// meanwhile.
#[derive(Debug)]
pub(super) enum All {
    Flows(Scan),
    Templates(templates::Walk),
}

/// What is told of what is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// What peers do not know yet.
    News,
    /// Everything.
    All,
}

impl Exchange {
    /// Goes on with the look for news. Whether it was all the way through.
    pub(crate) fn look(&mut self, maps: &Maps, buckets: u32, into: &mut Vec<Told>) -> bool {
        let mut scan = self.look;
        let through = self.step(maps, &mut scan, Which::News, buckets, into);
        self.look = scan;
        through
    }

    /// Everything is to be told from the beginning.
    pub(crate) fn begin_all(&mut self) {
        self.all = Some(All::Flows(Scan::default()));
    }

    /// Goes on telling everything. Whether that is done.
    pub(crate) fn all(&mut self, maps: &Maps, buckets: u32, into: &mut Vec<Told>) -> bool {
        self.all = match self.all.take() {
            None => None,
            Some(All::Flows(mut scan)) => {
                let through = self.step(maps, &mut scan, Which::All, buckets, into);
                Some(if through {
                    All::Templates(templates::Walk::default())
                } else {
                    All::Flows(scan)
                })
            }
            Some(All::Templates(mut walk)) => {
                let through = self.templates(maps, &mut walk, buckets, into);
                (!through).then_some(All::Templates(walk))
            }
        };
        self.all.is_none()
    }

    fn step(
        &mut self,
        maps: &Maps,
        scan: &mut Scan,
        which: Which,
        buckets: u32,
        into: &mut Vec<Told>,
    ) -> bool {
        if !scan.v6 {
            scan.v6 = self.walk::<V4>(maps, &mut scan.bucket, which, buckets, into);
            return false;
        }
        let through = self.walk::<V6>(maps, &mut scan.bucket, which, buckets, into);
        scan.v6 = !through;
        through
    }

    /// Goes through buckets of one table. Whether that was the last; then the next begins at the first.
    fn walk<F: Synced>(
        &mut self,
        maps: &Maps,
        at: &mut u32,
        which: Which,
        buckets: u32,
        into: &mut Vec<Told>,
    ) -> bool {
        let tables = F::maps(maps);
        F::shadow(self).fit(tables.flows.buckets());
        let (now, end) = (now(), at.saturating_add(buckets));
        while *at < end {
            let Some(tags) = tables.flows.tags(*at) else {
                *at = 0;
                return true;
            };
            for (place, tag) in tags.iter().enumerate().take(LANES) {
                let Some(mark) = F::shadow(self).at(*at, place).copied() else {
                    continue;
                };
                if *tag == 0 && mark.owner == Owner::None {
                    continue;
                }
                let Some(slot) = tables.flows.at(*at, place) else {
                    continue;
                };
                let seen = Seen {
                    tag: *tag,
                    mark,
                    slot,
                    now,
                };
                let next = if *tag & 0x8000 != 0 {
                    self.there::<F>(maps, &seen, which, into)
                } else {
                    gone(tables, &seen, into)
                };
                if let Some(mark) = F::shadow(self).at(*at, place) {
                    *mark = next;
                }
            }
            *at += 1;
        }
        false
    }

    /// A flow is at a place: whether it is to be told, and what the place's mark becomes.
    fn there<F: Synced>(
        &mut self,
        maps: &Maps,
        seen: &Seen<F>,
        which: Which,
        into: &mut Vec<Told>,
    ) -> Mark {
        let Slot { key, flow } = &seen.slot;
        if Role::of(flow.role) == Role::Reverse {
            return Mark::default();
        }
        let known = seen.mark.owner != Owner::None && seen.mark.tag == seen.tag;
        let mut mark = if known { seen.mark } else { seen.unknown() };
        let limit = timeout(maps, &self.directory, flow.service, flow.state);
        let changed = flow.state != mark.state;
        // Those who were told forget it soon, or it is another one: only then the other direction is looked at too.
        let soon = left(mark.expires, seen.now) < limit / 2;
        let moved = flow.expires != mark.expires;
        if mark.owner == Owner::Us {
            let idle = limit.saturating_sub(left(flow.expires, seen.now));
            self.served.saw(flow.service, seen.now, idle);
        }
        if mark.owner == Owner::Peer {
            let touched =
                changed || moved || (soon && until(F::maps(maps), key, flow) != mark.expires);
            if touched {
                mark.owner = Owner::Us;
            } else if which == Which::News {
                return mark;
            }
        } else if known
            && which == Which::News
            && !changed
            && !(soon && self.goes_on(maps, seen, limit))
        {
            return mark;
        }
        let until = until(F::maps(maps), key, flow);
        let Some(mut told) = self.told::<F>(maps, key, flow, until, seen.now) else {
            return Mark::default();
        };
        let elsewhere = which == Which::All && !self.served.is_here(flow.service, seen.now);
        told.heard = mark.owner == Owner::Peer || elsewhere;
        into.push(Told::Flow(told));
        // When everything is told, templates have their own turn.
        if told.persistent && !known && mark.owner == Owner::Us && which == Which::News {
            into.extend(self.template_of::<F>(maps, key, flow, seen.now));
        }
        Mark {
            expires: if mark.owner == Owner::Peer {
                mark.expires
            } else {
                until
            },
            state: flow.state,
            ..mark
        }
    }

    /// Whether a flow lives so much longer than peers know that they are to be told again.
    fn goes_on<F: Synced>(&self, maps: &Maps, seen: &Seen<F>, limit: u32) -> bool {
        let until = until(F::maps(maps), &seen.slot.key, &seen.slot.flow);
        left(until, seen.now) > left(seen.mark.expires, seen.now).saturating_add(limit / 8)
    }

    /// A flow in words; none if its time is up, or its backend or service is not known.
    pub(super) fn told<F: Family>(
        &self,
        maps: &Maps,
        key: &Tuple<F>,
        flow: &Flow<F>,
        until: u32,
        now: Tick,
    ) -> Option<ToldFlow> {
        let remaining = left(until, now);
        if remaining == 0 {
            return None;
        }
        let limit = timeout(maps, &self.directory, flow.service, flow.state);
        let has = |flag: u8| flow.flags & flag != 0;
        Some(ToldFlow {
            name: name(key),
            backend: self.directory.address(flow.backend)?,
            method: Method::of(flow.method),
            state: flow.state,
            persistent: has(flow_flags::PERSISTENT),
            remaining: of_ticks(remaining),
            idle: of_ticks(limit.saturating_sub(remaining)),
            source: has(flow_flags::FULL_NAT).then(|| socket::<F>(flow.src, flow.sport)),
            delta: has(flow_flags::SPLICED).then_some(flow.delta),
            heard: false,
        })
    }

    /// How a flow is now.
    pub(crate) fn find(&self, maps: &Maps, name: &FlowName) -> Told {
        let found = match (name.client, name.template) {
            (SocketAddr::V4(_), false) => self.find_in::<V4>(maps, name).map(Told::Flow),
            (SocketAddr::V6(_), false) => self.find_in::<V6>(maps, name).map(Told::Flow),
            (SocketAddr::V4(_), true) => self.find_template::<V4>(maps, name),
            (SocketAddr::V6(_), true) => self.find_template::<V6>(maps, name),
        };
        found.unwrap_or(Told::Gone(*name))
    }

    fn find_in<F: Synced>(&self, maps: &Maps, name: &FlowName) -> Option<ToldFlow> {
        let (tables, key) = (F::maps(maps), tuple::<F>(name));
        let Some(flow) = tables.flows.get(&key) else {
            // It may be one that was told as a handshake.
            let flow = tables.pending.get(&key)?;
            return self.handshake(maps, &key, &flow, now());
        };
        if Role::of(flow.role) == Role::Reverse {
            return None;
        }
        self.told(maps, &key, &flow, until(tables, &key, &flow), now())
    }
}

/// What is at a place.
struct Seen<F: Family> {
    tag: u16,
    mark: Mark,
    slot: Slot<F>,
    now: Tick,
}

impl<F: Family> Seen<F> {
    /// The mark of a flow that none is of. One that came from a peer while another process of ours ran is the peer's
    /// until it changes.
    fn unknown(&self) -> Mark {
        let synced = self.slot.flow.flags & flow_flags::SYNCED != 0;
        Mark {
            expires: self.slot.flow.expires,
            tag: self.tag,
            state: self.slot.flow.state,
            owner: if synced { Owner::Peer } else { Owner::Us },
        }
    }
}

/// A place is free, or being filled: whether what was told of it ended before its time.
///
/// A flow's key lies there until another takes its place. If one has, peers are not told, and forget the flow in its time.
fn gone<F: Family>(tables: &FamilyMaps<F>, seen: &Seen<F>, into: &mut Vec<Told>) -> Mark {
    let early = seen.tag == 0 && left(seen.mark.expires, seen.now) > 0;
    if early && tables.flows.get(&seen.slot.key).is_none() {
        into.push(Told::Gone(name(&seen.slot.key)));
    }
    Mark::default()
}

/// Until when a flow is remembered: as long as either direction is.
pub(super) fn until<F: Family>(tables: &FamilyMaps<F>, key: &Tuple<F>, flow: &Flow<F>) -> u32 {
    if flow.flags & flow_flags::ONE_WAY != 0 {
        return flow.expires;
    }
    let reply = flow.becomes(key.proto).reversed();
    match tables.flows.get(&reply) {
        Some(other) if Tick(other.expires).is_past(flow.expires) => other.expires,
        _ => flow.expires,
    }
}

/// The name of a key.
fn name<F: Family>(key: &Tuple<F>) -> FlowName {
    FlowName {
        template: false,
        protocol: key.proto,
        client: socket::<F>(key.src, key.sport),
        target: socket::<F>(key.dst, key.dport),
    }
}

/// The key of a name, whose addresses are of the family.
pub(super) fn tuple<F: Family>(name: &FlowName) -> Tuple<F> {
    let address = |at: SocketAddr| (F::narrow(words(at.ip())), at.port().to_be());
    let ((src, sport), (dst, dport)) = (address(name.client), address(name.target));
    Tuple::new(src, dst, sport, dport, name.protocol)
}
