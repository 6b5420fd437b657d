//! The table as arguments that make it again (`-S`).

use std::fmt::{self, Write};

use control::ipvs::{
    Checksum, Destination, Method, Protocol, Seed, Service, TunnelKind, listing::Listing,
};

use super::{Names, address::Writer, list};

/// All of it. Thresholds are not in it, as with `ipvsadm`.
pub(super) fn table(
    out: &mut String,
    listing: Listing,
    numeric: bool,
    names: &dyn Names,
    seed: Seed,
) -> fmt::Result {
    let writer = Writer { numeric, names };
    for counted in list::ordered(listing.services, true, seed) {
        let service = &counted.service;
        let protocol = service.id.protocol;
        let option = match protocol {
            Protocol::Tcp => "-t",
            Protocol::Udp => "-u",
            Protocol::Sctp => "--sctp-service",
        };
        let name = format!("{option} {}", writer.full(service.id.address, protocol));
        add_service(out, &name, service)?;
        for destination in &service.destinations {
            let server = writer.full(destination.address, protocol);
            add_server(out, &name, &server, destination)?;
        }
    }
    Ok(())
}

fn add_service(out: &mut String, name: &str, service: &Service) -> fmt::Result {
    write!(out, "-A {name} -s {}", service.scheduler)?;
    if let Some(persistence) = service.persistence {
        write!(out, " -p {}", persistence.timeout)?;
        if let Some(mask) = list::mask(service, persistence) {
            write!(out, " -M {mask}")?;
        }
    }
    if let Some(engine) = &service.engine {
        write!(out, " --pe {engine}")?;
    }
    if service.one_packet {
        out.push_str(" -o");
    }
    let flags = list::flags(service);
    if !flags.is_empty() {
        write!(out, " -b {flags}")?;
    }
    out.push('\n');
    Ok(())
}

fn add_server(
    out: &mut String,
    name: &str,
    server: &str,
    destination: &Destination,
) -> fmt::Result {
    let method = match destination.method {
        Method::Direct => "-g",
        Method::Tunnel => "-i",
        Method::Masquerade => "-m",
    };
    write!(
        out,
        "-a {name} -r {server} {method} -w {}",
        destination.weight
    )?;
    if destination.method == Method::Tunnel {
        let checksum = match destination.tunnel.checksum {
            Checksum::None => "--tun-nocsum",
            Checksum::Full => "--tun-csum",
            Checksum::Remote => "--tun-remcsum",
        };
        match destination.tunnel.kind {
            TunnelKind::IpIp => out.push_str(" --tun-type ipip"),
            TunnelKind::Gue => {
                let port = destination.tunnel.port;
                write!(out, " --tun-type gue --tun-port {port} {checksum}")?;
            }
            TunnelKind::Gre => write!(out, " --tun-type gre {checksum}")?,
        }
    }
    out.push('\n');
    Ok(())
}
