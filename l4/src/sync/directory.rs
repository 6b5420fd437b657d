//! Which addresses are which slots, both ways.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use xdp::abi::{Addr6, Backend, service_flags};

use crate::tables::{Held, Place, Tables, ranges::PortPrefix};

/// What addresses mean here.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    places: HashMap<Place, u32>,
    /// There are port ranges.
    ranges: bool,
    /// By service slot and address.
    backends: HashMap<(u32, SocketAddr), (u32, Backend)>,
    addresses: HashMap<u32, SocketAddr>,
    timeouts: HashMap<u32, u32>,
    /// Of services that remember clients.
    persistences: HashMap<u32, Persistence>,
    /// One address of each of these, of each family: protocol and where it listens.
    listens: HashMap<(u32, bool), (u8, SocketAddr)>,
}

/// How a service remembers clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Persistence {
    /// For how long, ticks.
    pub(super) ticks: u32,
    /// Which part of a client's address counts.
    pub(super) mask: Addr6,
}

impl Directory {
    /// That of these tables.
    pub(super) fn of(tables: &Tables) -> Self {
        let mut directory = Self::default();
        for (_, held) in tables.services() {
            for place in &held.places {
                directory.ranges |= matches!(place, Place::Range(..));
                directory.places.insert(*place, held.slot);
            }
            if held.record.flags & service_flags::PERSISTENT != 0 {
                directory.remembers(held);
            }
            for (address, kept) in &held.backends {
                directory.addresses.insert(kept.slot, *address);
                if !kept.is_removed() {
                    let known = (kept.slot, kept.record);
                    directory.backends.insert((held.slot, *address), known);
                }
            }
        }
        for (_, held) in tables.all() {
            directory.timeouts.insert(held.slot, held.record.timeout);
        }
        directory
    }

    /// A service remembers clients.
    fn remembers(&mut self, held: &Held) {
        let persistence = Persistence {
            ticks: held.record.persistence,
            mask: held.record.mask,
        };
        self.persistences.insert(held.slot, persistence);
        for place in &held.places {
            let (protocol, at) = match place {
                Place::Port(ip, port, protocol) => (*protocol, SocketAddr::new(*ip, *port)),
                Place::Range(ip, ports, protocol) => (*protocol, SocketAddr::new(*ip, ports.port)),
                Place::Address(_) | Place::Backend(..) | Place::Source(_) => continue,
            };
            let listens = self.listens.entry((held.slot, at.is_ipv6()));
            let _ = listens.or_insert((protocol, at));
        }
    }

    /// Whether any service remembers clients.
    pub(super) fn is_persistent(&self) -> bool {
        !self.persistences.is_empty()
    }

    /// How a service remembers clients; none: it does not.
    pub(super) fn persistence(&self, service: u32) -> Option<&Persistence> {
        self.persistences.get(&service)
    }

    /// Where a service that remembers clients listens: one address of a family, with its protocol.
    pub(super) fn listens(&self, service: u32, v6: bool) -> Option<(u8, SocketAddr)> {
        self.listens.get(&(service, v6)).copied()
    }

    /// The service that a packet to an address is for, found as the program does.
    pub(super) fn service(&self, target: SocketAddr, protocol: u8) -> Option<u32> {
        let (ip, port) = (target.ip(), target.port());
        let exact = Place::Port(ip, port, protocol);
        let by_range = || self.range(ip, port, protocol);
        let any = Place::Port(ip, 0, protocol);
        let exact = self.places.get(&exact).copied();
        exact
            .or_else(by_range)
            .or_else(|| self.places.get(&any).copied())
    }

    /// Where the service of a packet to an address listens: there, or at all ports of it, which is port 0.
    pub(super) fn listening(&self, target: SocketAddr, protocol: u8) -> SocketAddr {
        let exact = Place::Port(target.ip(), target.port(), protocol);
        let any = Place::Port(target.ip(), 0, protocol);
        let on_all = !self.places.contains_key(&exact)
            && self.range(target.ip(), target.port(), protocol).is_none()
            && self.places.contains_key(&any);
        let port = if on_all { 0 } else { target.port() };
        SocketAddr::new(target.ip(), port)
    }

    fn range(&self, ip: IpAddr, port: u16, protocol: u8) -> Option<u32> {
        if !self.ranges {
            return None;
        }
        (0..=16_u8).rev().find_map(|bits| {
            let mask = u16::MAX.checked_shl(u32::from(16 - bits)).unwrap_or(0);
            let ports = PortPrefix {
                port: port & mask,
                bits,
            };
            let place = Place::Range(ip, ports, protocol);
            self.places.get(&place).copied()
        })
    }

    /// The slot and record of a backend that is not removed.
    pub(super) fn backend(&self, service: u32, address: SocketAddr) -> Option<(u32, Backend)> {
        self.backends.get(&(service, address)).copied()
    }

    /// The address of a backend's slot.
    pub(super) fn address(&self, backend: u32) -> Option<SocketAddr> {
        self.addresses.get(&backend).copied()
    }

    /// A service's own timeout, ticks; 0: it has none.
    pub(super) fn timeout(&self, service: u32) -> u32 {
        self.timeouts.get(&service).copied().unwrap_or(0)
    }
}
