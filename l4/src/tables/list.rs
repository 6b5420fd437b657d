//! The two lists of a service: its members in order, and the table that its scheduler looks into.

use std::net::SocketAddr;

use control::spec::Balance;
use xdp::abi::Scheduler;

use super::{
    region::Region,
    rendezvous::{Member, Rendezvous, Size},
    ring,
};

/// A member that may be given new work, in the order in which they are gone through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) slot: u32,
    pub(super) weight: u32,
}

/// What members of a weight have of a hash table.
#[derive(Clone, Copy)]
enum Shares {
    /// As much as they weigh.
    Weight,
    /// That, or one if they weigh nothing: their clients are refused, or tried elsewhere.
    AtLeastOne,
    /// One: as many destinations for each, whatever their weights. IPVS's pays no heed to them either, but for refusing
    /// what leads to one of weight 0.
    One,
}

impl Shares {
    /// Those of a scheduler; none if it has no hash table.
    fn of(scheduler: Scheduler) -> Option<Self> {
        match scheduler {
            Scheduler::Maglev => Some(Self::Weight),
            Scheduler::SourceHash => Some(Self::AtLeastOne),
            Scheduler::DestinationHash => Some(Self::One),
            _ => None,
        }
    }

    fn of_weight(self, weight: u32) -> u32 {
        match self {
            Self::Weight => weight,
            Self::AtLeastOne => weight.max(1),
            Self::One => 1,
        }
    }
}

/// A service's lists, and where they are in the schedule map.
#[derive(Debug, Default)]
pub(super) struct Lists {
    balance: Option<Balance>,
    candidates: Vec<Candidate>,
    hash: Rendezvous,
    size: Size,
    pub(super) table: Vec<u32>,
    pub(super) members: Vec<u32>,
    pub(super) at: [Region; 2],
}

impl Lists {
    /// Those of a service that was there before, of which only the place is known.
    pub(super) fn found(table: Region, members: Region) -> Self {
        Self {
            at: [table, members],
            ..Self::default()
        }
    }

    /// Becomes the lists of these; whether anything is different. `configured` are the weights of all members of the
    /// configuration, up or not. Where the lists lie is the caller's.
    pub(super) fn become_of(
        &mut self,
        balance: &Balance,
        configured: impl Iterator<Item = u32>,
        candidates: Vec<Candidate>,
    ) -> bool {
        let scheduler = super::record::scheduler(balance);
        let shares = Shares::of(scheduler);
        let size = shares.map_or_else(Size::default, |shares| {
            Size::of(configured.map(|weight| shares.of_weight(weight)))
        });
        let same_size = self.size.length() == size.length();
        if self.balance.as_ref() == Some(balance) && same_size && self.candidates == candidates {
            return false;
        }
        let weights: Vec<_> = candidates.iter().map(|c| (c.slot, c.weight)).collect();
        self.table = match scheduler {
            Scheduler::Ring if *balance == Balance::RoundRobin => ring::plain(&weights),
            Scheduler::Ring | Scheduler::Twos => ring::weighted(&weights),
            _ => Vec::new(),
        };
        if let Some(shares) = shares {
            let member = |c: &Candidate| Member::at(c.address, shares.of_weight(c.weight), c.slot);
            let members: Vec<_> = candidates.iter().map(member).collect();
            self.hash.become_of(&members, size);
            self.table = self.hash.slots();
        } else {
            self.hash = Rendezvous::default();
        }
        self.size = size;
        self.members = weights.iter().map(|(slot, _)| *slot).collect();
        self.balance = Some(balance.clone());
        self.candidates = candidates;
        true
    }

    /// Where the ring goes on: `old` is the table before the change. Where only a step of slow start was made, `wrr`
    /// goes on where it was, for it would else begin with the same ones again and again.
    pub(super) fn resume(&self, old: &[u32], turns: u32, stepping: bool) -> u32 {
        match self.balance {
            Some(Balance::RoundRobin) => ring::resume(old, turns, &self.table),
            Some(_) if stepping => ring::keep_place(old.len(), turns, self.table.len()),
            _ => 0,
        }
    }

    /// Has everything written again with the next plan.
    pub(super) fn doubt(&mut self) {
        self.balance = None;
    }
}
