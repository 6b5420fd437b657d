//! Services with their backends: loads and traffic.

use std::{collections::BTreeSet, net::SocketAddr};

use control::name::Name;
use xdp::abi::{Cookies, Encap, Method as AbiMethod, backend_flags, service_flags};

use crate::{
    maps::Maps,
    plane::{Plane, lock},
    status::{BackendStatistics, CookieStatus, Method, ServiceStatus, Traffic, Tunnel, Word},
    tables::{Held, Kept},
    worker::rates::{Meter, add, shown, sum},
};

/// All services that the plan has.
pub(crate) fn services(plane: &Plane) -> Vec<ServiceStatus> {
    let loaded = plane.loaded();
    let tables = lock(&plane.tables);
    let meter = lock(&plane.meter);
    let services = tables.services();
    services
        .filter_map(|(name, held)| service(name, held, &loaded.maps, &meter))
        .collect()
}

fn service(name: &Name, held: &Held, maps: &Maps, meter: &Meter) -> Option<ServiceStatus> {
    let (service, pool) = held.plan()?;
    let mut status = ServiceStatus {
        name: Name::clone(name),
        pool: Name::clone(&pool.spec.name),
        listen: service
            .spec
            .listen
            .iter()
            .map(ToString::to_string)
            .collect(),
        balance: word(&pool.spec.balance),
        active: 0,
        inactive: 0,
        persistent: 0,
        traffic: Traffic::default(),
        rates: crate::status::Rates::default(),
        cookies: cookies(held, maps),
        backends: Vec::new(),
    };
    let mut rates = [0.0; 5];
    let in_plan: BTreeSet<_> = pool.members.iter().map(|m| m.address()).collect();
    let listed = pool.members.iter().filter_map(|m| {
        let (address, kept) = held.backends.get_key_value(&m.address())?;
        Some((address, kept, m.weight))
    });
    let gone = held.backends.iter().filter_map(|(address, kept)| {
        let weight = kept.record.weight / held.scale();
        (!in_plan.contains(address)).then_some((address, kept, weight))
    });
    for (address, kept, weight) in listed.chain(gone) {
        let (backend, its_rates) = backend(*address, (kept, weight), maps, meter);
        status.active += u64::from(backend.active);
        status.inactive += u64::from(backend.inactive);
        status.persistent += u64::from(backend.persistent);
        add(&mut status.traffic, &backend.traffic);
        for (all, one) in rates.iter_mut().zip(its_rates) {
            *all += one;
        }
        status.backends.push(backend);
    }
    status.rates = shown(&rates);
    Some(status)
}

/// What became of its SYN cookies.
fn cookies(held: &Held, maps: &Maps) -> Option<CookieStatus> {
    if held.record.flags & service_flags::SYN_COOKIES == 0 {
        return None;
    }
    let automatic = held.record.flags & service_flags::COOKIES_AUTO != 0;
    // A count that is being put right may be below zero for a moment.
    let open = maps.guards.get(held.slot).unwrap_or_default().open as i32;
    let most = maps.secret.get(&0).ok()??.open as i32;
    let each = maps.cookies.get(held.slot).ok()?;
    let Cookies {
        sent,
        accepted,
        bad,
    } = super::cookies(&each);
    Some(CookieStatus {
        active: !automatic || open > most,
        open: automatic.then(|| open.max(0).unsigned_abs()),
        sent,
        accepted,
        bad,
    })
}

/// A backend with its weight, slow start aside.
fn backend(
    address: SocketAddr,
    (kept, weight): (&Kept, u32),
    maps: &Maps,
    meter: &Meter,
) -> (BackendStatistics, [f64; 5]) {
    let record = &kept.record;
    let load = maps.loads.get(kept.slot).unwrap_or_default();
    let counters = maps
        .counters
        .get(kept.slot)
        .map(|c| sum(&c))
        .unwrap_or_default();
    let (traffic, rates) = meter.of(kept.slot, &counters);
    // A count that is being put right may be below zero for a moment.
    let count = |n: u32| if n > i32::MAX as u32 { 0 } else { n };
    let method = match AbiMethod::of(record.method) {
        AbiMethod::Nat => Method::Nat,
        AbiMethod::Direct => Method::Direct,
        AbiMethod::Tunnel => Method::Tunnel,
        AbiMethod::Local => Method::Local,
    };
    let statistics = BackendStatistics {
        address,
        method,
        tunnel: (method == Method::Tunnel).then(|| Tunnel {
            kind: encap(record.encap),
            port: u16::from_be(record.tunnel_port),
            checksum: record.flags & backend_flags::TUNNEL_CHECKSUM != 0,
        }),
        weight,
        takes: record.flags & backend_flags::TAKES != 0,
        removed: kept.is_removed(),
        upper: record.upper,
        lower: record.lower,
        full: record.upper > 0 && load.full != 0,
        active: count(load.active),
        inactive: count(load.inactive),
        persistent: load.persistent,
        traffic,
        rates: shown(&rates),
    };
    (statistics, rates)
}

fn encap(number: u8) -> Word {
    match Encap::of(number) {
        Encap::IpIp => "ipip",
        Encap::Gue => "gue",
        Encap::Gre => "gre",
    }
    .into()
}

/// The word of the scheduler, by IPVS's names.
pub(crate) fn word(balance: &control::spec::Balance) -> Word {
    use control::spec::Balance as B;
    match balance {
        B::RoundRobin => "rr",
        B::WeightedRoundRobin | B::Random => "wrr",
        B::LeastConnections => "lc",
        B::WeightedLeastConnections | B::LeastTime => "wlc",
        B::ShortestExpectedDelay => "sed",
        B::NeverQueue => "nq",
        B::LeastOfTwo => "twos",
        B::Hash(_) => "sh",
        B::Maglev(_) => "mh",
        B::DestinationHash => "dh",
        B::LocalityLeastConnections => "lblc",
        B::ReplicatedLocality => "lblcr",
        B::First | B::Failover => "fo",
        B::Overflow => "ovf",
    }
    .into()
}
