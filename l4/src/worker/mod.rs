//! The thread that does the work: applies plans, sweeps through flows, looks at counters, resolves neighbours.
//!
//! [`Command`]s come by a queue, and of several plans that wait only the last is applied. In between, [`sweep`] goes on
//! by a batch at a time, at no more than a fifth of a processor.

mod handshakes;
pub(crate) mod rates;
mod recount;
mod sink;
pub(crate) mod sweep;

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    time::{Duration, Instant},
};

use control::{name::BackendKey, plan::Plan, spec::L4Spec};
use rustix::rand::GetRandomFlags;
use xdp::abi::Secret;

pub(crate) use self::sink::Network;
use self::sweep::Sweep;
use crate::{
    load::{attach::Attachments, carry, object},
    net::{NextHop, forwarding},
    plane::{Plane, instant, lock, now},
    sys::Put,
    tables::{Tables, Write, place::ip_of_words, record},
};

/// Between the end of a sweep and the next one.
const REST: Duration = Duration::from_secs(1);
/// How many times as long as a step took is waited before the next.
const PACE: u32 = 4;
/// How often the program is asked which neighbours it did not know.
const RESOLVE: Duration = Duration::from_millis(100);
/// Packets that began before a change have ended by then.
const SETTLE: Duration = Duration::from_millis(20);
/// How long until something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A service may have this part of all handshakes open before cookies answer for it (`syn-cookies = "auto"`). Of `nat` each
/// has two entries in the table.
const OPEN_SHARE: u32 = 8;

/// How long what was learned of the ways of tunnels holds, at most: as long as Linux believes a path's MTU.
const PATHS: Duration = Duration::from_secs(600);

/// Takes what the kernel data plane tells of backends. Called on the worker's thread; must not wait.
pub trait Reports: Send {
    /// No flow names a backend that drains any more.
    fn drained(&self, backend: BackendKey);
}

/// What came of a plan.
pub(crate) type Applied = Result<usize, String>;

/// What the worker is told.
pub(crate) enum Command {
    /// Goes by a plan; whoever waits is told.
    Apply(Arc<Plan>, Option<mpsc::SyncSender<Applied>>),
    /// Devices came, went or changed.
    Devices,
    /// Addresses of this machine did.
    Locals,
    /// Ends.
    Stop,
}

/// The thread's own state.
pub(crate) struct Worker {
    plane: Arc<Plane>,
    commands: mpsc::Receiver<Command>,
    reports: Box<dyn Reports>,
    attachments: Attachments,
    plan: Option<Arc<Plan>>,
    sweep: Option<Sweep>,
    /// Backends that were reported as drained.
    drained: BTreeSet<BackendKey>,
    /// Those that were draining, and slots that were removed, when the sweep began.
    draining: BTreeSet<BackendKey>,
    removed: BTreeSet<u32>,
    /// Interfaces that the kernel does not forward from, and what was said of it.
    warned: BTreeSet<(String, String)>,
    next: Next,
}

/// When what is next.
struct Next {
    sweep: Instant,
    rates: Instant,
    resolve: Instant,
    paths: Instant,
    settle: Option<Instant>,
    retry: Option<Instant>,
    devices: Option<Instant>,
}

