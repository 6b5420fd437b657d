//! Listings of services and destinations, in ipvsadm's columns.

use std::fmt::{self, Write};

use control::ipvs::{
    Checksum, Destination, Method, Order, Persistence, Protocol, SchedulerFlags, Seed, Service,
    Tunnel, TunnelKind,
    listing::{CountedDestination, CountedService, Listing, Traffic},
};

use super::{Names, address::Writer, arguments::Format, number::column};

/// Services and destinations in the order in which they are listed.
pub(super) fn ordered(
    mut services: Vec<CountedService>,
    sorted: bool,
    seed: Seed,
) -> Vec<CountedService> {
    let order = if sorted {
        Order::Sorted(seed)
    } else {
        Order::Kernel(seed)
    };
    order.services(&mut services, |counted| &counted.service);
    for counted in &mut services {
        let destinations = std::mem::take(&mut counted.service.destinations);
        let counts = std::mem::take(&mut counted.destinations);
        let mut both: Vec<(Destination, CountedDestination)> =
            destinations.into_iter().zip(counts).collect();
        order.destinations(&mut both, |(destination, _)| destination);
        (counted.service.destinations, counted.destinations) = both.into_iter().unzip();
    }
    services
}

/// The whole table.
pub(super) fn table(
    out: &mut String,
    listing: Listing,
    format: Format,
    names: &dyn Names,
    seed: Seed,
) -> fmt::Result {
    writeln!(
        out,
        "IP Virtual Server version 1.2.1 (size={})",
        listing.size
    )?;
    titles(out, format);
    for counted in ordered(listing.services, !format.unsorted, seed) {
        service(out, &counted, format, names)?;
    }
    Ok(())
}

/// One service.
pub(super) fn one(
    out: &mut String,
    counted: CountedService,
    format: Format,
    names: &dyn Names,
    seed: Seed,
) -> fmt::Result {
    titles(out, format);
    for counted in ordered(vec![counted], !format.unsorted, seed) {
        service(out, &counted, format, names)?;
    }
    Ok(())
}

fn titles(out: &mut String, format: Format) {
    out.push_str(if format.stats {
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port\n"
    } else if format.rate {
        "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port\n"
    } else if format.thresholds {
        "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port\n"
    } else if format.persistent {
        "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  -> RemoteAddress:Port\n"
    } else if format.tunnel {
        "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n"
    } else {
        "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
    });
}

/// Its name in the first column.
pub(super) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

fn service(
    out: &mut String,
    counted: &CountedService,
    format: Format,
    names: &dyn Names,
) -> fmt::Result {
    let service = &counted.service;
    let writer = Writer {
        numeric: format.numeric,
        names,
    };
    let name = writer.cut(service.id.address, service.id.protocol);
    let prefix = protocol(service.id.protocol);
    if format.stats {
        writeln!(
            out,
            "{prefix:<4} {name:<28}{}",
            traffic(counted.counters.total, format)
        )?;
    } else if format.rate {
        writeln!(
            out,
            "{prefix:<4} {name:<28}{}",
            traffic(counted.counters.rate, format)
        )?;
    } else {
        write!(out, "{prefix:<4} {name} {}", service.scheduler)?;
        let flags = flags(service);
        if !flags.is_empty() {
            write!(out, " ({flags})")?;
        }
        if let Some(persistence) = service.persistence {
            write!(out, " persistent {}", persistence.timeout)?;
            if let Some(mask) = mask(service, persistence) {
                write!(out, " mask {mask}")?;
            }
            if let Some(engine) = &service.engine {
                write!(out, " pe {engine}")?;
            }
        }
        if service.one_packet {
            out.push_str(" ops");
        }
        out.push('\n');
    }
    for (destination, count) in service.destinations.iter().zip(&counted.destinations) {
        let name = writer.cut(destination.address, service.id.protocol);
        row(out, &name, destination, count, format)?;
    }
    Ok(())
}

fn row(
    out: &mut String,
    name: &str,
    destination: &Destination,
    count: &CountedDestination,
    format: Format,
) -> fmt::Result {
    let CountedDestination {
        active,
        inactive,
        persistent,
        ..
    } = count;
    let weight = destination.weight;
    write!(out, "  -> {name:<28}")?;
    if format.stats {
        return writeln!(out, "{}", traffic(count.counters.total, format));
    }
    if format.rate {
        return writeln!(out, "{}", traffic(count.counters.rate, format));
    }
    if format.thresholds {
        let (upper, lower) = (destination.upper, destination.lower);
        return writeln!(out, " {upper:<10} {lower:<10} {active:<10} {inactive:<10}");
    }
    if format.persistent {
        return writeln!(
            out,
            " {weight:<9} {persistent:<11} {active:<10} {inactive:<10}"
        );
    }
    let method = match destination.method {
        Method::Direct => "Route",
        Method::Tunnel => "Tunnel",
        Method::Masquerade => "Masq",
    };
    write!(out, " {method:<7} ")?;
    if format.tunnel {
        write!(out, "{:<13} ", tunnel(destination))?;
    }
    writeln!(out, "{weight:<6} {active:<10} {inactive:<10}")
}

fn traffic(traffic: Traffic, format: Format) -> String {
    [
        traffic.connections,
        traffic.in_packets,
        traffic.out_packets,
        traffic.in_bytes,
        traffic.out_bytes,
    ]
    .map(|number| column(number, format.exact))
    .concat()
}

fn tunnel(destination: &Destination) -> String {
    if destination.method != Method::Tunnel {
        return "n/a".into();
    }
    let Tunnel {
        kind,
        port,
        checksum,
    } = destination.tunnel;
    let checksum = match checksum {
        Checksum::None => "-c",
        Checksum::Full => "+c",
        Checksum::Remote => "r+c",
    };
    match kind {
        TunnelKind::IpIp => "ipip".into(),
        TunnelKind::Gue => format!("gue:{port}:{checksum}"),
        TunnelKind::Gre => format!("gre:{checksum}"),
    }
}

/// A service's scheduler flags by their names.
pub(super) fn flags(service: &Service) -> String {
    let names = match service.scheduler.as_str() {
        "sh" => ["sh-fallback", "sh-port", ""],
        "mh" => ["mh-fallback", "mh-port", ""],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let all = [
        SchedulerFlags::FALLBACK,
        SchedulerFlags::PORT,
        SchedulerFlags::THIRD,
    ];
    let set = all
        .into_iter()
        .zip(names)
        .filter(|(flag, name)| service.flags.has(*flag) && !name.is_empty());
    set.map(|(_, name)| name).collect::<Vec<_>>().join(",")
}

/// What of a client's address counts, if that is not all of it.
pub(super) fn mask(service: &Service, persistence: Persistence) -> Option<String> {
    let Persistence { mask4, prefix6, .. } = persistence;
    if service.id.address.is_ipv6() {
        (prefix6 != 128).then(|| prefix6.to_string())
    } else {
        (!mask4.is_broadcast()).then(|| mask4.to_string())
    }
}
