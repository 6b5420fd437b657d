//! The program's maps, opened and typed, and how [`Write`]s are carried out on them.
//!
//! [`NAMES`] are all maps that are pinned; [`Maps::open`] gets them wherever they come from: pins, or an object that was
//! loaded for a test.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError, atomic::Ordering::Relaxed},
};

use xdp::abi::{
    Backend, Cookies, Counters, Endpoint, Family, Fragment, FragmentKey, Guard, Iface, Load,
    Locality, LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, ResolveKey, Secret, Service,
    Settings, Template, TemplateKey, Tick, V4, V6, backend_flags, service_flags, settings_flags,
};

use crate::{
    sys::{Flows, PerCpu, Put, Shared, Table},
    tables::{Found, Place, Write},
};

/// All maps that are pinned.
pub(crate) const NAMES: [&str; 31] = [
    "FLOWS4",
    "FLOWS6",
    "PENDING4",
    "PENDING6",
    "ENDPOINTS4",
    "ENDPOINTS6",
    "RANGES4",
    "RANGES6",
    "TEMPLATES4",
    "TEMPLATES6",
    "FRAGMENTS4",
    "FRAGMENTS6",
    "LOCALITY4",
    "LOCALITY6",
    "QUIC_CONFIGS",
    "QUIC_IDS",
    "SERVICES",
    "BACKENDS",
    "LOADS",
    "SCHEDULE",
    "CURSORS",
    "SETTINGS",
    "COUNTERS",
    "DROPS",
    "PASSES",
    "SECRET",
    "GUARDS",
    "COOKIES",
    "IFACES",
    "RESOLVE",
    "TRACE",
];

/// The maps of one family.
#[derive(Debug)]
pub(crate) struct FamilyMaps<F: Family> {
    pub(crate) flows: Flows<F>,
    pub(crate) pending: Flows<F>,
    pub(crate) templates: Table<TemplateKey<F>, Template>,
    pub(crate) endpoints: Table<Endpoint<F>, u32>,
    pub(crate) ranges: Table<RangeKey<F>, u32>,
    pub(crate) fragments: Table<FragmentKey<F>, Fragment>,
    pub(crate) localities: Table<LocalityKey<F>, Locality>,
}

/// All maps that user space reads or writes.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) v4: FamilyMaps<V4>,
    pub(crate) v6: FamilyMaps<V6>,
    /// How QUIC connection IDs are made.
    pub(crate) quic_configs: Table<QuicKey, QuicConfig>,
    /// Which backends they name.
    pub(crate) quic_ids: Table<QuicId, u32>,
    pub(crate) services: Table<u32, Service>,
    pub(crate) backends: Table<u32, Backend>,
    /// How busy backends are, by slot.
    pub(crate) loads: Shared<Load>,
    pub(crate) schedule: Shared<u32>,
    pub(crate) cursors: Shared<u32>,
    settings: Table<u32, Settings>,
    /// What the map of settings has: it is changed by more than one thread.
    current: Mutex<Settings>,
    pub(crate) counters: PerCpu<Counters>,
    pub(crate) drops: PerCpu<u64>,
    pub(crate) passes: PerCpu<u64>,
    /// What SYN cookies are made with.
    pub(crate) secret: Table<u32, Secret>,
    /// Handshakes of services, by slot.
    pub(crate) guards: Shared<Guard>,
    /// Cookies of services, by slot.
    pub(crate) cookies: PerCpu<Cookies>,
    pub(crate) ifaces: Table<u32, Iface>,
    pub(crate) resolve: Table<ResolveKey, u32>,
    /// The ring of traced decisions.
    pub(crate) trace: OwnedFd,
    /// Whose decisions are traced; locked while records of services are written.
    watched: Mutex<Watched>,
}

/// Services whose decisions are traced, by their slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Watched {
    /// No one's.
    #[default]
    None,
    /// These.
    Slots(BTreeSet<u32>),
    /// All.
    All,
}

impl Watched {
    fn has(&self, slot: u32) -> bool {
        match self {
            Self::None => false,
            Self::Slots(slots) => slots.contains(&slot),
            Self::All => true,
        }
    }

    /// A service's record with the flag that says so.
    fn mark(&self, slot: u32, record: &Service) -> Service {
        let flags = record.flags & !service_flags::TRACE;
        let traced = self.has(slot) && flags & service_flags::PRESENT != 0;
        Service {
            flags: flags | if traced { service_flags::TRACE } else { 0 },
            ..*record
        }
    }
}

type Get<'a> = dyn FnMut(&str) -> io::Result<OwnedFd> + 'a;

