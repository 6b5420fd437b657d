//! Why a request would go where it would go, member by member.

use std::{sync::Arc, time::Duration};

use super::{
    balancer::{Balancer, Choice, NoBackend, Pick},
    members::{Algorithm, BackendId, Member},
};

/// What would become of a request now, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// How a member is chosen.
    pub algorithm: Algorithm,
    /// The index of the member that would be chosen.
    pub chosen: Result<usize, NoBackend>,
    /// Whether it would be chosen to find out how it does, whatever its score (`least-time`).
    pub explores: bool,
    /// All members in config order.
    pub verdicts: Vec<Verdict>,
}

/// One member's part in the choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Its index in the members.
    pub index: usize,
    /// Who it is.
    pub id: BackendId,
    /// Its weight now; a fraction of the configured one in slow start.
    pub weight: f64,
    /// What is in flight on it.
    pub in_flight: u32,
    /// Its average latency, if any was measured.
    pub latency: Option<Duration>,
    /// What the algorithm compares. `lc`, `wlc`, `sed`, `nq`, `p2c`: load over weight, less is better.
    /// `least-time`: the expected time in seconds, less is better. `wrr` by scan: its balance before this
    /// turn, in weights, more is better. None where nothing is compared.
    pub score: Option<f64>,
    /// Whether it was chosen, and why not.
    pub reason: Reason,
}

/// Why a member was or was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was chosen.
    Chosen,
    /// It could have been.
    Passed,
    /// Its weight is 0: no new work.
    Quiesced,
    /// It is a backup, and a primary has a weight.
    Backup,
    /// This request has tried it.
    Tried,
    /// It is at its `max_connections`.
    Full,
}

impl Balancer {
    /// What [`Self::pick`] would do now. Takes no place, advances no turn; allocates, so it is not for every
    /// request.
    #[must_use]
    pub fn explain(&self, pick: &Pick<'_>) -> Explanation {
        let choice = self.clone().choose(pick);
        let chosen = choice.map(|c| c.index);
        let verdict = |(index, member): (usize, &Member)| Verdict {
            index,
            id: member.id,
            weight: member.weight_at(pick.now) as f64 / Member::WHOLE as f64,
            in_flight: member.load.in_flight(),
            latency: member.load.latency(),
            score: self.score(index, pick),
            reason: self.reason(index, chosen, pick),
        };
        let members = Arc::clone(&self.members);
        Explanation {
            algorithm: members.algorithm(),
            chosen: chosen.ok_or_else(|| self.why_none(pick)),
            explores: choice.is_some_and(|c: Choice| c.explores),
            verdicts: members.list().iter().enumerate().map(verdict).collect(),
        }
    }

    fn reason(&self, index: usize, chosen: Option<usize>, pick: &Pick<'_>) -> Reason {
        let member = &self.members.list()[index];
        if chosen == Some(index) {
            Reason::Chosen
        } else if member.weight == 0 {
            Reason::Quiesced
        } else if !self.active().any(|i| i == index) {
            Reason::Backup
        } else if pick.avoid.contains(&member.id) {
            Reason::Tried
        } else if member.is_full() {
            Reason::Full
        } else {
            Reason::Passed
        }
    }

    fn score(&self, index: usize, pick: &Pick<'_>) -> Option<f64> {
        let member = &self.members.list()[index];
        let whole = Member::WHOLE as f64;
        if member.weight == 0 {
            return None;
        }
        match self.members.algorithm() {
            Algorithm::LeastConnections
            | Algorithm::WeightedLeastConnections
            | Algorithm::ShortestExpectedDelay
            | Algorithm::NeverQueue
            | Algorithm::LeastOfTwo => Some(self.ratio(member, pick.now).value() * whole),
            Algorithm::LeastTime => {
                let quickest = self.quickest(self.active());
                Some(self.expected_time(member, pick.now, quickest).into())
            }
            Algorithm::WeightedRoundRobin if !self.members.has_sequence() => {
                Some(self.balances[index] as f64 / whole)
            }
            _ => None,
        }
    }
}
