//! The configuration in force: the file's, with what `ipvsadm` changed put in.
//!
//! What a file says beyond IPVS (checks, MSS, QUIC …) stays with the services and backends that `ipvsadm` touched.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Checksum, Destination, Method, Overlay, Protocol, SchedulerFlags, Service, ServiceId, Timeouts,
    TunnelKind, read,
};
use crate::{
    name::Name,
    spec::{
        self, BackendSpec, Balance, Forward, HashKey, KernelSpec, Listen, PersistenceSpec,
        PoolSpec, Scheme, ServiceKind, ServiceSpec, Share, Spec, TunnelSpec,
        check::PassiveSpec,
        pool::{ConnectSpec, QueueSpec},
    },
};

impl Overlay {
    /// The configuration in force, of the file's.
    #[must_use]
    pub fn effective(&self, file: &Spec) -> Spec {
        let mut spec = file.clone();
        if let Some(Timeouts { tcp, tcp_fin, udp }) = self.timeouts {
            let seconds = |n: u32| Duration::from_secs(n.into());
            let all = &mut spec.l4.timeouts;
            all.tcp = seconds(tcp);
            all.tcp_fin = seconds(tcp_fin);
            all.udp = seconds(udp);
        }
        for id in &self.removed {
            let _ = take(&mut spec, *id);
        }
        for service in &self.services {
            put(&mut spec, service);
        }
        spec
    }
}

/// What was found of a service that is to be another.
struct Found {
    service: ServiceSpec,
    kernel: KernelSpec,
    pool: Arc<PoolSpec>,
    /// Where it stood, if nothing else is left of it there.
    place: Option<usize>,
}

/// Takes what listens there out of the configuration, and with it the service, if it listens nowhere else.
fn take(spec: &mut Spec, id: ServiceId) -> Option<Found> {
    let at = spec.services.iter().position(|service| {
        matches!(service.kind, ServiceKind::Kernel(_))
            && service.listen.iter().any(|l| read::id_of(*l) == Some(id))
    })?;
    let service = (**spec.services.get(at)?).clone();
    let ServiceKind::Kernel(kernel) = service.kind.clone() else {
        return None;
    };
    let pool = Arc::clone(spec.pool(&kernel.pool)?);
    let mut rest = service.clone();
    rest.listen.retain(|l| read::id_of(*l) != Some(id));
    let alone = rest.listen.is_empty();
    if alone {
        drop(spec.services.remove(at));
    } else if let Some(place) = spec.services.get_mut(at) {
        *place = Arc::new(rest);
    }
    Some(Found {
        service,
        kernel: *kernel,
        pool,
        place: alone.then_some(at),
    })
}

/// Puts a service in as `ipvsadm` has it.
fn put(spec: &mut Spec, new: &Service) {
    let found = take(spec, new.id);
    let mut kernel = match &found {
        Some(found) => found.kernel.clone(),
        None => KernelSpec::new(Forward::Direct, own_name(spec, new.id)),
    };
    let used = |name: &Name| spec.services.iter().any(|s| s.pools().contains(&name));
    let pool = pool(new, &kernel, found.as_ref().map(|f| &*f.pool));
    kernel.pool = match &found {
        Some(found) if *found.pool == pool => pool.name,
        // The file's pool is this service's alone: it may change under its own name.
        Some(found) if !used(&found.pool.name) => {
            replace(&mut spec.pools, &pool);
            pool.name
        }
        _ => {
            let name = own_name(spec, new.id);
            let pool = PoolSpec {
                name: name.clone(),
                ..pool
            };
            spec.pools.push(Arc::new(pool));
            name
        }
    };
    let hashes = matches!(new.scheduler.as_str(), "sh" | "mh");
    kernel.fallback = hashes && new.flags.has(SchedulerFlags::FALLBACK);
    kernel.hash_port = hashes && new.flags.has(SchedulerFlags::PORT);
    kernel.persistence = new.persistence.map(|p| PersistenceSpec {
        timeout: Duration::from_secs(p.timeout.into()),
        mask4: p.mask4,
        prefix6: p.prefix6,
    });
    kernel.one_packet = new.one_packet;
    kernel.ipvs = true;

    let (name, place) = match &found {
        Some(Found {
            service,
            place: Some(place),
            ..
        }) => (service.name.clone(), Some(*place)),
        _ => (own_service_name(spec, new.id), None),
    };
    let service = Arc::new(ServiceSpec {
        name,
        listen: vec![listen(new.id)],
        kind: ServiceKind::Kernel(Box::new(kernel)),
        ..found.map_or_else(|| bare(new.id), |found| found.service)
    });
    match place {
        Some(place) => spec.services.insert(place, service),
        None => spec.services.push(service),
    }
}

fn replace(pools: &mut [Arc<PoolSpec>], new: &PoolSpec) {
    if let Some(place) = pools.iter_mut().find(|pool| pool.name == new.name) {
        *place = Arc::new(new.clone());
    }
}

/// A service with nothing but where it is.
fn bare(id: ServiceId) -> ServiceSpec {
    let name = base_name(id);
    ServiceSpec {
        kind: ServiceKind::Kernel(Box::new(KernelSpec::new(Forward::Direct, name.clone()))),
        name,
        listen: vec![listen(id)],
        accept_proxy_protocol: Vec::new(),
        max_connections: None,
        access_log: None,
    }
}

