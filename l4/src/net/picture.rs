//! What is known of the machine's network, from the kernel's messages alone: devices and neighbours, and which change
//! matters to whom.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use xdp::abi::Mac;

use super::{
    link::{self, Device},
    neighbour::{self, Neighbour, NextHop},
    route,
    wire::Message,
};

/// Neighbours remembered. The kernel's own limit (`gc_thresh3`) is 1024 unless raised.
const NEIGHBOURS: usize = 65_536;
/// A rule came or went (`RTM_NEWRULE`, `RTM_DELRULE`), a next hop object came or went.
const RULES_AND_HOPS: [u16; 4] = [32, 33, 104, 105];

/// What changed, gathered until somebody takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Devices that came, changed or went (`None`).
    pub(super) devices: BTreeMap<u32, Option<Device>>,
    /// What was remembered of next hops may be wrong.
    pub(super) routing: bool,
    /// This machine's addresses changed.
    pub(super) locals: bool,
    /// Neighbours that the kernel forgot.
    pub(super) forgotten: Vec<NextHop>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Picture {
    devices: BTreeMap<u32, Device>,
    /// The last link-layer address of each neighbour, also of those that the kernel no longer has: a flow may still
    /// send there.
    neighbours: HashMap<NextHop, Mac>,
    news: News,
}

impl Picture {
    /// Takes note of a message.
    pub(super) fn handle(&mut self, message: &Message<'_>) {
        match message.kind {
            link::NEW => self.device(message),
            link::DELETE => self.device_gone(message),
            neighbour::NEW | neighbour::DELETE => self.neighbour(message),
            route::NEW | route::DELETE => self.route(message),
            kind if RULES_AND_HOPS.contains(&kind) => self.news.routing = true,
            _ => {}
        }
    }

    /// What changed since this was last asked.
    pub(super) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// All devices.
    pub(super) fn devices(&self) -> &BTreeMap<u32, Device> {
        &self.devices
    }

    /// After all devices were asked for again: those that are not in `seen` went unheard.
    pub(super) fn keep_devices(&mut self, seen: &[u32]) {
        let gone: Vec<u32> = self
            .devices
            .keys()
            .filter(|index| !seen.contains(index))
            .copied()
            .collect();
        gone.into_iter().for_each(|index| self.forget(index));
    }

    /// Messages were lost: anything may have changed.
    pub(super) fn lost(&mut self) {
        self.neighbours.clear();
        self.news.routing = true;
        self.news.locals = true;
    }

    fn device(&mut self, message: &Message<'_>) {
        let Some(mut device) = Device::read(message) else {
            return;
        };
        let index = device.index;
        device.transmit = device.way_out(|below| self.devices.get(&below));
        match self.devices.entry(index) {
            Entry::Occupied(old) if *old.get() == device => return,
            Entry::Occupied(mut old) => drop(old.insert(device.clone())),
            Entry::Vacant(place) => drop(place.insert(device.clone())),
        }
        self.news.devices.insert(index, Some(device));
        self.news.routing = true;
        self.renew_above(index);
    }

    /// What leaves through devices on top of `index` depends on it; one may have come before the device it is on.
    fn renew_above(&mut self, index: u32) {
        let renewed: Vec<Device> = self
            .devices
            .values()
            .filter(|device| device.lower == Some(index))
            .filter_map(|device| {
                let transmit = device.way_out(|below| self.devices.get(&below));
                (transmit != device.transmit).then(|| Device {
                    transmit,
                    ..device.clone()
                })
            })
            .collect();
        for device in renewed {
            self.news.devices.insert(device.index, Some(device.clone()));
            self.devices.insert(device.index, device);
        }
    }

    fn device_gone(&mut self, message: &Message<'_>) {
        // A port that leaves its bridge is told by the same message; such a one is not read.
        if let Some(device) = Device::read(message) {
            self.forget(device.index);
        }
    }

    fn forget(&mut self, index: u32) {
        if self.devices.remove(&index).is_some() {
            self.news.devices.insert(index, None);
            self.news.routing = true;
            self.neighbours.retain(|hop, _| hop.ifindex != index);
            self.renew_above(index);
        }
    }

    /// Of a neighbour only another link-layer address and failure matter: its states come and go all the time. One that
    /// the kernel merely forgot keeps its address here, so that nothing is done until it is found to have changed.
    fn neighbour(&mut self, message: &Message<'_>) {
        let Some(neighbour) = Neighbour::read(message) else {
            return;
        };
        if message.kind == neighbour::DELETE {
            self.news.forgotten.push(neighbour.hop);
            return;
        }
        let Some(mac) = neighbour.mac else {
            self.news.routing |=
                neighbour.failed && self.neighbours.remove(&neighbour.hop).is_some();
            return;
        };
        if self.neighbours.len() >= NEIGHBOURS && !self.neighbours.contains_key(&neighbour.hop) {
            self.neighbours.clear();
            self.news.routing = true;
        }
        let old = self.neighbours.insert(neighbour.hop, mac);
        self.news.routing |= old.is_some_and(|old| old != mac);
    }

    fn route(&mut self, message: &Message<'_>) {
        self.news.locals |= route::is_local(message);
        self.news.routing |= !route::is_mere_cache(message);
    }
}
