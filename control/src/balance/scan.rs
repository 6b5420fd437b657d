//! The algorithms that look at every member's load: lc, wlc, sed, nq; and how ties among them are broken.
//!
//! Ties are the common case, since a pool with little to do has nothing in flight most of the time. The first
//! in config order must not take them all, so ties go by weighted turns: among equals, the one that is
//! furthest behind its share.

use std::cmp::Ordering;

use super::{
    balancer::{Balancer, Pick},
    members::{Algorithm, Member},
};
use crate::time::Instant;

/// A load as a fraction, compared exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    pub(super) load: u64,
    pub(super) weight: u64,
}

impl Ratio {
    pub(super) fn cmp(self, other: Self) -> Ordering {
        let ours = u128::from(self.load) * u128::from(other.weight);
        ours.cmp(&(u128::from(other.load) * u128::from(self.weight)))
    }

    pub(super) fn value(self) -> f64 {
        self.load as f64 / self.weight as f64
    }
}

/// Turns by weight among equals: start-time fair queueing (Goyal, Vin, Cheng 1996).
///
/// A member's turn ends `STEP / weight` after it began; the next of equals is the one whose turn may begin
/// first. A turn cannot begin before that of the last chosen one (`now`): who was passed over for an hour
/// because it was busy is not owed that hour. Numbers wrap; only differences from `now` are looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    ends: Vec<u64>,
    now: u64,
}

impl Turns {
    /// Divisible by the weights 1 to 16, so that pools with small weights come out exact.
    const STEP: u64 = (720_720 << 12) * Member::WHOLE;

    pub(super) fn new(members: usize) -> Self {
        Self {
            ends: vec![0; members],
            now: 0,
        }
    }

    /// How far from now the member's next turn may begin.
    pub(super) fn wait(&self, index: usize) -> u64 {
        let wait = self.ends[index].wrapping_sub(self.now).cast_signed();
        wait.max(0).cast_unsigned()
    }

    /// The member takes its turn.
    pub(super) fn take(&mut self, index: usize, weight: u64) {
        self.now = self.now.wrapping_add(self.wait(index));
        self.ends[index] = self.now.wrapping_add(Self::STEP / weight.max(1));
    }

    /// The same turns for a list in which member `i` was `origin(i)` before; new ones begin now.
    pub(super) fn carried(&self, members: usize, origin: impl Fn(usize) -> Option<usize>) -> Self {
        Self {
            ends: (0..members)
                .map(|i| origin(i).map_or(self.now, |old| self.ends[old]))
                .collect(),
            now: self.now,
        }
    }
}

impl Balancer {
    /// Least loaded by [`Self::ratio`]; equals take turns.
    pub(super) fn least_loaded(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let active = self.members.active();
        let (before, after) = active.split_at(self.next.min(active.len()));
        let mut best: Option<(usize, Ratio)> = None;
        for index in after.iter().chain(before).map(|&i| i as usize) {
            let member = &self.members.list()[index];
            if !member.is_usable(pick) {
                continue;
            }
            let ratio = self.ratio(member, pick.now);
            let is_better = best.is_none_or(|(other, least)| match ratio.cmp(least) {
                Ordering::Less => true,
                Ordering::Equal => self.turns.wait(index) < self.turns.wait(other),
                Ordering::Greater => false,
            });
            if is_better {
                best = Some((index, ratio));
            }
        }
        let (index, _) = best?;
        let weight = match self.members.algorithm() {
            Algorithm::LeastConnections => Member::WHOLE,
            _ => self.members.list()[index].weight_at(pick.now),
        };
        self.turns.take(index, weight);
        // Active indices are sorted: config order.
        self.next = active.partition_point(|&i| i as usize <= index);
        Some(index)
    }

    /// What a member is compared by where load decides; less is better.
    pub(super) fn ratio(&self, member: &Member, now: Instant) -> Ratio {
        let load = u64::from(member.load.in_flight());
        let weight = member.weight_at(now).max(1);
        match self.members.algorithm() {
            Algorithm::LeastConnections => Ratio {
                load,
                weight: Member::WHOLE,
            },
            Algorithm::ShortestExpectedDelay => Ratio {
                load: load + 1,
                weight,
            },
            Algorithm::NeverQueue if load > 0 => Ratio {
                load: load + 1,
                weight,
            },
            _ => Ratio { load, weight },
        }
    }
}
