//! A configuration's kernel services as IPVS would show them.
//!
//! A service that listens at several addresses is as many services here. Port ranges are left out: IPVS has none, so
//! they can be neither shown nor changed by its means.

use std::net::SocketAddr;

use super::{
    Checksum, Destination, Method, Persistence, Protocol, SchedulerFlags, Service, ServiceId,
    Table, Timeouts, Tunnel, TunnelKind,
};
use crate::spec::{
    self, BackendSpec, Balance, Forward, KernelSpec, Listen, PoolSpec, Scheme, ServiceKind, Spec,
    TunnelSpec,
};

impl Table {
    /// The kernel services of a configuration.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        let mut services: Vec<Service> = Vec::new();
        for one in &spec.services {
            let ServiceKind::Kernel(kernel) = &one.kind else {
                continue;
            };
            let Some(pool) = spec.pool(&kernel.pool) else {
                continue;
            };
            let ids = one.listen.iter().filter_map(|listen| id_of(*listen));
            services.extend(ids.map(|id| service(id, kernel, pool)));
        }
        Self {
            services,
            timeouts: timeouts(spec),
        }
    }
}

/// What names the service that listens there; none: IPVS has no such thing.
pub(super) fn id_of(listen: Listen) -> Option<ServiceId> {
    let protocol = match listen.scheme {
        Scheme::Tcp => Protocol::Tcp,
        Scheme::Udp => Protocol::Udp,
        Scheme::Sctp => Protocol::Sctp,
        Scheme::Http | Scheme::Https => return None,
    };
    (listen.is_single() || listen.is_all_ports()).then_some(ServiceId {
        protocol,
        address: listen.address,
    })
}

pub(super) fn timeouts(spec: &Spec) -> Timeouts {
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let of = &spec.l4.timeouts;
    Timeouts {
        tcp: seconds(of.tcp),
        tcp_fin: seconds(of.tcp_fin),
        udp: seconds(of.udp),
    }
}

fn service(id: ServiceId, kernel: &KernelSpec, pool: &PoolSpec) -> Service {
    let mut flags = 0;
    if kernel.fallback {
        flags |= SchedulerFlags::FALLBACK;
    }
    if kernel.hash_port {
        flags |= SchedulerFlags::PORT;
    }
    let persistence = kernel.persistence.map(|p| Persistence {
        timeout: u32::try_from(p.timeout.as_secs()).unwrap_or(u32::MAX),
        mask4: p.mask4,
        prefix6: p.prefix6,
    });
    Service {
        id,
        scheduler: scheduler(&pool.balance).into(),
        flags: SchedulerFlags(flags),
        persistence,
        engine: None,
        one_packet: kernel.one_packet,
        destinations: pool
            .backends
            .iter()
            .rev()
            .map(|backend| destination(backend, kernel, id.address.port()))
            .collect(),
    }
}

/// A backend as the destination of a service at `port`.
pub(super) fn destination(backend: &BackendSpec, kernel: &KernelSpec, port: u16) -> Destination {
    let method = match backend.forward.unwrap_or(kernel.forward) {
        Forward::Direct => Method::Direct,
        Forward::Tunnel => Method::Tunnel,
        Forward::Nat | Forward::Proxy => Method::Masquerade,
    };
    let tunnel = match method {
        Method::Tunnel => tunnel(backend.tunnel.unwrap_or(kernel.tunnel)),
        Method::Direct | Method::Masquerade => Tunnel::IPIP,
    };
    // Without translation the port stays what it was: IPVS shows the service's.
    let port = match method {
        Method::Masquerade => backend.address.port(),
        Method::Direct | Method::Tunnel => port,
    };
    Destination {
        address: SocketAddr::new(backend.address.ip(), port),
        method,
        weight: backend.weight,
        upper: backend.max_connections.unwrap_or(0),
        lower: backend.resume_below.unwrap_or(0),
        tunnel,
    }
}

fn tunnel(tunnel: TunnelSpec) -> Tunnel {
    Tunnel {
        kind: match tunnel.kind {
            spec::TunnelKind::IpIp => TunnelKind::IpIp,
            spec::TunnelKind::Gue => TunnelKind::Gue,
            spec::TunnelKind::Gre => TunnelKind::Gre,
        },
        port: tunnel.port,
        checksum: if tunnel.checksum {
            Checksum::Full
        } else {
            Checksum::None
        },
    }
}

/// IPVS's name of a way to choose; ours where it has none.
pub(super) fn scheduler(balance: &Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "rr",
        Balance::WeightedRoundRobin => "wrr",
        Balance::LeastConnections => "lc",
        Balance::WeightedLeastConnections => "wlc",
        Balance::ShortestExpectedDelay => "sed",
        Balance::NeverQueue => "nq",
        Balance::LeastOfTwo => "twos",
        Balance::Hash(_) => "sh",
        Balance::Maglev(_) => "mh",
        Balance::DestinationHash => "dh",
        Balance::LocalityLeastConnections => "lblc",
        Balance::ReplicatedLocality => "lblcr",
        Balance::Failover => "fo",
        Balance::Overflow => "ovf",
        Balance::Random => "random",
        Balance::First => "first",
        Balance::LeastTime => "least-time",
    }
}
