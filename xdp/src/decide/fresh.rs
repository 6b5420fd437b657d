//! The short road of a flow's first packet: a whole packet of TCP or UDP, whose tuple is known not to be among the
//! established, to a service that asks for nothing special. Nothing is looked up twice on it, and what it does is what
//! the whole road would do; whatever is unusual is left to that.

use super::{
    Entry, Inserted, NO_SLOT, Table, Tables, begin, depart, follow, get, load, part, put, schedule,
    way,
};
use crate::{
    abi::{
        Endpoint, Family, Hop, Method, Scheduler, Tuple, Way, flow_flags, service_flags,
        settings_flags,
    },
    flows::Place,
    packet::{
        Packet,
        header::{
            proto,
            tcp_flags::{ACK, FIN, RST, SYN},
        },
    },
};

/// What came of a first packet for which a backend was found.
#[derive(Clone, Copy, Debug)]
pub enum Fresh<F: Family> {
    /// What follows is for the whole road (from [`super::Stage::Take`] on).
    Chosen,
    /// It leaves, and was counted.
    Left(Left<F>),
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug)]
pub struct Left<F: Family> {
    /// The backend's method.
    pub method: Method,
    /// What its tuple becomes.
    pub to: Tuple<F>,
    /// The next hop.
    pub hop: Entry<Hop>,
    /// The way to the backend.
    pub way: Entry<Way>,
}

/// What a service may ask for on this road.
const PLAIN: u32 = service_flags::PRESENT
    | service_flags::SLOPPY
    | service_flags::HASH_PORT
    | service_flags::FALLBACK
    | service_flags::EXPIRE_QUIESCENT
    | service_flags::TRACE;

/// The slots of the service and of the backend of a whole packet of TCP or UDP that belongs to no established flow; `place`
/// is its tuple's. None: it is for the whole road.
#[inline(always)]
pub fn elect<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    place: Place,
) -> Option<(u32, u32)> {
    let settings = tables.settings()?;
    let is_tcp = packet.tuple.proto == proto::TCP;
    if (is_tcp && packet.tcp_flags & (SYN | ACK | RST | FIN) != SYN)
        || packet.ttl <= 1
        || get!(settings.trace) != 0
        || (is_tcp && get!(settings.flags) & settings_flags::HOLDING != 0)
    {
        return None;
    }
    let endpoint = Endpoint {
        address: packet.tuple.dst,
        port: packet.tuple.dport,
        proto: packet.tuple.proto,
        side: Endpoint::<F>::CLIENTS,
    };
    let slot = tables.endpoint(&endpoint)?;
    let service = tables.service(slot)?;
    let flags = get!(service.flags);
    let scheduler = Scheduler::of(get!(service.scheduler));
    if flags & (service_flags::PRESENT | !PLAIN) != service_flags::PRESENT
        || (is_tcp && get!(service.mss) != 0)
        || matches!(scheduler, Scheduler::Lblc | Scheduler::Lblcr)
        || tables.look(Table::Pending, place, &packet.tuple).is_some()
    {
        return None;
    }
    let chosen = schedule::at_once(tables, service, slot, &packet.tuple);
    (chosen != NO_SLOT).then_some((slot, chosen))
}

/// Begins the flow of a packet for which [`fn@elect`] found this service and this backend.
#[inline(always)]
pub fn fresh<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    place: Place,
    (slot, chosen): (u32, u32),
) -> Fresh<F> {
    let whole = Fresh::Chosen;
    let Some(settings) = tables.settings() else {
        return whole;
    };
    let is_tcp = packet.tuple.proto == proto::TCP;
    let Some(backend) = tables.backend(chosen) else {
        return whole;
    };
    let generation = get!(settings.generation);
    let Some(way) = way::recall(tables, backend, generation, chosen) else {
        return whole;
    };
    let method = get!(backend.method);
    let hop = part!(way.hop);
    if follow::is_local(method) || packet.length > depart::largest(method, way::mtu(way), backend) {
        return whole;
    }
    let two_way = Method::of(method) == Method::Nat;
    let state = begin::first_state(packet, two_way);
    let now = tables.now();
    let to = begin::address(packet, backend);
    let Some(draft) = tables.draft() else {
        return whole;
    };
    let timeout = follow::timeout(tables, settings, slot, state);
    put!(draft.expires = now.0.wrapping_add(timeout));
    put!(draft.state = state as u8);
    put!(draft.method = method);
    put!(draft.backend = chosen);
    put!(draft.service = slot);
    put!(draft.delta = 0);
    let mut flags = flow_flags::PENDING;
    if two_way {
        begin::answers(draft, &packet.tuple);
        // One that was there may be over: the whole road looks.
        let key = to.reversed();
        let place = tables.place(&key);
        if tables.look(Table::Established, place, &key).is_some()
            || tables.look(Table::Pending, place, &key).is_some()
            || tables.add(Table::Pending, place, &key, draft) != Inserted::Yes
        {
            return whole;
        }
    } else {
        flags |= flow_flags::ONE_WAY;
    }
    let active = is_tcp && state.is_active();
    if active {
        flags |= flow_flags::ACTIVE;
    }
    begin::leads(draft, &to);
    put!(draft.flags = flags);
    Hop::copy(hop, part!(draft.hop));
    if tables.add(Table::Pending, place, &packet.tuple, draft) != Inserted::Yes {
        // There is no room that could be made here.
        if two_way {
            let _ = tables.remove(Table::Pending, &to.reversed());
        }
        return whole;
    }
    if let Some(counters) = tables.counters(chosen) {
        put!(counters.connections = get!(counters.connections).wrapping_add(1));
        put!(counters.in_packets = get!(counters.in_packets).wrapping_add(1));
        put!(counters.in_bytes = get!(counters.in_bytes).wrapping_add(u64::from(packet.length)));
    }
    load::begins(tables, chosen, backend, active);
    Fresh::Left(Left {
        method: Method::of(method),
        to,
        hop: part!(draft.hop),
        way,
    })
}
