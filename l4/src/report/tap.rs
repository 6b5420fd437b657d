//! The program's trace ring, for [`mod@crate::trace`].

use std::{io, net::SocketAddr, sync::Arc};

use aya::maps::{Map, MapData, RingBuf};
use control::name::Name;
use xdp::abi::TraceEvent;

use crate::{
    load::object::directory,
    plane::{Plane, lock},
    trace::{Names, Tap},
};

/// The ring and the switch of the program's trace.
pub(crate) struct Ring {
    plane: Arc<Plane>,
    /// Opened when somebody listens first.
    ring: Option<RingBuf<MapData>>,
}

impl Ring {
    pub(crate) fn new(plane: Arc<Plane>) -> Self {
        Self { plane, ring: None }
    }

    fn sample(&self, every: u32) -> io::Result<()> {
        let loaded = self.plane.loaded();
        loaded
            .maps
            .change_settings(|settings| settings.trace = every)
    }
}

impl Tap for Ring {
    /// Samples of all services come; those nobody asked for are left out by whoever reads them.
    fn open(&mut self, every: u32, _: Option<&[Name]>) -> io::Result<()> {
        if self.ring.is_none() {
            let pin = lock(&self.plane.condition).spec.pin.clone();
            let map = MapData::from_pin(directory(&pin).join("TRACE")).map_err(io::Error::other)?;
            let map = Map::from_map_data(map).map_err(io::Error::other)?;
            self.ring = Some(RingBuf::try_from(map).map_err(io::Error::other)?);
        }
        self.sample(every)
    }

    fn close(&mut self) {
        if let Err(error) = self.sample(0) {
            tracing::warn!(%error, "decisions are traced still");
        }
    }

    fn next(&mut self) -> Option<TraceEvent> {
        let item = self.ring.as_mut()?.next()?;
        if item.len() != size_of::<TraceEvent>() {
            return None;
        }
        // SAFETY: as many bytes as an event has, and any bits are one.
        Some(unsafe { item.as_ptr().cast::<TraceEvent>().read_unaligned() })
    }

    fn names(&self, event: &TraceEvent) -> Names {
        let tables = lock(&self.plane.tables);
        let held = tables.all().find(|(_, held)| held.slot == event.service);
        let backend = |slot: u32| -> Option<SocketAddr> {
            let backends = &held.as_ref()?.1.backends;
            let found = backends.iter().find(|(_, kept)| kept.slot == slot);
            found.map(|(address, _)| *address)
        };
        Names {
            service: held
                .as_ref()
                .and_then(|(name, _)| name.map(ToString::to_string)),
            backend: backend(event.backend),
            interface: self
                .plane
                .monitor
                .device(event.ifindex)
                .map(|device| device.name),
        }
    }
}
