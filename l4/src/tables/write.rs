//! Writes to the tables, in an order in which each packet sees something whole.

use std::collections::BTreeSet;

use xdp::abi::{Backend, QuicConfig, QuicId, QuicKey, Service, settings_flags};

use super::{place::Place, region::Region};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A slot of the array of backends begins anew: nothing is counted for it.
    Fresh {
        /// The slot.
        slot: u32,
    },
    /// A backend's record.
    Backend {
        /// Its slot.
        slot: u32,
        /// The record.
        record: Backend,
    },
    /// A list of backends in a part of the schedule map that nobody reads yet.
    Schedule {
        /// The part.
        region: Region,
        /// Backends' slots.
        entries: Vec<u32>,
    },
    /// How far a service's ring has been gone through.
    Cursor {
        /// The service's slot.
        service: u32,
        /// Turns.
        turns: u32,
    },
    /// How QUIC connection IDs of a service are made.
    QuicConfig {
        /// The service and the rotation id.
        key: QuicKey,
        /// The configuration; none: there is none any more.
        config: Option<Box<QuicConfig>>,
    },
    /// Which backend a server id in QUIC connection IDs is of.
    QuicId {
        /// The server id.
        key: QuicId,
        /// The backend's slot; none: it is nobody's any more.
        slot: Option<u32>,
    },
    /// A service's record.
    Service {
        /// Its slot.
        slot: u32,
        /// The record.
        record: Service,
    },
    /// What leads to which service.
    Lead {
        /// The place.
        place: Place,
        /// The service's slot; none: the place is nobody's.
        slot: Option<u32>,
    },
    /// Flags of the settings ([`settings_flags`]).
    Flags(u32),
}

/// What is between two plans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Writes in order.
    pub writes: Vec<Write>,
    /// How many services were looked at.
    pub services: usize,
    /// What could not be done, and is tried again with the next plan.
    pub trouble: Option<String>,
}

/// Writes by the time at which they are to happen.
#[derive(Debug, Default)]
pub(super) struct Stages {
    pub(super) backends: Vec<Write>,
    pub(super) schedule: Vec<Write>,
    pub(super) quic: Vec<Write>,
    pub(super) services: Vec<Write>,
    yielding: Vec<Write>,
    coming: Vec<Write>,
    going: Vec<Write>,
    pub(super) services_off: Vec<Write>,
    pub(super) quic_off: Vec<Write>,
    pub(super) backends_off: Vec<Write>,
    /// Slots of services whose places changed.
    pub(super) moved: BTreeSet<u32>,
    /// Where backends answer from, for another service (true) or for one less.
    pub(super) answers: Vec<(Place, bool)>,
    pub(super) looked_at: usize,
    pub(super) trouble: Option<String>,
}

impl Stages {
    pub(super) fn lead(&mut self, place: Place, slot: Option<u32>) {
        let stage = if slot.is_some() {
            &mut self.coming
        } else {
            &mut self.going
        };
        stage.push(Write::Lead { place, slot });
    }

    /// Takes a place out before any other comes: there may be room for no more.
    pub(super) fn make_room(&mut self, place: Place) {
        self.yielding.push(Write::Lead { place, slot: None });
    }

    /// All in order: what is led to is there before anything leads to it, and goes after nothing does any more.
    pub(super) fn finish<'a>(self, places: impl Iterator<Item = &'a Place>) -> Changes {
        let mut flags = 0;
        for place in places {
            flags |= settings_flags::SERVICES;
            if matches!(place, Place::Range(..)) {
                flags |= settings_flags::RANGES;
            }
        }
        let mut writes = self.backends;
        for stage in [self.schedule, self.quic, self.services] {
            writes.extend(stage);
        }
        // Ranges are looked for as long as there may be one.
        let last = flags & settings_flags::SERVICES == 0;
        if !last {
            writes.push(Write::Flags(flags | settings_flags::RANGES));
        }
        for stage in [
            self.yielding,
            self.coming,
            self.going,
            self.services_off,
            self.quic_off,
            self.backends_off,
        ] {
            writes.extend(stage);
        }
        writes.push(Write::Flags(flags));
        Changes {
            writes,
            services: self.looked_at,
            trouble: self.trouble,
        }
    }
}
