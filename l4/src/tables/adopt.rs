//! What a predecessor left in the tables: found again by where services are, not by their names, which the tables do
//! not have.

use std::collections::{BTreeMap, BTreeSet};

use xdp::abi::{self, Backend, Service, backend_flags};

use super::{
    Held, Kept, Place, Quic, Retired, Tables,
    answers::Answers,
    record,
    region::{Region, Regions},
    slots::Slots,
};

/// What the tables hold.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Slots of services that are not empty.
    pub services: Vec<(u32, Service)>,
    /// Slots of backends that are not empty.
    pub backends: Vec<(u32, Backend)>,
    /// What leads to which service.
    pub places: BTreeMap<Place, u32>,
    /// Where backends answer from, and to.
    pub answers: BTreeSet<Place>,
    /// What is known of QUIC connection IDs, of all services.
    pub quic: Quic,
}

impl Tables {
    /// The tables as they were found. The services are taken over by those of the next plan that are where they are.
    #[must_use]
    pub fn adopt(found: Found) -> Self {
        let mut backends: BTreeMap<u32, BTreeMap<_, Kept>> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for (slot, record) in found.backends {
            if record.flags & backend_flags::PRESENT != 0 {
                used.insert(slot);
                let of = backends.entry(record.service).or_default();
                of.insert(record::address_of(&record), Kept { slot, record });
            }
        }
        let records: BTreeMap<_, _> = found.services.into_iter().collect();
        let mut quic = found.quic.by_service();
        let led: BTreeSet<_> = found.places.values().copied().collect();
        let slots: BTreeSet<u32> = records
            .iter()
            .filter(|(_, record)| record.flags != 0)
            .map(|(slot, _)| *slot)
            .chain(backends.keys().copied())
            .chain(led)
            .chain(quic.keys().copied())
            .collect();
        let regions = records.values().flat_map(|r| [r.table, r.members]);
        let regions = Regions::new(abi::SCHEDULE, regions.map(Region::of_word));
        let service_slots = Slots::new(abi::SERVICES, &slots);
        let retired = slots.into_iter().map(|slot| {
            let places = found.places.iter().filter(|(_, s)| **s == slot);
            let record = records.get(&slot).copied().unwrap_or_default();
            Retired {
                name: None,
                live: true,
                held: Held::found(
                    slot,
                    record,
                    places.map(|(place, _)| *place).collect(),
                    backends.remove(&slot).unwrap_or_default(),
                    quic.remove(&slot).unwrap_or_default(),
                ),
            }
        });
        Self {
            retired: retired.collect(),
            services: BTreeMap::new(),
            service_slots,
            backend_slots: Slots::new(abi::BACKENDS, &used),
            regions,
            places: found.places,
            answers: Answers::found(found.answers),
            turn: control::time::Instant::ZERO,
            generation: 0,
        }
    }
}
