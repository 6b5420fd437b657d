//! Open handshakes of each service, by which the program decides whether cookies answer for it: what a sweep counted against
//! what the program keeps.
//!
//! The program counts as it goes; it does not see those that nobody completes, and that a full table threw out.

use std::{collections::HashMap, mem::offset_of, sync::atomic::Ordering::Relaxed};

use xdp::abi::Guard;

use crate::maps::Maps;

/// What was counted, by the service's slot.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    of: HashMap<u32, Counted>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    found: u32,
    /// What the program had when the sweep began.
    before: u32,
}

impl Handshakes {
    pub(crate) fn begin(maps: &Maps, services: impl Iterator<Item = u32>) -> Self {
        let of = services.map(|slot| {
            let before = maps.guards.get(slot).unwrap_or_default().open;
            (slot, Counted { found: 0, before })
        });
        Self { of: of.collect() }
    }

    /// One more of a service.
    pub(crate) fn add(&mut self, service: u32) {
        if let Some(counted) = self.of.get_mut(&service) {
            counted.found += 1;
        }
    }

    /// Puts the program's counts right. Those that came and went meanwhile may have been met or not: what is off by them
    /// the next sweep puts right.
    pub(crate) fn settle(&self, maps: &Maps) {
        for (slot, counted) in &self.of {
            let by = counted.found.wrapping_sub(counted.before);
            if by != 0
                && let Some(open) = maps.guards.word(*slot, offset_of!(Guard, open))
            {
                open.fetch_add(by, Relaxed);
            }
        }
    }
}
