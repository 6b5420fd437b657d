//! The two lists of a service: its members in order, and the table that its scheduler looks into.

use std::net::SocketAddr;

use control::spec::Balance;
use xdp::abi::Scheduler;

use super::{
    region::Region,
    rendezvous::{self, Rendezvous},
    ring,
};

/// A member that may be given new work, in the order in which they are gone through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) slot: u32,
    pub(super) weight: u32,
}

/// A service's lists, and where they are in the schedule map.
#[derive(Debug, Default)]
pub(super) struct Lists {
    balance: Option<Balance>,
    candidates: Vec<Candidate>,
    hash: Rendezvous,
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

    /// Becomes the lists of these; whether anything is different. Where they lie is the caller's.
    pub(super) fn become_of(&mut self, balance: &Balance, candidates: Vec<Candidate>) -> bool {
        if self.balance.as_ref() == Some(balance) && self.candidates == candidates {
            return false;
        }
        let weights: Vec<_> = candidates.iter().map(|c| (c.slot, c.weight)).collect();
        let scheduler = super::record::scheduler(balance);
        let hashed = |least: u32| -> Vec<_> {
            let member =
                |c: &Candidate| rendezvous::Member::at(c.address, c.weight.max(least), c.slot);
            candidates.iter().map(member).collect()
        };
        self.table = match scheduler {
            Scheduler::Ring if *balance == Balance::RoundRobin => ring::plain(&weights),
            Scheduler::Ring | Scheduler::Twos => ring::weighted(&weights),
            // A member of weight 0 has one share, and its clients are refused, or tried elsewhere.
            Scheduler::SourceHash => {
                self.hash.become_of(&hashed(1));
                self.hash.slots()
            }
            // It has as many destinations for each, whatever their weights: IPVS's pays no heed to them either, but
            // for refusing what leads to one of weight 0.
            Scheduler::DestinationHash => {
                let equal = |c: &Candidate| rendezvous::Member::at(c.address, 1, c.slot);
                self.hash
                    .become_of(&candidates.iter().map(equal).collect::<Vec<_>>());
                self.hash.slots()
            }
            Scheduler::Maglev => {
                self.hash.become_of(&hashed(0));
                self.hash.slots()
            }
            _ => Vec::new(),
        };
        if !matches!(
            scheduler,
            Scheduler::SourceHash | Scheduler::DestinationHash | Scheduler::Maglev
        ) {
            self.hash = Rendezvous::default();
        }
        self.members = weights.iter().map(|(slot, _)| *slot).collect();
        self.balance = Some(balance.clone());
        self.candidates = candidates;
        true
    }

    /// Where the ring goes on: `old` is the table before the change.
    pub(super) fn resume(&self, old: &[u32], turns: u32) -> u32 {
        match self.balance {
            Some(Balance::RoundRobin) => ring::resume(old, turns, &self.table),
            _ => 0,
        }
    }

    /// Has everything written again with the next plan.
    pub(super) fn doubt(&mut self) {
        self.balance = None;
    }
}
