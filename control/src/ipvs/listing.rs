//! The table with what is counted: what a listing shows.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Protocol, Service, Table, Timeouts};

/// All services with their counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// How many connections the table holds; IPVS says how many hash buckets it has.
    pub size: u32,
    /// How long idle connections are remembered.
    pub timeouts: Timeouts,
    /// Services, in the order of being added.
    pub services: Vec<CountedService>,
}

impl Listing {
    /// A table of which nothing is counted.
    #[must_use]
    pub fn of(table: &Table, size: u32) -> Self {
        let uncounted = |service: &Service| CountedService {
            counters: Counters::default(),
            destinations: vec![CountedDestination::default(); service.destinations.len()],
            service: service.clone(),
        };
        Self {
            size,
            timeouts: table.timeouts,
            services: table.services.iter().map(uncounted).collect(),
        }
    }
}

/// A service with its counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedService {
    /// The service.
    pub service: Service,
    /// What it counts: the sum over destinations, those that are gone included.
    pub counters: Counters,
    /// Its destinations, in the service's order.
    pub destinations: Vec<CountedDestination>,
}

/// What is counted of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedDestination {
    /// Traffic.
    pub counters: Counters,
    /// Connections that are being used.
    pub active: u32,
    /// Connections that are being opened or closed, and all of UDP.
    pub inactive: u32,
    /// Clients that are remembered.
    pub persistent: u32,
}

/// Traffic, in total and a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Since the start or since they were zeroed.
    pub total: Traffic,
    /// A second.
    pub rate: Traffic,
}

/// Connections, packets and bytes; bytes are those of IP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// New connections.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients, of those that pass this node.
    pub out_packets: u64,
    /// Bytes from clients.
    pub in_bytes: u64,
    /// Bytes to clients.
    pub out_bytes: u64,
}

/// A connection, or a client that is remembered (its port is 0 then).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The protocol.
    pub protocol: Protocol,
    /// The client.
    pub client: SocketAddr,
    /// What it asked for.
    pub service: SocketAddr,
    /// Where it went.
    pub destination: SocketAddr,
    /// IPVS's name of its state.
    pub state: String,
    /// When it is forgotten if nothing more comes, seconds.
    pub expires: u64,
}
