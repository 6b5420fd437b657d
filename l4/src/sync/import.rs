//! What peers tell is put into the tables: addresses become slots, both directions get their entries, backends' loads count
//! it. What this node itself has seen more recently stays as it is.

use std::{mem::offset_of, net::SocketAddr, sync::atomic::Ordering::Relaxed};

use xdp::{
    abi::{Backend, Flow, FlowState, Load, Method, Role, Tick, Tuple, V4, V6, flow_flags},
    packet::header::proto,
};

use super::{
    Exchange, FlowName, Stored, Synced, Told, ToldFlow,
    export::{tuple, until},
    left,
    shadow::{Mark, Owner},
    timeout, to_ticks,
};
use crate::{maps::Maps, plane::now, tables::place::words};

/// How much more recent what a peer saw must be than what we did: clocks of ticks and the way of a datagram are not
/// worth an argument.
pub(super) const MARGIN: u32 = 4;

/// What is known of when the last packet of a flow came that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It is as long ago as is told.
    Known,
    /// It is no longer ago than that; what its teller tells later is later.
    AtMost,
}

impl Exchange {
    /// Takes what a peer tells.
    pub(crate) fn store(&mut self, maps: &Maps, told: &Told) -> Stored {
        let name = match told {
            Told::Flow(flow) => &flow.name,
            Told::Template(template) => &template.name,
            Told::Gone(name) => name,
        };
        match (name.client, name.target) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => self.store_in::<V4>(maps, told),
            (SocketAddr::V6(_), SocketAddr::V6(_)) => self.store_in::<V6>(maps, told),
            _ => Stored::Malformed,
        }
    }

    fn store_in<F: Synced>(&mut self, maps: &Maps, told: &Told) -> Stored {
        F::shadow(self).fit(F::maps(maps).flows.buckets());
        match told {
            Told::Flow(flow) => self.put::<F>(maps, flow, Age::Known),
            Told::Template(template) => self.put_template::<F>(maps, template),
            // Of clients, what is gone is forgotten in its time.
            Told::Gone(name) if name.template => Stored::Kept,
            Told::Gone(name) => self.remove::<F>(maps, name),
        }
    }

    pub(super) fn put<F: Synced>(&mut self, maps: &Maps, told: &ToldFlow, age: Age) -> Stored {
        let (tables, key) = (F::maps(maps), tuple::<F>(&told.name));
        let fits = |at: SocketAddr| at.is_ipv6() == F::IS_V6;
        let known = matches!(key.proto, proto::TCP | proto::UDP | proto::SCTP);
        if !known || usize::from(told.state) >= FlowState::COUNT || !told.source.is_none_or(fits) {
            return Stored::Malformed;
        }
        let Some(service) = self.directory.service(told.name.target, key.proto) else {
            return Stored::UnknownService;
        };
        let Some((slot, backend)) = self.directory.backend(service, told.backend) else {
            return Stored::UnknownBackend;
        };
        let nat = Method::of(backend.method) == Method::Nat;
        if nat != (told.method == Method::Nat) {
            return Stored::OtherMethod;
        }
        if nat && !fits(told.backend) {
            return Stored::Malformed;
        }
        let new = Entries::<F>::of(told, &key, (service, slot), &backend, now());
        if let Some(old) = tables.flows.get(&key) {
            if Role::of(old.role) == Role::Reverse {
                return Stored::TupleTaken;
            }
            if !self.is_news::<F>(maps, &key, &old, told, age) {
                return Stored::Kept;
            }
            if old.backend == slot && old.becomes(key.proto) == new.forward.becomes(key.proto) {
                self.update::<F>(maps, &key, &old, &new);
                return Stored::Updated;
            }
            self.take_out::<F>(maps, &key, &old);
        } else if let Some(old) = tables.pending.get(&key) {
            if Role::of(old.role) == Role::Reverse {
                return Stored::TupleTaken;
            }
            if let Some(idle) = self.handshake_idle::<F>(maps, &key, &old)
                && idle <= to_ticks(told.idle).saturating_add(MARGIN)
            {
                // It begins here just now.
                return Stored::Kept;
            }
            // It began here, and went on or began again there.
            take_out_handshake(maps, &key, &old);
        }
        self.add::<F>(maps, &key, &new)
    }

    /// Whether a peer knows more recent things of a flow than this node.
    fn is_news<F: Synced>(
        &mut self,
        maps: &Maps,
        key: &Tuple<F>,
        old: &Flow<F>,
        told: &ToldFlow,
        age: Age,
    ) -> bool {
        let limit = timeout(maps, &self.directory, old.service, old.state);
        let idle = limit.saturating_sub(left(until(F::maps(maps), key, old), now()));
        let theirs = to_ticks(told.idle);
        if self.is_peers::<F>(maps, key, old) {
            return age == Age::AtMost || theirs <= idle.saturating_add(MARGIN);
        }
        // Of two that may be as recent as each other, the one that says that it ends is the later.
        let ends = age == Age::AtMost && ends(told.state) && !ends(old.state);
        ends || theirs.saturating_add(MARGIN) < idle
    }

    /// Whether a flow is as a peer told it: no packet came by here since.
    fn is_peers<F: Synced>(&mut self, maps: &Maps, key: &Tuple<F>, flow: &Flow<F>) -> bool {
        let tables = F::maps(maps);
        let Some((bucket, place)) = tables.flows.place(key) else {
            return false;
        };
        let tag = tables.flows.tags(bucket).map(|tags| tags[place]);
        let Some(mark) = F::shadow(self).at(bucket, place) else {
            return false;
        };
        mark.owner == Owner::Peer
            && Some(mark.tag) == tag
            && mark.state == flow.state
            && until(tables, key, flow) == mark.expires
    }

    fn update<F: Synced>(&mut self, maps: &Maps, key: &Tuple<F>, old: &Flow<F>, new: &Entries<F>) {
        let tables = F::maps(maps);
        let active = new.forward.flags & flow_flags::ACTIVE;
        if old.flags & flow_flags::ACTIVE != active {
            count(maps, old.backend, old.flags, false);
            count(maps, old.backend, active, true);
        }
        tables.flows.change(key, |flow| {
            (flow.expires, flow.state) = (new.forward.expires, new.forward.state);
            flow.flags = flow.flags & !flow_flags::ACTIVE | active | flow_flags::SYNCED;
        });
        if let Some((reply, flow)) = &new.reverse {
            tables.flows.change(reply, |other| {
                (other.expires, other.state) = (flow.expires, flow.state);
            });
        }
        self.mark::<F>(maps, key, &new.forward);
    }

    fn add<F: Synced>(&mut self, maps: &Maps, key: &Tuple<F>, new: &Entries<F>) -> Stored {
        let tables = F::maps(maps);
        if let Some((reply, flow)) = &new.reverse {
            let holder = tables.flows.get(reply);
            let holder = holder.or_else(|| tables.pending.get(reply));
            if let Some(holder) = holder {
                let over = now().is_past(holder.expires) && holder.role == Role::Reverse as u8;
                if !over || !tables.flows.remove(reply) {
                    return Stored::TupleTaken;
                }
            }
            if !tables.flows.add(reply, flow) {
                return Stored::TableFull;
            }
        }
        if !tables.flows.add(key, &new.forward) {
            if let Some((reply, _)) = &new.reverse {
                let _ = tables.flows.remove(reply);
            }
            return Stored::TableFull;
        }
        count(maps, new.forward.backend, new.forward.flags, true);
        self.mark::<F>(maps, key, &new.forward);
        Stored::Added
    }

    fn remove<F: Synced>(&mut self, maps: &Maps, name: &FlowName) -> Stored {
        let (tables, key) = (F::maps(maps), tuple::<F>(name));
        match tables.flows.get(&key) {
            Some(flow) if self.is_peers::<F>(maps, &key, &flow) => {
                self.take_out::<F>(maps, &key, &flow);
                Stored::Removed
            }
            _ => Stored::Kept,
        }
    }

    /// Takes both directions out, and the mark: it is not told on.
    fn take_out<F: Synced>(&mut self, maps: &Maps, key: &Tuple<F>, flow: &Flow<F>) {
        let tables = F::maps(maps);
        let place = tables.flows.place(key);
        if tables.flows.remove(key) {
            count(maps, flow.backend, flow.flags, false);
        }
        if let Some((bucket, place)) = place
            && let Some(mark) = F::shadow(self).at(bucket, place)
        {
            *mark = Mark::default();
        }
        if flow.flags & flow_flags::ONE_WAY == 0 {
            let reply = flow.becomes(key.proto).reversed();
            let _ = tables.flows.remove(&reply);
        }
    }

    fn mark<F: Synced>(&mut self, maps: &Maps, key: &Tuple<F>, flow: &Flow<F>) {
        let tables = F::maps(maps);
        let Some((bucket, place)) = tables.flows.place(key) else {
            return;
        };
        let tag = tables.flows.tags(bucket).map_or(0, |tags| tags[place]);
        if let Some(mark) = F::shadow(self).at(bucket, place) {
            *mark = Mark {
                expires: flow.expires,
                tag,
                state: flow.state,
                owner: Owner::Peer,
            };
        }
    }
}