impl<F: Family> FamilyMaps<F> {
    fn open(get: &mut Get<'_>, secret: u64) -> io::Result<Self> {
        let six = if F::IS_V6 { "6" } else { "4" };
        let mut get = |name: &str| get(&format!("{name}{six}"));
        Ok(Self {
            flows: Flows::new(get("FLOWS")?.as_fd(), secret)?,
            pending: Flows::new(get("PENDING")?.as_fd(), secret)?,
            templates: Table::new(get("TEMPLATES")?)?,
            endpoints: Table::new(get("ENDPOINTS")?)?,
            ranges: Table::new(get("RANGES")?)?,
            fragments: Table::new(get("FRAGMENTS")?)?,
            localities: Table::new(get("LOCALITY")?)?,
        })
    }

    fn lead(&self, place: &Place, slot: Option<u32>) -> io::Result<()> {
        if let Some(key) = place.range::<F>() {
            return set(&self.ranges, &key, slot);
        }
        match place.endpoint::<F>() {
            Some(key) => set(&self.endpoints, &key, slot),
            None => Ok(()),
        }
    }

    fn places(&self, found: &mut Found) -> io::Result<()> {
        let most = xdp::abi::ENDPOINTS as usize;
        for (key, slot) in self.endpoints.all(most)? {
            match Place::of_endpoint(&key) {
                place @ (Place::Backend(..) | Place::Source(_)) => {
                    let _ = found.answers.insert(place);
                }
                place => drop(found.places.insert(place, slot)),
            }
        }
        for (key, slot) in self.ranges.all(most)? {
            found.places.insert(Place::of_range(&key), slot);
        }
        Ok(())
    }
}

fn set<K: xdp::abi::Plain>(table: &Table<K, u32>, key: &K, slot: Option<u32>) -> io::Result<()> {
    match slot {
        Some(slot) => table.put(key, &slot, Put::Any).map(drop),
        None => table.remove(key).map(drop),
    }
}

impl Maps {
    /// Opens all of them. The places of flows depend on `secret`.
    pub(crate) fn open(
        secret: u64,
        mut get: impl FnMut(&str) -> io::Result<OwnedFd>,
    ) -> io::Result<Self> {
        let get: &mut Get<'_> = &mut get;
        let settings = Table::new(get("SETTINGS")?)?;
        let current = settings.get(&0)?.unwrap_or(Settings {
            generation: 0,
            trace: 0,
            seed: 0,
            source_ports: 0,
            timeouts: Default::default(),
            flags: 0,
            trace_until: Tick(0),
            zero: 0,
            secret: Default::default(),
        });
        let maps = Self {
            v4: FamilyMaps::open(get, secret)?,
            v6: FamilyMaps::open(get, secret)?,
            quic_configs: Table::new(get("QUIC_CONFIGS")?)?,
            quic_ids: Table::new(get("QUIC_IDS")?)?,
            services: Table::new(get("SERVICES")?)?,
            backends: Table::new(get("BACKENDS")?)?,
            loads: Shared::new(get("LOADS")?.as_fd())?,
            schedule: Shared::new(get("SCHEDULE")?.as_fd())?,
            cursors: Shared::new(get("CURSORS")?.as_fd())?,
            settings,
            current: Mutex::new(current),
            counters: PerCpu::new(get("COUNTERS")?)?,
            drops: PerCpu::new(get("DROPS")?)?,
            passes: PerCpu::new(get("PASSES")?)?,
            secret: Table::new(get("SECRET")?)?,
            guards: Shared::new(get("GUARDS")?.as_fd())?,
            cookies: PerCpu::new(get("COOKIES")?)?,
            ifaces: Table::new(get("IFACES")?)?,
            resolve: Table::new(get("RESOLVE")?)?,
            trace: get("TRACE")?,
            watched: Mutex::default(),
        };
        maps.change_settings(|settings| settings.secret = halves(secret))?;
        Ok(maps)
    }

