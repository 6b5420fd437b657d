//! What the machine's network does, on its way into the program's tables.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, RwLock, mpsc},
};

use xdp::abi::Iface;

use super::Command;
use crate::{
    load::object::Loaded,
    net::{Device, Sink},
    plane::addresses,
    sys::Put,
    tables::place::words,
};

/// Writes devices and generations into the tables; tells the worker of what it has to look at.
pub(crate) struct Network {
    loaded: Arc<RwLock<Arc<Loaded>>>,
    devices: BTreeMap<u32, (String, Iface)>,
    worker: mpsc::Sender<Command>,
}

impl Network {
    pub(crate) fn new(loaded: Arc<RwLock<Arc<Loaded>>>, worker: mpsc::Sender<Command>) -> Self {
        Self {
            loaded,
            devices: BTreeMap::new(),
            worker,
        }
    }

    fn loaded(&self) -> Arc<Loaded> {
        let guard = self.loaded.read();
        Arc::clone(&guard.unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn put(&self, index: u32, iface: &Iface) {
        if let Err(error) = self.loaded().maps.ifaces.put(&index, iface, Put::Any) {
            tracing::warn!(%error, index, "the table of devices");
        }
    }
}

/// Gives a device the addresses that packets of our own leave from: its own if it has any, else any of ours.
fn addressed(mut iface: Iface, name: &str, ours: &[(String, IpAddr)]) -> Iface {
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let find = |v6: bool| {
        let fitting = || {
            ours.iter()
                .filter(move |(_, ip)| ip.is_ipv6() == v6 && usable(ip))
        };
        let own = fitting().find(|(on, _)| on == name);
        own.or_else(|| fitting().next())
            .map(|(_, ip)| words(*ip))
            .unwrap_or_default()
    };
    iface.source4 = find(false).a;
    iface.source6 = find(true);
    iface
}

impl Sink for Network {
    fn device(&mut self, index: u32, device: Option<&Device>) {
        match device.and_then(|d| Some((d, d.transmit?))) {
            Some((device, iface)) => {
                let ours = addresses().unwrap_or_default();
                let iface = addressed(iface, &device.name, &ours);
                self.put(index, &iface);
                self.devices.insert(index, (device.name.clone(), iface));
            }
            None => {
                self.devices.remove(&index);
                if let Err(error) = self.loaded().maps.ifaces.remove(&index) {
                    tracing::warn!(%error, index, "the table of devices");
                }
            }
        }
        // A worker that is gone needs to know nothing.
        let _ = self.worker.send(Command::Devices);
    }

    fn routing_changed(&mut self) {
        let done = self.loaded().maps.change_settings(|settings| {
            settings.generation = settings.generation.wrapping_add(1).max(1);
        });
        if let Err(error) = done {
            tracing::warn!(%error, "next hops may be out of date");
        }
    }

    fn locals_changed(&mut self) {
        let ours = addresses().unwrap_or_default();
        let devices = std::mem::take(&mut self.devices);
        for (index, (name, iface)) in devices {
            let new = addressed(iface, &name, &ours);
            if new != iface {
                self.put(index, &new);
            }
            self.devices.insert(index, (name, new));
        }
        let _ = self.worker.send(Command::Locals);
    }
}
