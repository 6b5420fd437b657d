//! Flows of tables that gave way to others: of another size, or left by a version that laid them out otherwise.
//!
//! Entries are carried over before the program changes and once more after that. In between, packets that know no flow may
//! belong to one that is not carried yet: [`begin`] has the program drop them, so that they are sent again, where it would
//! leave them to the machine's stack, which resets their connection.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use xdp::{
    abi::{Family, Flow, Hop, LANES, LAYOUT, Plain, Slot, Tuple, settings_flags},
    flows::Hits,
};

use super::{StartError, bpffs};
use crate::{
    maps::Maps,
    plane::now,
    sys::{
        Flows, Shared,
        object::{self, MapInfo},
    },
};

/// The layout before this one: buckets of flows were without a count of those that went on, and a hop's addresses were
/// the other way round, in flows and in ways. All other maps are taken over as they are.
const BEFORE: u32 = 2;
const _: () = assert!(BEFORE + 1 == LAYOUT);
/// Its tables of flows.
const OTHERWISE: [&str; 4] = ["FLOWS4", "FLOWS6", "PENDING4", "PENDING6"];
/// What it remembered of ways: found anew in a moment.
const WAYS: &str = "WAYS";

/// A bucket of [`BEFORE`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct OldBucket<F: Family> {
    tags: [u64; 2],
    slots: [Slot<F>; LANES],
}

// SAFETY: two numbers, and slots whose size is a multiple of eight bytes.
unsafe impl<F: Family> Plain for OldBucket<F> {}

/// A table of flows that gave way.
#[derive(Debug)]
pub(super) struct Outgrown {
    name: &'static str,
    map: OwnedFd,
    /// What its places depend on; none: it is of [`BEFORE`].
    secret: Option<u64>,
}

impl Outgrown {
    /// One of this layout.
    pub(super) fn new(name: &'static str, map: OwnedFd, secret: u64) -> Self {
        Self {
            name,
            map,
            secret: Some(secret),
        }
    }

    /// Carries its entries into the table that took its place: those that that one lacks.
    pub(super) fn carry(&self, maps: &Maps) {
        let carried = match self.name {
            "FLOWS4" => self.carry_into(&maps.v4.flows),
            "PENDING4" => self.carry_into(&maps.v4.pending),
            "FLOWS6" => self.carry_into(&maps.v6.flows),
            _ => self.carry_into(&maps.v6.pending),
        };
        match carried {
            Ok(entries) => tracing::info!(map = self.name, entries, "carried over"),
            Err(error) => tracing::warn!(map = self.name, %error, "flows were lost"),
        }
    }

    fn carry_into<F: Family>(&self, new: &Flows<F>) -> io::Result<usize> {
        let mut carried = 0;
        let mut put = |entries: &mut Vec<(Tuple<F>, Flow<F>)>| {
            for (key, flow) in entries.drain(..) {
                carried += usize::from(new.insert(&key, &flow, now()));
            }
        };
        let mut entries = Vec::new();
        if let Some(secret) = self.secret {
            let old = Flows::<F>::new(self.map.as_fd(), secret)?;
            let (mut at, mut through) = (0, false);
            while !through {
                through = old.walk(&mut at, 4096, &mut entries);
                put(&mut entries);
            }
            return Ok(carried);
        }
        let old = Shared::<OldBucket<F>>::new(self.map.as_fd())?;
        for index in 0..old.entries() {
            let Some(bucket) = old.get(index) else { break };
            let mut taken = Hits::taken(bucket.tags);
            while !taken.is_empty() {
                let one = taken.lowest();
                taken = taken.without(one);
                let Slot { key, mut flow } = bucket.slots[one.slot()];
                // Its way is looked for anew.
                flow.hop = Hop::default();
                entries.push((key, flow));
            }
            put(&mut entries);
        }
        Ok(carried)
    }
}

/// What a version with another layout left.
#[derive(Debug)]
pub(super) struct Inheritance {
    directory: PathBuf,
    /// Its flows.
    pub(super) flows: Vec<Outgrown>,
}

/// Pins the maps that the version before left in `directory` too, as far as they are the same. None: it left nothing, or
/// this version has begun already.
pub(super) fn inherit(pin: &Path, directory: &Path) -> Result<Option<Inheritance>, StartError> {
    let old = pin.join(format!("v{BEFORE}"));
    let names = bpffs::names(&old);
    if names.is_empty() || directory.join("SETTINGS").exists() {
        return Ok(None);
    }
    let of = StartError::of;
    let mut inheritance = Inheritance {
        directory: old.clone(),
        flows: Vec::new(),
    };
    for (name, path) in names {
        let map = object::open(&path).map_err(of("opening a map of the version before"))?;
        let Some(map) = map else { continue };
        match OTHERWISE.into_iter().find(|other| *other == name) {
            Some(name) => inheritance.flows.push(Outgrown {
                name,
                map,
                secret: None,
            }),
            None if name == WAYS => {}
            None => {
                let target = directory.join(&name);
                bpffs::unpin(&target).map_err(of("taking a map of the version before over"))?;
                object::pin(map.as_fd(), &target)
                    .map_err(of("taking a map of the version before over"))?;
            }
        }
    }
    tracing::info!(directory = %old.display(), "taking over what the version before left");
    Ok(Some(inheritance))
}

impl Inheritance {
    /// Takes its pins out: nobody uses them any more.
    pub(super) fn remove(&self) {
        for (_, path) in bpffs::names(&self.directory) {
            // What stays is only memory.
            let _ = bpffs::unpin(&path);
        }
        let _ = std::fs::remove_dir(&self.directory);
    }
}

/// Has the program drop what knows no flow but may belong to one.
pub(crate) fn begin(maps: &Maps) -> io::Result<()> {
    flag(maps, settings_flags::CARRYING, true)
}

/// All is carried over.
pub(crate) fn end(maps: &Maps) -> io::Result<()> {
    flag(maps, settings_flags::CARRYING, false)
}

/// Has the program not hear who begins to connect, or hear him again.
pub(crate) fn hold(maps: &Maps, hold: bool) -> io::Result<()> {
    flag(maps, settings_flags::HOLDING, hold)
}

/// Has the program drop what backends answer and no flow is known of, or no longer.
pub(crate) fn moving(maps: &Maps, moving: bool) -> io::Result<()> {
    flag(maps, settings_flags::MOVING, moving)
}

fn flag(maps: &Maps, flag: u32, on: bool) -> io::Result<()> {
    maps.change_settings(|settings| {
        settings.flags &= !flag;
        settings.flags |= if on { flag } else { 0 };
    })
}

/// Whether a map is one that this version may use as it is.
pub(super) fn fits(map: &OwnedFd, size: Option<u32>) -> io::Result<bool> {
    let info = MapInfo::of(map.as_fd())?;
    Ok(size.is_none_or(|size| size == info.max_entries))
}

#[cfg(test)]
mod tests;
