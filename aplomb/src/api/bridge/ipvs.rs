//! What the kernel counts, put to the table of virtual services that `ipvsadm` shows.
//!
//! A service of the configuration that listens at several addresses is several virtual services; each shows what is
//! counted for all of them.

use control::{
    ipvs::{
        Destination, Method, Protocol, ServiceId, Table,
        listing::{Connection, CountedDestination, Counters, Listing, Traffic},
    },
    name::Name,
    spec::{Listen, Scheme},
};
use l4::status as theirs;

/// The table with what these count.
pub(super) fn listing(table: &Table, size: u32, counted: &[theirs::ServiceStatus]) -> Listing {
    let mut listing = Listing::of(table, size);
    for ours in &mut listing.services {
        let Some(theirs) = find(counted, ours.service.id) else {
            continue;
        };
        ours.counters = counters(theirs.traffic, theirs.rates);
        for (destination, counts) in ours.service.destinations.iter().zip(&mut ours.destinations) {
            if let Some(backend) = backend(theirs, destination) {
                *counts = CountedDestination {
                    counters: counters(backend.traffic, backend.rates),
                    active: backend.active,
                    inactive: backend.inactive,
                    persistent: backend.persistent,
                };
            }
        }
    }
    listing
}

/// The name of the service that counts for a virtual one.
pub(super) fn name(counted: &[theirs::ServiceStatus], id: ServiceId) -> Option<&Name> {
    find(counted, id).map(|service| &service.name)
}

fn find(counted: &[theirs::ServiceStatus], id: ServiceId) -> Option<&theirs::ServiceStatus> {
    let scheme = match id.protocol {
        Protocol::Tcp => Scheme::Tcp,
        Protocol::Udp => Scheme::Udp,
        Protocol::Sctp => Scheme::Sctp,
    };
    let listen = match id.address.port() {
        0 => Listen::all_ports(scheme, id.address.ip()),
        _ => Listen::new(scheme, id.address),
    };
    let listen = listen.to_string();
    counted
        .iter()
        .find(|service| service.listen.contains(&listen))
}

fn backend<'a>(
    service: &'a theirs::ServiceStatus,
    destination: &Destination,
) -> Option<&'a theirs::BackendStatistics> {
    let wanted = destination.address;
    let mut all = service.backends.iter();
    all.clone().find(|b| b.address == wanted).or_else(|| {
        // Without translation a destination is shown with the service's port, whatever the configuration says.
        all.find(|b| destination.method != Method::Masquerade && b.address.ip() == wanted.ip())
    })
}

fn counters(total: theirs::Traffic, rates: theirs::Rates) -> Counters {
    Counters {
        total: Traffic {
            connections: total.connections,
            in_packets: total.in_packets,
            out_packets: total.out_packets,
            in_bytes: total.in_bytes,
            out_bytes: total.out_bytes,
        },
        rate: Traffic {
            connections: rates.connections,
            in_packets: rates.in_packets,
            out_packets: rates.out_packets,
            in_bytes: rates.in_bytes,
            out_bytes: rates.out_bytes,
        },
    }
}

/// A connection of the kernel's; none: it is of a protocol that IPVS does not have.
pub(super) fn connection(theirs: theirs::Connection) -> Option<Connection> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    Some(Connection {
        protocol: all.into_iter().find(|p| p.number() == theirs.protocol)?,
        client: theirs.client,
        service: theirs.target,
        destination: theirs.backend,
        state: theirs.state.into_owned(),
        expires: theirs.expires.into(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use control::ipvs::{Edit, Features, Service};

    use super::*;

    fn id(address: &str) -> ServiceId {
        ServiceId {
            protocol: Protocol::Tcp,
            address: address.parse().unwrap(),
        }
    }

    fn backend(address: &str, connections: u64) -> theirs::BackendStatistics {
        theirs::BackendStatistics {
            address: address.parse().unwrap(),
            method: theirs::Method::Direct,
            tunnel: None,
            weight: 1,
            takes: true,
            removed: false,
            upper: 0,
            lower: 0,
            full: false,
            active: 2,
            inactive: 3,
            persistent: 4,
            traffic: theirs::Traffic {
                connections,
                ..theirs::Traffic::default()
            },
            rates: theirs::Rates {
                in_bytes: 7,
                ..theirs::Rates::default()
            },
        }
    }

    #[test]
    fn counters_find_their_service_and_destination() {
        let mut table = Table::default();
        for address in ["192.0.2.1:80", "192.0.2.2:80"] {
            let service = Service::new(id(address));
            let edits = [
                Edit::AddService(service.clone()),
                Edit::AddDestination(
                    service.id,
                    Destination::new("10.0.0.1:80".parse().unwrap(), Method::Direct),
                ),
                Edit::AddDestination(
                    service.id,
                    Destination::new("10.0.0.2:8080".parse().unwrap(), Method::Masquerade),
                ),
            ];
            for edit in edits {
                table.edit(&edit, Features::OURS).unwrap();
            }
        }
        let counted = [theirs::ServiceStatus {
            name: "web".parse().unwrap(),
            pool: "web".parse().unwrap(),
            listen: vec!["tcp://192.0.2.2:80".into(), "tcp://192.0.2.3:80".into()],
            balance: "wlc".into(),
            active: 4,
            inactive: 6,
            persistent: 8,
            traffic: theirs::Traffic {
                connections: 30,
                ..theirs::Traffic::default()
            },
            rates: theirs::Rates::default(),
            cookies: None,
            // The first as the configuration has it, with the port left out.
            backends: vec![backend("10.0.0.1:0", 10), backend("10.0.0.2:8080", 20)],
        }];
        let listing = listing(&table, 16, &counted);
        let connections = |at: usize| {
            let service = &listing.services[at];
            let of = |c: &CountedDestination| c.counters.total.connections;
            let destinations: Vec<u64> = service.destinations.iter().map(of).collect();
            (service.counters.total.connections, destinations)
        };
        assert_eq!(connections(0), (0, vec![0, 0]), "nothing counts for it");
        // Last added first.
        assert_eq!(connections(1), (30, vec![20, 10]));
        let counts = listing.services[1].destinations[0];
        assert_eq!(
            (counts.active, counts.inactive, counts.persistent),
            (2, 3, 4)
        );
        assert_eq!(counts.counters.rate.in_bytes, 7);
        assert_eq!(
            name(&counted, id("192.0.2.3:80")).map(Name::as_str),
            Some("web")
        );
        assert_eq!(name(&counted, id("192.0.2.1:80")), None);
    }
}
