//! Which addresses are which slots, both ways.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use xdp::abi::Backend;

use crate::tables::{Place, Tables, ranges::PortPrefix};

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
