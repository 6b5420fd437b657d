//! A keeper of the table that is nothing but the model, and names as the system of the transcripts had them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use aplomb::ipvsadm::{Keeper, Names, SyncDaemon};
use control::ipvs::{
    Edit, Error, Features, Protocol, ServiceId, Table,
    listing::{Connection, CountedDestination, Counters, Listing, Traffic},
};

/// The model, with what a transcript says that was counted.
#[derive(Default)]
pub(crate) struct Model {
    table: Table,
    services: BTreeMap<ServiceId, Counters>,
    destinations: BTreeMap<(ServiceId, SocketAddr), CountedDestination>,
    connections: Vec<Connection>,
    /// Connection sync that runs.
    pub(crate) sync: Vec<SyncDaemon>,
}

impl Keeper for Model {
    fn edit(&mut self, edits: &[Edit]) -> Result<Vec<Result<(), Error>>, String> {
        let mut outcomes = Vec::new();
        for edit in edits {
            let outcome = self.table.edit(edit, Features::ALL);
            if let (Edit::Zero(id), Ok(())) = (edit, &outcome) {
                self.zero(*id);
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn listing(&mut self) -> Result<Listing, String> {
        let mut listing = Listing::of(&self.table, 4096);
        for counted in &mut listing.services {
            let id = counted.service.id;
            counted.counters = self.services.get(&id).copied().unwrap_or_default();
            let destinations = counted.service.destinations.iter();
            for (destination, counts) in destinations.zip(&mut counted.destinations) {
                let known = self.destinations.get(&(id, destination.address));
                *counts = known.copied().unwrap_or_default();
            }
        }
        Ok(listing)
    }

    fn connections(&mut self) -> Result<Vec<Connection>, String> {
        Ok(self.connections.clone())
    }

    fn sync(&mut self) -> Result<Vec<SyncDaemon>, String> {
        Ok(self.sync.clone())
    }
}

impl Model {
    fn zero(&mut self, only: Option<ServiceId>) {
        let meant = |id: ServiceId| only.is_none_or(|only| only == id);
        for (id, counters) in &mut self.services {
            if meant(*id) {
                counters.total = Traffic::default();
            }
        }
        for ((id, _), counts) in &mut self.destinations {
            if meant(*id) {
                counts.counters.total = Traffic::default();
            }
        }
    }

    /// Counts what a listing says that was counted.
    pub(crate) fn count_as(&mut self, printed: &str, line: &str, hosts: &Hosts) {
        let mut service = None;
        for row in printed.lines() {
            let words: Vec<&str> = row.split_whitespace().collect();
            let Some((protocol, name, rest)) = (match words.as_slice() {
                ["->", name, rest @ ..] => service.map(|id: ServiceId| (id.protocol, *name, rest)),
                [protocol, name, rest @ ..] => {
                    service = None;
                    self::protocol(protocol).map(|protocol| (protocol, *name, rest))
                }
                _ => None,
            }) else {
                continue;
            };
            let numbers: Vec<u64> = rest.iter().filter_map(|word| word.parse().ok()).collect();
            let Some(address) = hosts.read(name, protocol) else {
                continue;
            };
            let Some(id) = service else {
                let id = ServiceId { protocol, address };
                service = Some(id);
                traffic(&numbers, line, self.services.entry(id).or_default());
                continue;
            };
            let counts = self.destinations.entry((id, address)).or_default();
            traffic(&numbers, line, &mut counts.counters);
            let small = |at: usize| numbers.get(at).and_then(|n| u32::try_from(*n).ok());
            let (active, inactive) = match numbers.len() {
                3 => (small(1), small(2)),
                4 => (small(2), small(3)),
                _ => continue,
            };
            counts.active = active.unwrap();
            counts.inactive = inactive.unwrap();
            if line.contains("--persistent-conn") {
                counts.persistent = small(1).unwrap();
            }
        }
    }

    /// Has the connections that a listing says there were.
    pub(crate) fn connect_as(&mut self, printed: &str, hosts: &Hosts) {
        if !printed.starts_with("IPVS connection entries\n") {
            return;
        }
        self.connections.clear();
        for row in printed.lines() {
            let words: Vec<&str> = row.split_whitespace().collect();
            let [kind, expires, state, client, service, destination] = words.as_slice() else {
                continue;
            };
            let Some(protocol) = protocol(kind) else {
                continue;
            };
            let (minutes, seconds) = expires.split_once(':').unwrap();
            let address = |name: &str| hosts.read(name, protocol).unwrap();
            self.connections.push(Connection {
                protocol,
                client: address(client),
                service: address(service),
                destination: address(destination),
                state: (*state).to_owned(),
                expires: minutes.parse::<u64>().unwrap() * 60 + seconds.parse::<u64>().unwrap(),
            });
        }
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn traffic(numbers: &[u64], line: &str, counters: &mut Counters) {
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = *numbers else {
        return;
    };
    let traffic = Traffic {
        connections,
        in_packets,
        out_packets,
        in_bytes,
        out_bytes,
    };
    if line.contains("--stats") {
        counters.total = traffic;
    } else if line.contains("--rate") {
        counters.rate = traffic;
    }
}

/// The hosts and services of the system of the transcripts.
pub(crate) struct Hosts(Vec<(IpAddr, String)>);

/// What of its services file the transcripts speak of.
const SERVICES: [(&str, u16, Protocol); 12] = [
    ("ftp", 21, Protocol::Tcp),
    ("domain", 53, Protocol::Tcp),
    ("domain", 53, Protocol::Udp),
    ("tftp", 69, Protocol::Udp),
    ("http", 80, Protocol::Tcp),
    ("https", 443, Protocol::Tcp),
    ("https", 443, Protocol::Udp),
    ("sip", 5060, Protocol::Tcp),
    ("sip", 5060, Protocol::Udp),
    ("mdns", 5353, Protocol::Udp),
    ("http-alt", 8080, Protocol::Tcp),
    ("http-alt", 8080, Protocol::Udp),
];

impl Default for Hosts {
    fn default() -> Self {
        let mut hosts = Self(Vec::new());
        hosts.add("127.0.0.1", "localhost");
        hosts.add("192.168.1.100", "vip.test");
        hosts.add("10.0.0.11", "rs1.test");
        hosts.add("10.0.0.12", "rs2.test");
        hosts.add("10.0.0.13", "a-very-long-real-server-name.example.test");
        hosts
    }
}

impl Hosts {
    pub(crate) fn add(&mut self, address: &str, name: &str) {
        self.0.push((address.parse().unwrap(), name.to_owned()));
    }

    /// An address as a listing writes it; names may be cut.
    fn read(&self, text: &str, protocol: Protocol) -> Option<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        let known = self.0.iter().find(|(_, name)| name == host);
        let ip = known.map(|(ip, _)| *ip).or_else(|| host.parse().ok())?;
        let port = port.parse().ok().or_else(|| self.port(port, protocol))?;
        Some(SocketAddr::new(ip, port))
    }
}

impl Names for Hosts {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        self.0.iter().find_map(|(ip, name)| match ip {
            IpAddr::V4(ip) if name == host => Some(*ip),
            _ => None,
        })
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let mut all = SERVICES.iter();
        let found = all.find(|(name, _, p)| *name == service && *p == protocol)?;
        Some(found.1)
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        let found = self.0.iter().find(|(ip, _)| *ip == address)?;
        Some(found.1.clone())
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        let mut all = SERVICES.iter();
        let found = all.find(|(_, number, p)| *number == port && *p == protocol)?;
        Some(found.0.to_owned())
    }
}