impl Worker {
    pub(crate) fn new(
        plane: Arc<Plane>,
        commands: mpsc::Receiver<Command>,
        reports: Box<dyn Reports>,
        attachments: Attachments,
    ) -> Self {
        let now = Instant::now();
        Self {
            plane,
            commands,
            reports,
            attachments,
            plan: None,
            sweep: None,
            drained: BTreeSet::new(),
            draining: BTreeSet::new(),
            removed: BTreeSet::new(),
            warned: BTreeSet::new(),
            next: Next {
                sweep: now + REST,
                rates: now + rates::PERIOD,
                resolve: now + RESOLVE,
                paths: now + PATHS,
                settle: None,
                retry: None,
                devices: None,
            },
        }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self) {
        loop {
            let wait = self.wake().saturating_duration_since(Instant::now());
            match self.commands.recv_timeout(wait) {
                Ok(Command::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(first) => {
                    if !self.obey(first) {
                        return;
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.on_time();
        }
    }

    fn wake(&self) -> Instant {
        let next = &self.next;
        let mut wake = next.sweep.min(next.rates).min(next.resolve);
        for at in [next.settle, next.retry, next.devices]
            .into_iter()
            .flatten()
        {
            wake = wake.min(at);
        }
        wake
    }

    /// Does what is told, with all that is told already. Whether to go on.
    fn obey(&mut self, first: Command) -> bool {
        let mut waiting = Vec::new();
        let mut plan = None;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Apply(new, reply) => {
                    // Those who wait for a plan ask beside the engine, and may be late with one that it has replaced.
                    let last = plan.as_ref().or(self.plan.as_ref());
                    let late = last.filter(|last| last.generation > new.generation);
                    plan = Some(late.map_or(new, Arc::clone));
                    waiting.extend(reply);
                }
                Command::Devices => {
                    // Those that come together are looked at together.
                    let soon = Instant::now() + Duration::from_millis(20);
                    self.next.devices.get_or_insert(soon);
                }
                Command::Locals => {
                    lock(&self.plane.locals).clear();
                    lock(&self.plane.tables).doubt_all();
                    plan = plan.or_else(|| self.plan.clone());
                }
                Command::Stop => return false,
            }
            next = self.commands.try_recv().ok();
        }
        if let Some(plan) = plan {
            self.plan = Some(plan);
            let outcome = self.apply();
            for reply in waiting {
                // Whoever has given up waiting is not told.
                let _ = reply.try_send(outcome.clone());
            }
        }
        true
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        let due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.next.settle) {
            lock(&self.plane.tables).settle();
        }
        if due(&mut self.next.devices) {
            self.attach();
        }
        let deadline = lock(&self.plane.tables).deadline();
        if due(&mut self.next.retry) || deadline.is_some_and(|at| at <= instant()) {
            // What came of it is in the status.
            let _ = self.apply();
        }
        if self.next.resolve <= now {
            self.next.resolve = now + RESOLVE;
            self.note("neighbours", |worker| worker.resolve());
        }
        if self.next.paths <= now {
            self.next.paths = now + PATHS;
            self.note("ways of tunnels", |worker| worker.forget_paths());
        }
        if self.next.rates <= now {
            self.next.rates += rates::PERIOD;
            if self.next.rates <= now {
                self.next.rates = now + rates::PERIOD;
            }
            self.note("counters", |worker| worker.look());
            if self.attachments.lose() {
                self.attach();
            }
        }
        if self.next.sweep <= now {
            self.next.sweep = now + REST;
            self.note("sweep", |worker| worker.sweep());
        }
    }

    /// Does something that is done again anyway, and says if it failed.
    fn note(&mut self, what: &str, work: impl FnOnce(&mut Self) -> io::Result<()>) {
        if let Err(error) = work(self) {
            tracing::warn!(%error, what, "the kernel data plane");
        }
    }

    /// Goes by the plan.
    fn apply(&mut self) -> Applied {
        let Some(plan) = self.plan.clone() else {
            return Ok(0);
        };
        let outcome = self.try_apply(&plan);
        let trouble = outcome.as_ref().err().cloned();
        if let Some(trouble) = &trouble {
            tracing::error!("the kernel data plane does not go by the plan: {trouble}");
            self.next.retry = Some(Instant::now() + RETRY);
        }
        lock(&self.plane.condition).trouble = trouble;
        outcome
    }

    fn try_apply(&mut self, plan: &Arc<Plan>) -> Applied {
        self.become_of(&plan.l4)?;
        let loaded = self.plane.loaded();
        let changes = lock(&self.plane.tables).apply(plan, instant(), &*self.plane)?;
        self.next.settle = Some(Instant::now() + SETTLE);
        for write in &changes.writes {
            if let Write::Fresh { slot } = write {
                let counters = loaded.maps.counters.get(*slot);
                let now = counters.map_err(|e| e.to_string())?;
                lock(&self.plane.meter).zero(*slot, &rates::sum(&now));
            }
            if let Err(error) = loaded.maps.write(write) {
                // What the tables hold is not known any more: it is read again, and all is compared.
                let found = loaded.maps.found().map_err(|e| e.to_string())?;
                *lock(&self.plane.tables) = Tables::adopt(found);
                return Err(error.to_string());
            }
        }
        if changes.services > 0 {
            self.plane
                .monitor
                .watch(lock(&self.plane.tables).addresses());
            self.warn();
        }
        changes.trouble.map_or(Ok(changes.services), Err)
    }

    /// Goes by what holds for the plane as a whole.
    fn become_of(&mut self, spec: &Arc<L4Spec>) -> Result<(), String> {
        let old = Arc::clone(&lock(&self.plane.condition).spec);
        let sizes = |s: &L4Spec| (s.max_flows, s.max_handshakes);
        if sizes(&old) != sizes(spec) {
            self.reload(&L4Spec {
                pin: old.pin.clone(),
                ..L4Spec::clone(spec)
            })
            .map_err(|e| e.to_string())?;
        }
        if old.pin != spec.pin {
            tracing::warn!("another `pin` takes effect after `aplomb detach` and a restart");
        }
        let maps = &self.plane.loaded().maps;
        settle_settings(maps, spec).map_err(|e| e.to_string())?;
        lock(&self.plane.condition).spec = Arc::clone(spec);
        if (&old.interfaces, old.mode) != (&spec.interfaces, spec.mode) {
            self.attach();
        }
        Ok(())
    }

    /// Takes tables of other sizes into use.
    fn reload(&mut self, spec: &L4Spec) -> Result<(), crate::load::StartError> {
        let mut loaded = object::load(spec)?;
        self.attachments = Attachments::adopt(&spec.pin, loaded.program.as_fd())
            .map_err(crate::load::StartError::of("exchanging the program"))?;
        loaded
            .forget_outgrown()
            .and_then(|()| match self.plane.expects.load(Relaxed) {
                true => carry::begin(&loaded.maps),
                false => Ok(()),
            })
            .map_err(crate::load::StartError::of("writing settings"))?;
        let mut current = self.plane.loaded.write();
        **current
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = Arc::new(loaded);
        self.sweep = None;
        Ok(())
    }

    /// Attaches the program where it shall be.
    pub(crate) fn attach(&mut self) {
        let spec = Arc::clone(&lock(&self.plane.condition).spec);
        let devices = self.plane.monitor.devices();
        let loaded = self.plane.loaded();
        let attached = self
            .attachments
            .become_of(&spec, &devices, loaded.program.as_fd());
        lock(&self.plane.condition).interfaces = attached;
        self.warn();
    }

    /// Says of interfaces that the kernel does not forward from, once.
    fn warn(&mut self) {
        let families = lock(&self.plane.tables).families();
        let interfaces = lock(&self.plane.condition).interfaces.clone();
        let attached = interfaces.iter().filter(|a| a.mode.is_some());
        let hints = attached.filter_map(|a| {
            let hint = forwarding::hint(&a.interface, families)?;
            Some((a.interface.clone(), hint))
        });
        let hints: BTreeSet<_> = hints.collect();
        for (interface, hint) in hints.difference(&self.warned) {
            tracing::warn!(%interface, "{hint}");
        }
        self.warned = hints;
    }

    /// Has neighbours resolved that the program did not know.
    fn resolve(&mut self) -> io::Result<()> {
        let resolve = &self.plane.loaded().maps.resolve;
        let mut hops = Vec::new();
        for (key, _) in resolve.all(4096)? {
            resolve.remove(&key)?;
            hops.push(NextHop {
                ifindex: key.ifindex,
                address: ip_of_words(key.address, key.family == 6),
            });
        }
        self.plane.monitor.resolve(hops);
        Ok(())
    }

    /// Has the ways of tunnels tried anew.
    fn forget_paths(&mut self) -> io::Result<()> {
        let loaded = self.plane.loaded();
        let mut slots = self.slots().into_iter();
        slots.try_for_each(|slot| loaded.maps.forget_path(slot))
    }

    /// Looks at all counters.
    fn look(&mut self) -> io::Result<()> {
        let loaded = self.plane.loaded();
        for slot in self.slots() {
            let now = rates::sum(&loaded.maps.counters.get(slot)?);
            lock(&self.plane.meter).look(slot, &now);
        }
        Ok(())
    }

    /// Slots of backends in use.
    fn slots(&self) -> Vec<u32> {
        let tables = lock(&self.plane.tables);
        let backends = tables.all().flat_map(|(_, held)| held.backends.values());
        backends.map(|kept| kept.slot).collect()
    }

    /// Goes on with the sweep.
    fn sweep(&mut self) -> io::Result<()> {
        let loaded = self.plane.loaded();
        let mut sweep = match self.sweep.take() {
            Some(sweep) => sweep,
            None => self.begin(),
        };
        let before = sweep.worked;
        let through = sweep.step(&loaded.maps, now())?;
        let took = sweep.worked.saturating_sub(before);
        if through {
            let rest = REST.max(sweep.worked * PACE * 4);
            self.next.sweep = Instant::now() + rest;
            return self.finish(sweep);
        }
        self.next.sweep = Instant::now() + took * PACE;
        self.sweep = Some(sweep);
        Ok(())
    }

    fn begin(&mut self) -> Sweep {
        let slots = self.slots();
        let tables = lock(&self.plane.tables);
        self.draining = tables.draining();
        let backends = tables.all().flat_map(|(_, held)| held.backends.values());
        self.removed = backends
            .filter(|k| k.is_removed())
            .map(|k| k.slot)
            .collect();
        let masks: HashMap<_, _> = tables.all().map(|(_, h)| (h.slot, h.record.mask)).collect();
        drop(tables);
        let meter = lock(&self.plane.meter);
        let slots = slots
            .into_iter()
            .map(|slot| (slot, meter.connections(slot)));
        Sweep::begin(&self.plane.loaded().maps, slots, masks)
    }

    fn finish(&mut self, mut sweep: Sweep) -> io::Result<()> {
        let loaded = self.plane.loaded();
        let maps = &loaded.maps;
        let connections = |slot| {
            maps.counters
                .get(slot)
                .map_or(u64::MAX, |c| rates::sum(&c).connections)
        };
        sweep.status.corrected = sweep.counts.settle(maps, connections);
        let mut tables = lock(&self.plane.tables);
        let idle = |slot: u32| sweep.counts.get(slot).is_some_and(sweep::is_idle);
        let freed = tables.free(&mut |slot| self.removed.contains(&slot) && idle(slot));
        self.drained.retain(|key| tables.draining().contains(key));
        for key in &self.draining {
            let quiet = tables.slots_of(key).all(|slot| {
                let counted = sweep.counts.get(slot);
                counted.is_some_and(|c| c.active == 0 && c.inactive == 0)
            });
            if quiet
                && tables.draining().contains(key)
                && self.drained.insert(BackendKey::clone(key))
            {
                self.reports.drained(BackendKey::clone(key));
            }
        }
        drop(tables);
        for write in &freed {
            maps.write(write)?;
            if let Write::Backend { slot, .. } = write {
                lock(&self.plane.meter).forget(*slot);
            }
        }
        let mut condition = lock(&self.plane.condition);
        condition.fills = sweep.fills;
        condition.sweep = Some(sweep.status);
        Ok(())
    }
}

/// Puts what holds for all services into the tables.
pub(crate) fn settle_settings(maps: &crate::maps::Maps, spec: &L4Spec) -> io::Result<()> {
    let (first, last) = spec.source_ports;
    maps.change_settings(|settings| {
        settings.timeouts = record::timeouts(spec);
        settings.source_ports = u32::from(first) << 16 | u32::from(last);
        settings.generation = settings.generation.max(1);
        if settings.seed == 0 {
            settings.seed = seed();
        }
    })?;
    settle_secret(maps, spec)
}

/// Puts what SYN cookies are made with into the tables. The key stays as long as these do: cookies that are out come back
/// after a restart, too.
fn settle_secret(maps: &crate::maps::Maps, spec: &L4Spec) -> io::Result<()> {
    let old = maps.secret.get(&0)?.unwrap_or_default();
    let mut new = Secret {
        open: spec.max_handshakes / OPEN_SHARE,
        ..old
    };
    if new.key == [0; 2] {
        new.key = [random()?, random()?];
    }
    if new != old {
        maps.secret.put(&0, &new, Put::Any)?;
    }
    Ok(())
}

/// A number from the system's randomness.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    let filled = rustix::rand::getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    if filled < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(u64::from_ne_bytes(bytes))
}

/// Any number but 0.
fn seed() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    (RandomState::new().build_hasher().finish() as u32).max(1)
}