    /// Changes what holds for all services.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        let mut settings = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *settings;
        change(&mut next);
        if next != *settings {
            self.settings.put(&0, &next, Put::Any)?;
            *settings = next;
        }
        Ok(())
    }

    /// What holds for all services.
    pub(crate) fn settings(&self) -> Settings {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same as the program has it: it may switch tracing off.
    pub(crate) fn settings_there(&self) -> io::Result<Option<Settings>> {
        self.settings.get(&0)
    }

    /// How often a service's ring was asked.
    pub(crate) fn turns(&self, service: u32) -> u32 {
        self.cursors.get(service).unwrap_or(0)
    }

    /// Carries a write out.
    pub(crate) fn write(&self, write: &Write) -> io::Result<()> {
        match write {
            Write::Fresh { slot } => {
                self.fresh(*slot);
                Ok(())
            }
            Write::Backend { slot, record } => self.put_backend(*slot, *record),
            Write::Schedule { region, entries } => {
                for (at, slot) in (region.start..).zip(entries) {
                    self.schedule.set(at, *slot);
                }
                // What follows is seen after this.
                std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
                Ok(())
            }
            Write::Cursor { service, turns } => {
                self.cursors.set(*service, *turns);
                Ok(())
            }
            Write::QuicConfig {
                key,
                config: Some(config),
            } => self.quic_configs.put(key, config, Put::Any).map(drop),
            Write::QuicConfig { key, config: None } => self.quic_configs.remove(key).map(drop),
            Write::QuicId { key, slot } => set(&self.quic_ids, key, *slot),
            Write::Service { slot, record } => {
                let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
                let record = watched.mark(*slot, record);
                self.services.put(slot, &record, Put::Any).map(drop)
            }
            Write::Lead { place, slot } => match place.ip() {
                std::net::IpAddr::V4(_) => self.v4.lead(place, *slot),
                std::net::IpAddr::V6(_) => self.v6.lead(place, *slot),
            },
            Write::Flags(flags) => self.change_settings(|settings| {
                // Whether flows are on their way is no plan's business.
                let moving =
                    settings_flags::CARRYING | settings_flags::HOLDING | settings_flags::MOVING;
                settings.flags = *flags | settings.flags & moving;
            }),
        }
    }

    /// Has decisions about these services traced, and no others', of `slots`.
    pub(crate) fn watch(&self, wanted: Watched, slots: &[u32]) -> io::Result<()> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        *watched = wanted;
        for slot in slots {
            let Some(record) = self.services.get(slot)? else {
                continue;
            };
            let marked = watched.mark(*slot, &record);
            if marked != record {
                let _ = self.services.put(slot, &marked, Put::Any)?;
            }
        }
        Ok(())
    }

    fn fresh(&self, slot: u32) {
        for offset in (0..size_of::<Load>()).step_by(4) {
            if let Some(word) = self.loads.word(slot, offset) {
                word.store(0, Relaxed);
            }
        }
    }

    fn put_backend(&self, slot: u32, mut record: Backend) -> io::Result<()> {
        // What the program learned of the way to it stays, unless the backend is another one.
        if let Some(old) = self.backends.get(&slot)? {
            let present = record.flags & old.flags & backend_flags::PRESENT != 0;
            if present && old.address == record.address {
                record.path_mtu = old.path_mtu;
            }
        }
        self.backends.put(&slot, &record, Put::Any).map(drop)
    }

    /// Forgets what the program learned of the way to a backend: the way may have become wider.
    pub(crate) fn forget_path(&self, slot: u32) -> io::Result<()> {
        match self.backends.get(&slot)? {
            Some(record) if record.path_mtu != 0 => {
                let record = Backend {
                    path_mtu: 0,
                    ..record
                };
                self.backends.put(&slot, &record, Put::Any).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// What the tables hold: what a predecessor left.
    pub(crate) fn found(&self) -> io::Result<Found> {
        let mut found = Found::default();
        self.v4.places(&mut found)?;
        self.v6.places(&mut found)?;
        let configs = self.quic_configs.all(xdp::abi::QUIC_CONFIGS as usize)?;
        found.quic.configs = configs.into_iter().collect();
        let ids = self.quic_ids.all(xdp::abi::QUIC_IDS as usize)?;
        found.quic.ids = ids.into_iter().collect();
        let mut services = Vec::new();
        walk_array(&self.services, xdp::abi::SERVICES, &mut services)?;
        let mut backends = Vec::new();
        walk_array(&self.backends, xdp::abi::BACKENDS, &mut backends)?;
        services.retain(|(_, s)| s.flags != 0 || s.timeout != 0);
        backends.retain(|(_, b)| b.flags & backend_flags::PRESENT != 0);
        (found.services, found.backends) = (services, backends);
        Ok(found)
    }
}

/// A number of 64 bits as two of 32.
fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// What the places of flows depend on, as it is in the map of settings; none if there are none yet.
pub(crate) fn secret(settings: OwnedFd) -> io::Result<Option<u64>> {
    let settings: Table<u32, Settings> = Table::new(settings)?;
    let [low, high] = settings.get(&0)?.map_or([0; 2], |s| s.secret);
    let secret = u64::from(low) | u64::from(high) << 32;
    Ok((secret != 0).then_some(secret))
}

/// All of an array, in as few calls as the kernel allows.
fn walk_array<V: xdp::abi::Plain>(
    table: &Table<u32, V>,
    length: u32,
    into: &mut Vec<(u32, V)>,
) -> io::Result<()> {
    into.extend(table.all(length as usize)?);
    Ok(())
}
