//! The live tables and the machine's network, for explanations.

use std::{collections::HashMap, net::IpAddr};

use xdp::{
    abi::{
        Backend, Endpoint, Family, Flow, Fragment, FragmentKey, Guard, Hop, Load, Locality,
        LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, Secret, Service, Settings, Template,
        TemplateKey, Tick, Tuple, V4, V6,
    },
    decide::{Route, Table},
};

use super::source::{Lookup, Source};
use crate::{
    load::object::Loaded,
    maps::FamilyMaps,
    plane::{Plane, lock, now},
    report::balance_word,
    status::Word,
};

/// The plane's tables as they are.
pub(crate) struct Live<'a> {
    plane: &'a Plane,
    loaded: std::sync::Arc<Loaded>,
    names: HashMap<u32, (String, Word)>,
    scales: HashMap<u32, u32>,
}

impl<'a> Live<'a> {
    /// Nothing has been read but names.
    pub(crate) fn new(plane: &'a Plane) -> Self {
        let tables = lock(&plane.tables);
        let named = tables.services().filter_map(|(name, held)| {
            let (_, pool) = held.plan()?;
            let word = balance_word(&pool.spec.balance);
            Some((held.slot, (name.to_string(), word)))
        });
        let names = named.collect();
        let scales = tables.services().map(|(_, held)| (held.slot, held.scale()));
        let scales = scales.collect();
        drop(tables);
        Self {
            plane,
            loaded: plane.loaded(),
            names,
            scales,
        }
    }
}

impl Source for Live<'_> {
    fn now(&self) -> Tick {
        now()
    }

    fn settings(&self) -> Option<Settings> {
        Some(self.loaded.maps.settings())
    }

    fn service(&self, slot: u32) -> Option<Service> {
        self.loaded.maps.services.get(&slot).ok()?
    }

    fn backend(&self, slot: u32) -> Option<Backend> {
        self.loaded.maps.backends.get(&slot).ok()?
    }

    fn load(&self, slot: u32) -> Option<Load> {
        self.loaded.maps.loads.get(slot)
    }

    fn scheduled(&self, index: u32) -> Option<u32> {
        self.loaded.maps.schedule.get(index)
    }

    fn turns(&self, service: u32) -> Option<u32> {
        self.loaded.maps.cursors.get(service)
    }

    fn quic_config(&self, key: &QuicKey) -> Option<QuicConfig> {
        self.loaded.maps.quic_configs.get(key).ok()?
    }

    fn quic_id(&self, key: &QuicId) -> Option<u32> {
        self.loaded.maps.quic_ids.get(key).ok()?
    }

    fn secret(&self) -> Option<Secret> {
        self.loaded.maps.secret.get(&0).ok()?
    }

    fn guard(&self, slot: u32) -> Option<Guard> {
        self.loaded.maps.guards.get(slot)
    }

    fn way(&self, to: IpAddr) -> (Route, Hop) {
        let none = Hop::default();
        let monitor = &self.plane.monitor;
        let Ok(route) = monitor.route(to) else {
            return (Route::NoRoute, none);
        };
        if route.local {
            return (Route::NoRoute, none);
        }
        let hop = route.hop(to);
        let Ok(Some(target)) = monitor.neighbour(hop) else {
            return (Route::NoNeighbour, none);
        };
        let Ok(Some(device)) = self.loaded.maps.ifaces.get(&hop.ifindex) else {
            return (Route::NoDevice, none);
        };
        let mtu = route.mtu.map_or(device.mtu, |mtu| mtu.min(device.mtu));
        let found = Hop {
            generation: 0,
            ifindex: device.ifindex,
            source: device.mac,
            target,
            vlan: device.vlan,
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
        };
        (Route::Found, found)
    }

    fn named(&self, slot: u32) -> Option<(String, Word)> {
        self.names.get(&slot).cloned()
    }

    fn scale(&self, service: u32) -> u32 {
        self.scales.get(&service).copied().unwrap_or(1)
    }

    fn interface(&self, index: u32) -> Option<String> {
        self.plane.monitor.device(index).map(|device| device.name)
    }
}

fn flow<F: Family>(maps: &FamilyMaps<F>, table: Table, key: &Tuple<F>) -> Option<Flow<F>> {
    match table {
        Table::Established => maps.flows.get(key),
        Table::Pending => maps.pending.get(key),
    }
}

macro_rules! lookup {
    ($family:ident, $maps:ident) => {
        impl Lookup<$family> for Live<'_> {
            fn flow(&self, table: Table, key: &Tuple<$family>) -> Option<Flow<$family>> {
                flow(&self.loaded.maps.$maps, table, key)
            }

            fn endpoint(&self, key: &Endpoint<$family>) -> Option<u32> {
                self.loaded.maps.$maps.endpoints.get(key).ok()?
            }

            fn range(&self, key: &RangeKey<$family>) -> Option<u32> {
                self.loaded.maps.$maps.ranges.get(key).ok()?
            }

            fn template(&self, key: &TemplateKey<$family>) -> Option<Template> {
                self.loaded.maps.$maps.templates.get(key).ok()?
            }

            fn fragment(&self, key: &FragmentKey<$family>) -> Option<Fragment> {
                self.loaded.maps.$maps.fragments.get(key).ok()?
            }

            fn locality(&self, key: &LocalityKey<$family>) -> Option<Locality> {
                self.loaded.maps.$maps.localities.get(key).ok()?
            }
        }
    };
}

lookup!(V4, v4);
lookup!(V6, v6);
