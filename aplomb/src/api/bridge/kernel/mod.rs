//! What the kernel data plane tells, in the words of the API; and what of it belongs to services and pools.

#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;

use control::name::Name;
use l4::{
    filter::{Filter, Seen},
    status as theirs,
};

pub(super) use self::words::explanation;
use self::words::{connection, plane, service};
use super::super::{
    kernel::Kernel,
    model::{
        BackendStats, Connection, Connections, KernelBackend, KernelLoad, KernelService, L4Stats,
        PoolStats, ServiceStats, Stats, Status,
    },
};

/// Adds what the kernel counts: by itself, and to the services and pools that it forwards for.
pub(super) fn count(stats: &mut Stats, status: &theirs::L4Status, all: &[theirs::ServiceStatus]) {
    let mut services = Vec::with_capacity(all.len());
    let mut loads: HashMap<(&str, String), BackendStats> = HashMap::new();
    for theirs in all {
        let service = service(theirs);
        for backend in &service.backends {
            let key = (theirs.pool.as_str(), backend.address.clone());
            add(loads.entry(key).or_default(), backend);
        }
        stats.services.retain(|s| s.name != service.name);
        stats.services.push(common(&service));
        services.push(service);
    }
    stats.services.sort_by(|a, b| a.name.cmp(&b.name));
    for ((pool, address), load) in loads {
        merge(backend_of(stats, pool, address), &load);
    }
    let status = plane(status, &services);
    stats.l4 = Some(L4Stats { status, services });
}

/// What a service of the kernel has in common with all others.
fn common(service: &KernelService) -> ServiceStats {
    ServiceStats {
        name: service.name.clone(),
        connections_open: service.active + service.inactive,
        connections: service.traffic.connections,
        received_bytes: service.traffic.in_bytes,
        sent_bytes: service.traffic.out_bytes,
        ..ServiceStats::default()
    }
}

fn add(stats: &mut BackendStats, backend: &KernelBackend) {
    stats.in_flight += backend.connections();
    stats.connections_open += backend.connections();
    stats.connections += backend.traffic.connections;
    stats.sent_bytes += backend.traffic.in_bytes;
    stats.received_bytes += backend.traffic.out_bytes;
}

fn merge(into: &mut BackendStats, load: &BackendStats) {
    into.in_flight += load.in_flight;
    into.connections_open += load.connections_open;
    into.connections += load.connections;
    into.sent_bytes += load.sent_bytes;
    into.received_bytes += load.received_bytes;
}

/// The place of a backend among the counters, which are in the order of pools' names.
fn backend_of<'a>(stats: &'a mut Stats, pool: &str, address: String) -> &'a mut BackendStats {
    let found = stats.pools.binary_search_by(|p| p.name.as_str().cmp(pool));
    let at = found.unwrap_or_else(|at| {
        let name = pool.to_owned();
        let new = PoolStats {
            name,
            ..PoolStats::default()
        };
        stats.pools.insert(at, new);
        at
    });
    let backends = &mut stats.pools[at].backends;
    let at = backends
        .iter()
        .position(|b| b.address == address)
        .unwrap_or_else(|| {
            backends.push(BackendStats {
                address,
                ..BackendStats::default()
            });
            backends.len() - 1
        });
    &mut backends[at]
}

/// Puts what the kernel knows into a status.
pub(super) fn show(status: &mut Status, counted: &L4Stats) {
    status.l4 = Some(counted.status.clone());
    let mut by_name: HashMap<&str, &KernelService> = counted
        .services
        .iter()
        .map(|s| (s.name.as_str(), s))
        .collect();
    let mut loads: HashMap<(&str, &str), KernelLoad> = HashMap::new();
    for service in &mut status.services {
        let Some(kernel) = by_name.remove(service.name.as_str()) else {
            continue;
        };
        service.kernel = Some(kernel.clone());
        for (pool, backend) in service
            .pools
            .iter()
            .flat_map(|pool| kernel.backends.iter().map(move |b| (pool, b)))
        {
            let load = loads.entry((pool, &backend.address)).or_default();
            load.active += backend.active;
            load.inactive += backend.inactive;
            load.persistent += backend.persistent;
        }
    }
    for pool in &mut status.pools {
        for backend in &mut pool.backends {
            let key = (pool.name.as_str(), backend.address.as_str());
            backend.kernel = loads.get(&key).copied();
        }
    }
}

/// How many connections are looked at for one question: what a busy plane shows in about a tenth of a second.
const LOOK_AT: usize = 200_000;

/// Those connections that pass a filter.
pub(super) fn connections(kernel: &dyn Kernel, filter: &Filter, limit: usize) -> Connections {
    let all = kernel.connections(LOOK_AT);
    let wanted = |theirs: &&theirs::Connection| {
        filter.matches(&Seen {
            service: theirs.service.as_ref().map(Name::as_str),
            backend: Some(theirs.backend),
            client: Some(theirs.client),
            target: Some(theirs.target),
            protocol: theirs.protocol,
            ..Seen::default()
        })
    };
    let mut wanted = all.iter().filter(wanted);
    let connections: Vec<Connection> = wanted.by_ref().take(limit).map(connection).collect();
    Connections {
        connections,
        looked_at: all.len() as u64,
        more: all.len() >= LOOK_AT || wanted.next().is_some(),
    }
}
