//! The table, and how IPVS takes edits to it: what is checked, and in which order.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Destination, Edit, Error, Method, Service, ServiceId, Timeouts, model::Checksum};

/// Schedulers that a service can have.
pub const SCHEDULERS: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

/// What of IPVS there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// The persistence engine of SIP.
    pub sip: bool,
    /// GUE's remote checksum offload.
    pub remote_checksum: bool,
}

impl Features {
    /// All that IPVS has.
    pub const ALL: Self = Self {
        sip: true,
        remote_checksum: true,
    };
    /// What the kernel data plane has. What it has not is refused rather than taken and not done.
    pub const OURS: Self = Self {
        sip: false,
        remote_checksum: false,
    };
}

/// Virtual services, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The services.
    pub services: Vec<Service>,
    /// How long idle connections are remembered.
    pub timeouts: Timeouts,
}

impl Table {
    /// The service there.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.iter().find(|s| s.id == id)
    }

    /// Does this to it.
    ///
    /// # Errors
    /// Why IPVS would not; nothing has changed.
    pub fn edit(&mut self, edit: &Edit, features: Features) -> Result<(), Error> {
        match edit {
            Edit::AddService(service) => {
                if self.service(service.id).is_some() {
                    return Err(Error::ServiceExists);
                }
                known(service, features)?;
                self.services.push(Service {
                    destinations: Vec::new(),
                    ..service.clone()
                });
            }
            Edit::EditService(service) => {
                let old = self.find(service.id).ok_or(Error::NoSuchService)?;
                known(service, features)?;
                let destinations = std::mem::take(&mut old.destinations);
                *old = Service {
                    destinations,
                    ..service.clone()
                };
            }
            Edit::DeleteService(id) => {
                if self.service(*id).is_none() {
                    return Err(Error::NoSuchService);
                }
                self.services.retain(|s| s.id != *id);
            }
            Edit::AddDestination(id, new) => {
                let service = self.find(*id).ok_or(Error::ServiceNotDefined)?;
                in_range(new)?;
                if service.destination(new.address).is_some() {
                    return Err(Error::DestinationExists);
                }
                possible(new, features)?;
                if !can_be_sent_to(new.address.ip()) {
                    return Err(Error::Invalid);
                }
                service.destinations.insert(0, new.clone());
            }
            Edit::EditDestination(id, new) => {
                let service = self.find(*id).ok_or(Error::ServiceNotDefined)?;
                in_range(new)?;
                let old = (service.destinations.iter_mut())
                    .find(|d| d.address == new.address)
                    .ok_or(Error::NoSuchDestination)?;
                possible(new, features)?;
                *old = new.clone();
            }
            Edit::DeleteDestination(id, address) => {
                let service = self.find(*id).ok_or(Error::ServiceNotDefined)?;
                remove(&mut service.destinations, *address)?;
            }
            Edit::Flush => self.services.clear(),
            Edit::Zero(Some(id)) if self.service(*id).is_none() => {
                return Err(Error::NoSuchService);
            }
            // Counters are the data plane's.
            Edit::Zero(_) => {}
            Edit::SetTimeouts(new) => {
                let now = &mut self.timeouts;
                for (now, new) in [
                    (&mut now.tcp, new.tcp),
                    (&mut now.tcp_fin, new.tcp_fin),
                    (&mut now.udp, new.udp),
                ] {
                    if new != 0 {
                        *now = new;
                    }
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.services.iter_mut().find(|s| s.id == id)
    }
}

fn remove(destinations: &mut Vec<Destination>, address: SocketAddr) -> Result<(), Error> {
    let at = destinations.iter().position(|d| d.address == address);
    let _ = destinations.remove(at.ok_or(Error::NoSuchDestination)?);
    Ok(())
}

fn known(service: &Service, features: Features) -> Result<(), Error> {
    let engine = match service.engine.as_deref() {
        None => true,
        Some("sip") => features.sip,
        Some(_) => false,
    };
    if engine && SCHEDULERS.contains(&service.scheduler.as_str()) {
        return Ok(());
    }
    Err(Error::NoScheduler)
}

fn in_range(destination: &Destination) -> Result<(), Error> {
    let fits = |n: u32| i32::try_from(n).is_ok();
    if destination.lower > destination.upper || !fits(destination.weight) {
        return Err(Error::OutOfRange);
    }
    Ok(())
}

fn possible(destination: &Destination, features: Features) -> Result<(), Error> {
    let remote =
        destination.method == Method::Tunnel && destination.tunnel.checksum == Checksum::Remote;
    if remote && !features.remote_checksum {
        return Err(Error::Invalid);
    }
    Ok(())
}

/// Whether it is the address of a host. Whether an IPv4 address is a network's broadcast address only its routes tell.
fn can_be_sent_to(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    }
}
