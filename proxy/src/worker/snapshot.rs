//! What the present plan made of one worker, and how it becomes what the next one says.
//!
//! What a plan did not touch is the same `Arc` in the next, and is left alone: its connections, listeners and
//! places in schedules feel nothing.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
};

use control::name::Name;

use super::{
    Backend, Pool, Service, Worker, clock,
    listener::{Door, Fate},
    service::State,
};
use crate::{
    plane::{PoolPart, ServicePart, SocketKey, Update},
    shared::SharedBackend,
};

/// Services, pools, backends and listeners by name.
#[derive(Default)]
pub(super) struct Snapshot {
    services: HashMap<Name, Rc<Service>>,
    pools: HashMap<Name, Known>,
    doors: HashMap<SocketKey, Rc<Door>>,
}

/// A pool and all backends that the plan names in it, also those that get no work.
struct Known {
    pool: Rc<Pool>,
    backends: HashMap<SocketAddr, Rc<Backend>>,
}

impl Worker {
    /// Becomes what an update says.
    pub(super) fn apply(self: &Rc<Self>, update: &Update) {
        let mut snapshot = self.snapshot.borrow_mut();
        self.limit.set(update.max_connections);
        let mut deadlines_changed = false;
        for part in update.pools.values() {
            deadlines_changed |= snapshot.apply_pool(self, part);
        }
        snapshot
            .pools
            .retain(|name, _| update.pools.contains_key(name));
        deadlines_changed |= snapshot.apply_services(self, update);
        snapshot.apply_doors(self, update);
        drop(snapshot);
        if deadlines_changed {
            self.wheel.wake_all();
        }
        self.room.notify_waiters();
        self.watch_drains(update);
    }

    /// Has whatever comes by these addresses from now on be of new services, which are as those were before. The latter,
    /// whose connections finish what they do.
    pub(super) fn renew(&self, addresses: &[IpAddr]) -> Vec<Rc<Service>> {
        let mut snapshot = self.snapshot.borrow_mut();
        let before = snapshot.renew(self, addresses);
        drop(snapshot);
        self.wheel.wake_all();
        before
    }

    /// Tells all listeners to end in this way.
    pub(super) fn close_doors(&self, fate: Fate) {
        for (_, door) in self.snapshot.borrow_mut().doors.drain() {
            door.close(fate);
        }
    }
}

impl Snapshot {
    /// All backends that the plan names, with their pools.
    pub(super) fn backends(&self) -> impl Iterator<Item = (&Rc<Pool>, &Rc<Backend>)> {
        self.pools
            .values()
            .flat_map(|known| known.backends.values().map(|b| (&known.pool, b)))
    }

    /// Whether tasks have to look at their deadlines again.
    fn apply_pool(&mut self, worker: &Worker, part: &Arc<PoolPart>) -> bool {
        let name = &part.shared.name;
        if self
            .pools
            .get(name)
            .is_some_and(|known| known.pool.is_of(part))
        {
            return false;
        }
        let known = self.pools.remove(name);
        let (pool, before) = known.map_or_else(Default::default, |k| (Some(k.pool), k.backends));
        let mut deadlines_changed = false;
        let mut backends = HashMap::with_capacity(part.backends.len());
        for (member, shared) in part.plan.members.iter().zip(&part.backends) {
            let backend = kept_or_new(&before, worker, shared);
            deadlines_changed |= backend.set_duty(member.duty);
            backends.insert(member.key.address, backend);
        }
        let chosen = part
            .chosen
            .iter()
            .filter_map(|shared| backends.get(&shared.key.address));
        let chosen = chosen.cloned().collect();
        let pool = match pool {
            Some(pool) => {
                pool.replace(part, chosen);
                pool
            }
            // The first worker begins at the first backend.
            None => Pool::new(part, chosen, worker.index, worker.index as u64),
        };
        self.pools.insert(name.clone(), Known { pool, backends });
        deadlines_changed
    }

    /// Whether a service was replaced or went, so that idle connections of it may end.
    fn apply_services(&mut self, worker: &Worker, update: &Update) -> bool {
        let mut changed = false;
        for (name, part) in &update.services {
            let before = self.services.get(name);
            if before.is_some_and(|service| Arc::ptr_eq(&service.part, part)) {
                continue;
            }
            if let Some(before) = before {
                before.set_state(State::Replaced);
                changed = true;
            }
            let service = self.new_service(worker, part);
            self.services.insert(name.clone(), service);
        }
        let cut_at = clock::coarse() + update.drain;
        self.services.retain(|name, service| {
            let stays = update.services.contains_key(name);
            if !stays {
                service.set_state(State::Gone(cut_at));
                changed = true;
            }
            stays
        });
        changed
    }

    fn renew(&mut self, worker: &Worker, addresses: &[IpAddr]) -> Vec<Rc<Service>> {
        let streams = self.doors.iter().filter(|(key, _)| !key.datagram);
        let met = streams.filter(|(key, _)| {
            let ip = key.address.ip();
            // Whoever listens everywhere has connections by these addresses too.
            ip.is_unspecified() || addresses.contains(&ip)
        });
        let mut before: Vec<Rc<Service>> = Vec::new();
        for (_, door) in met {
            let service = door.service();
            if !before.iter().any(|known| Rc::ptr_eq(known, &service)) {
                before.push(service);
            }
        }
        for old in &before {
            old.set_state(State::Replaced);
            let service = self.new_service(worker, &old.part);
            let doors = self.doors.values();
            doors
                .filter(|door| Rc::ptr_eq(&door.service(), old))
                .for_each(|door| door.lead_to(&service));
            self.services.insert(old.name().clone(), service);
        }
        before
    }

    fn new_service(&self, worker: &Worker, part: &Arc<ServicePart>) -> Rc<Service> {
        let spec = &part.plan.spec;
        let pools = spec.pools().into_iter();
        let pools = pools
            .filter_map(|name| self.pools.get(name))
            .map(|k| Rc::clone(&k.pool))
            .collect();
        let log = spec.access_log.as_ref().map(|log| worker.logs.open(log));
        Service::new(part, pools, log, worker.index)
    }

    fn apply_doors(&mut self, worker: &Rc<Worker>, update: &Update) {
        for (key, listening) in &update.listening {
            let Some(service) = self.services.get(&listening.service) else {
                continue;
            };
            match self.doors.get(key) {
                Some(door) => door.lead_to(service),
                None => {
                    let door = Door::open(worker, service, &listening.sockets, key);
                    self.doors.insert(*key, door);
                }
            }
        }
        self.doors.retain(|key, door| {
            let stays = update.listening.contains_key(key);
            if !stays {
                door.close(Fate::Closed);
            }
            stays
        });
    }
}

/// The backend as it was, unless the plane had forgotten it: then it counts anew.
fn kept_or_new(
    before: &HashMap<SocketAddr, Rc<Backend>>,
    worker: &Worker,
    shared: &Arc<SharedBackend>,
) -> Rc<Backend> {
    let kept = before
        .get(&shared.key.address)
        .filter(|b| Arc::ptr_eq(&b.shared, shared));
    kept.map_or_else(|| Backend::new(Arc::clone(shared), worker.index), Rc::clone)
}