fn listen(id: ServiceId) -> Listen {
    let scheme = match id.protocol {
        Protocol::Tcp => Scheme::Tcp,
        Protocol::Udp => Scheme::Udp,
        Protocol::Sctp => Scheme::Sctp,
    };
    match id.address.port() {
        0 => Listen::all_ports(scheme, id.address.ip()),
        _ => Listen::new(scheme, id.address),
    }
}

/// `ipvs-tcp-192.168.1.100-80`.
fn base_name(id: ServiceId) -> Name {
    let ip = id.address.ip().to_string().replace(':', "-");
    let text = format!("ipvs-{}-{ip}-{}", id.protocol.word(), id.address.port());
    text.parse()
        .expect("at most 10 characters, an address's 39 and a port's 6, all of them allowed")
}

fn own_name(spec: &Spec, id: ServiceId) -> Name {
    free(id, &spec.pools.iter().map(|p| &p.name).collect())
}

fn own_service_name(spec: &Spec, id: ServiceId) -> Name {
    free(id, &spec.services.iter().map(|s| &s.name).collect())
}

/// A name that nothing else has.
fn free(id: ServiceId, taken: &BTreeSet<&Name>) -> Name {
    let base = base_name(id);
    let others = (2..).filter_map(|n: u32| format!("{base}-{n}").parse::<Name>().ok());
    std::iter::once(base.clone())
        .chain(others)
        .find(|name| !taken.contains(name))
        .unwrap_or(base)
}

/// The pool of a service; what IPVS does not know of stays as in `old`, whose name it has.
fn pool(new: &Service, kernel: &KernelSpec, old: Option<&PoolSpec>) -> PoolSpec {
    let mut pool = old.cloned().unwrap_or_else(|| PoolSpec {
        name: kernel.pool.clone(),
        balance: Balance::WeightedLeastConnections,
        checks: Vec::new(),
        agent: None,
        passive: PassiveSpec::default(),
        panic_below: Share::NONE,
        slow_start: Duration::ZERO,
        queue: QueueSpec::default(),
        drain: None,
        connect: ConnectSpec::default(),
        backends: Vec::new(),
    });
    if read::scheduler(&pool.balance) != new.scheduler {
        pool.balance = balance(&new.scheduler);
    }
    let port = new.id.address.port();
    // The file's order is that of adding.
    pool.backends = (new.destinations.iter().rev())
        .map(|wanted| {
            let had =
                |b: &&BackendSpec| read::destination(b, kernel, port).address == wanted.address;
            let old = old.and_then(|old| old.backends.iter().find(had));
            backend(wanted, kernel, port, old)
        })
        .collect();
    pool
}

fn backend(
    wanted: &Destination,
    kernel: &KernelSpec,
    port: u16,
    old: Option<&BackendSpec>,
) -> BackendSpec {
    if let Some(old) = old.filter(|old| read::destination(old, kernel, port) == *wanted) {
        return old.clone();
    }
    let mut backend = old
        .cloned()
        .unwrap_or_else(|| BackendSpec::at(wanted.address));
    let forward = match wanted.method {
        Method::Direct => Forward::Direct,
        Method::Tunnel => Forward::Tunnel,
        Method::Masquerade => Forward::Nat,
    };
    backend.forward = (forward != kernel.forward).then_some(forward);
    backend.tunnel = (wanted.method == Method::Tunnel)
        .then(|| tunnel(wanted))
        .filter(|tunnel| *tunnel != kernel.tunnel);
    backend.weight = wanted.weight;
    backend.max_connections = (wanted.upper > 0).then_some(wanted.upper);
    backend.resume_below = (wanted.lower > 0).then_some(wanted.lower);
    backend
}

fn tunnel(wanted: &Destination) -> TunnelSpec {
    TunnelSpec {
        kind: match wanted.tunnel.kind {
            TunnelKind::IpIp => spec::TunnelKind::IpIp,
            TunnelKind::Gue => spec::TunnelKind::Gue,
            TunnelKind::Gre => spec::TunnelKind::Gre,
        },
        port: wanted.tunnel.port,
        checksum: wanted.tunnel.checksum != Checksum::None,
    }
}

/// How that scheduler chooses. The table has no other names than these.
fn balance(scheduler: &str) -> Balance {
    match scheduler {
        "rr" => Balance::RoundRobin,
        "wrr" => Balance::WeightedRoundRobin,
        "lc" => Balance::LeastConnections,
        "sed" => Balance::ShortestExpectedDelay,
        "nq" => Balance::NeverQueue,
        "sh" => Balance::Hash(HashKey::Source),
        "mh" => Balance::Maglev(HashKey::Source),
        "dh" => Balance::DestinationHash,
        "lblc" => Balance::LocalityLeastConnections,
        "lblcr" => Balance::ReplicatedLocality,
        "fo" => Balance::Failover,
        "ovf" => Balance::Overflow,
        "twos" => Balance::LeastOfTwo,
        _ => Balance::WeightedLeastConnections,
    }
}
