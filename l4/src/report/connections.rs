//! Connections and persistence templates, as `ipvsadm -Lnc` lists them.

use std::{collections::HashMap, io, net::SocketAddr};

use control::name::Name;
use xdp::abi::{Family, Flow, Method, Role, Tick, Tuple};

use crate::{
    maps::FamilyMaps,
    plane::{Plane, lock, now},
    status::Connection,
    sys::{Batch, Flows, Table},
    tables::place::socket,
    worker::sweep::state_word,
};

/// A service's name, and the protocol and address it listens on first; as far as known.
type Named = (Option<Name>, Option<(u8, SocketAddr)>);

/// What slots mean.
#[derive(Default)]
struct Meaning {
    services: HashMap<u32, Named>,
    backends: HashMap<u32, SocketAddr>,
}

/// Connections that have not expired, at most `limit`, then templates.
pub(crate) fn connections(plane: &Plane, limit: usize) -> io::Result<Vec<Connection>> {
    let mut meaning = Meaning::default();
    for (name, held) in lock(&plane.tables).all() {
        let listen = held
            .plan()
            .and_then(|(service, _)| service.spec.listen.first());
        let place = listen.map(|l| (l.scheme.ip_protocol(), l.address));
        meaning.services.insert(held.slot, (name.cloned(), place));
        let backends = held
            .backends
            .iter()
            .map(|(address, kept)| (kept.slot, *address));
        meaning.backends.extend(backends);
    }
    let loaded = plane.loaded();
    let mut found = Vec::new();
    family(&loaded.maps.v4, &meaning, limit, &mut found)?;
    family(&loaded.maps.v6, &meaning, limit, &mut found)?;
    Ok(found)
}

fn family<F: Family>(
    maps: &FamilyMaps<F>,
    meaning: &Meaning,
    limit: usize,
    into: &mut Vec<Connection>,
) -> io::Result<()> {
    let now = now();
    each_flow(&maps.pending, limit, into, |key, flow| {
        meaning.flow(maps, key, flow, now, true)
    });
    each_flow(&maps.flows, limit, into, |key, flow| {
        meaning.flow(maps, key, flow, now, false)
    });
    each(&maps.templates, limit, into, |key, template| {
        let (name, place) = meaning.services.get(&key.service)?;
        let (protocol, target) = (*place)?;
        let left = left(template.expires, now)?;
        Some(Connection {
            protocol,
            expires: left,
            state: "ASSURED".into(),
            client: socket::<F>(key.client, 0),
            target,
            backend: *meaning.backends.get(&template.backend)?,
            service: name.clone(),
            template: true,
            pending: false,
        })
    })
}

fn each_flow<F: Family>(
    table: &Flows<F>,
    limit: usize,
    into: &mut Vec<Connection>,
    mut make: impl FnMut(&Tuple<F>, &Flow<F>) -> Option<Connection>,
) {
    let (mut at, mut through, mut entries) = (0, false, Vec::new());
    while into.len() < limit && !through {
        entries.clear();
        through = table.walk(&mut at, 4096, &mut entries);
        let room = limit - into.len();
        into.extend(entries.iter().filter_map(|(k, f)| make(k, f)).take(room));
    }
}

fn each<K: xdp::abi::Plain, V: xdp::abi::Plain>(
    table: &Table<K, V>,
    limit: usize,
    into: &mut Vec<Connection>,
    mut make: impl FnMut(&K, &V) -> Option<Connection>,
) -> io::Result<()> {
    let mut at = Batch::Start;
    let mut entries = Vec::new();
    while into.len() < limit && !matches!(at, Batch::Done) {
        entries.clear();
        table.walk(&mut at, 4096, &mut entries)?;
        let room = limit - into.len();
        into.extend(entries.iter().filter_map(|(k, v)| make(k, v)).take(room));
    }
    Ok(())
}

/// Seconds that are left; none if the time is up.
fn left(expires: u32, now: Tick) -> Option<u32> {
    (!now.is_past(expires)).then(|| {
        // Whole seconds that are left, as IPVS shows it.
        let nanos = u64::from(expires.wrapping_sub(now.0)) << Tick::SHIFT;
        u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX)
    })
}

impl Meaning {
    fn flow<F: Family>(
        &self,
        maps: &FamilyMaps<F>,
        key: &Tuple<F>,
        flow: &Flow<F>,
        now: Tick,
        pending: bool,
    ) -> Option<Connection> {
        if Role::of(flow.role) == Role::Reverse {
            return None;
        }
        // The time that is left is that of the direction that was heard last.
        let own = left(flow.expires, now);
        let reply = || {
            let other = flow.becomes(key.proto).reversed();
            let found = maps.flows.get(&other);
            let found = found.or_else(|| maps.pending.get(&other))?;
            left(found.expires, now)
        };
        let two_way = Method::of(flow.method) == Method::Nat;
        let expires = own.max(if two_way { reply() } else { None })?;
        let target = socket::<F>(key.dst, key.dport);
        let backend = match Method::of(flow.method) {
            Method::Nat => socket::<F>(flow.dst, flow.dport),
            _ => {
                let mut address = *self.backends.get(&flow.backend)?;
                if address.port() == 0 {
                    address.set_port(target.port());
                }
                address
            }
        };
        Some(Connection {
            protocol: key.proto,
            expires,
            state: state_word(flow.state).into(),
            client: socket::<F>(key.src, key.sport),
            target,
            backend,
            service: self
                .services
                .get(&flow.service)
                .and_then(|(name, _)| name.clone()),
            template: false,
            pending,
        })
    }
}