/// Whether a flow in a state has begun to end.
fn ends(state: u8) -> bool {
    matches!(
        FlowState::of(state),
        FlowState::FinWait
            | FlowState::CloseWait
            | FlowState::LastAck
            | FlowState::TimeWait
            | FlowState::Close
    )
}

/// The entries of a flow that is told.
struct Entries<F: Synced> {
    forward: Flow<F>,
    /// With its key, if replies pass by.
    reverse: Option<(Tuple<F>, Flow<F>)>,
}

impl<F: Synced> Entries<F> {
    fn of(
        told: &ToldFlow,
        key: &Tuple<F>,
        (service, slot): (u32, u32),
        backend: &Backend,
        now: Tick,
    ) -> Self {
        let nat = Method::of(backend.method) == Method::Nat;
        let mut to = *key;
        if nat {
            to.dst = F::narrow(backend.address);
            to.dport = if backend.port == 0 {
                key.dport
            } else {
                backend.port
            };
            if let Some(source) = told.source {
                to.src = F::narrow(words(source.ip()));
                to.sport = source.port().to_be();
            }
        }
        let common = flow_flags::SYNCED
            | if told.delta.is_some() {
                flow_flags::SPLICED | flow_flags::ANSWERED
            } else {
                0
            };
        let mut own = common;
        let mut set = |flag: u8, on: bool| own |= if on { flag } else { 0 };
        let state = FlowState::of(told.state);
        set(
            flow_flags::ACTIVE,
            key.proto == proto::TCP && state.is_active(),
        );
        set(flow_flags::PERSISTENT, told.persistent);
        set(flow_flags::FULL_NAT, told.source.is_some());
        set(flow_flags::ONE_WAY, !nat);
        let forward = Flow {
            expires: now.0.wrapping_add(to_ticks(told.remaining)),
            state: told.state,
            role: Role::Forward as u8,
            method: backend.method,
            flags: own,
            backend: slot,
            service,
            src: to.src,
            dst: to.dst,
            sport: to.sport,
            dport: to.dport,
            delta: told.delta.unwrap_or(0),
            ..Flow::default()
        };
        let reverse = nat.then(|| {
            let flow = Flow {
                role: Role::Reverse as u8,
                flags: common | flow_flags::ANSWERED,
                src: key.dst,
                dst: key.src,
                sport: key.dport,
                dport: key.sport,
                ..forward
            };
            (to.reversed(), flow)
        });
        Self { forward, reverse }
    }
}

/// Takes both directions of a handshake out.
fn take_out_handshake<F: Synced>(maps: &Maps, key: &Tuple<F>, flow: &Flow<F>) {
    let tables = F::maps(maps);
    // The sweep may be first: who takes it out counts it out. It also counts what is open.
    if tables.pending.remove(key) {
        count(maps, flow.backend, flow.flags, false);
    }
    if flow.flags & flow_flags::ONE_WAY == 0 {
        let _ = tables.pending.remove(&flow.becomes(key.proto).reversed());
    }
}

/// Counts a flow among its backend's, or no longer.
fn count(maps: &Maps, backend: u32, flags: u8, comes: bool) {
    let offset = if flags & flow_flags::ACTIVE != 0 {
        offset_of!(Load, active)
    } else {
        offset_of!(Load, inactive)
    };
    if let Some(number) = maps.loads.word(backend, offset) {
        let by = if comes { 1 } else { 1_u32.wrapping_neg() };
        number.fetch_add(by, Relaxed);
    }
}
