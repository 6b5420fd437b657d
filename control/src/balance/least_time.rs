//! `least-time`: the lowest latency times load, by a moving average that rises fast.
//!
//! **Score.** `latency × (1 + in flight / relative weight)`: the time that the next request would take if
//! those before it were served in turn. For equal weights that is latency × (in flight + 1), the "peak EWMA"
//! of the field. In-flight counts know at once what the average learns late, and the average knows what
//! counts cannot: that a quickly emptied backend may be one that fails. A failure counts as the timeout, so
//! failing fast is slow.
//!
//! **Who is compared.** Pools up to 16 are looked at as a whole. Two choices would be too few there: with one
//! good backend of three, every third pair has none. Above, three members are drawn by weight; that costs
//! three cache lines however large the pool, and keeps nodes that do not see each other's counts from all
//! running to the same best backend. One member that is drawn first is kept unless another is clearly better
//! (by an eighth), so equals share by weight (and by slow start) instead of by noise.
//!
//! **Exploring.** An average of a backend that gets no requests tells of the past. Rather than forgiving it
//! with time, which sends a crowd to a backend that still fails, one request at a time finds out: a backend
//! of which nothing was heard for ten times its latency (at least 1 s, at most 10 s) gets the next one, once
//! over all workers. At most one request in ten explores. So nobody starves, one that recovers is found
//! within seconds, and a failing one costs at most one request per 10 s.
//!
//! **Unknown backends** count as quick as the quickest they are compared with that answers, no quicker: with
//! requests in flight and none answered they get no more than their share.

use super::{
    balancer::{Balancer, Choice, Pick},
    load::Estimate,
    members::Member,
};
use crate::time::Instant;

/// When this worker looks for backends to find out about.
#[derive(Clone, Debug)]
pub(super) struct Explorer {
    /// The place among the active members to look at next.
    place: usize,
    /// Requests since the last that explored.
    since: u32,
}

impl Default for Explorer {
    fn default() -> Self {
        Self {
            place: 0,
            since: Self::SPARED,
        }
    }
}

impl Explorer {
    /// Requests between two that explore.
    const SPARED: u32 = 9;

    /// The place to look at if it is time to, in a pool of `count`.
    fn look(&mut self, count: usize) -> Option<usize> {
        if self.since < Self::SPARED {
            self.since += 1;
            return None;
        }
        self.place = if self.place + 1 < count {
            self.place + 1
        } else {
            0
        };
        (count > 0).then_some(self.place)
    }

    fn explored(&mut self) {
        self.since = 0;
    }
}

/// Members that are compared for one request.
struct Compared {
    indices: [usize; Balancer::COMPARED],
    count: usize,
}

impl Compared {
    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.indices[..self.count].iter().copied()
    }

    fn push(&mut self, index: usize) {
        if let Some(free) = self.indices.get_mut(self.count) {
            *free = index;
            self.count += 1;
        }
    }
}

impl Balancer {
    /// Pools up to this size are compared as a whole.
    const COMPARED: usize = 16;
    /// Members drawn from larger ones.
    const DRAWN: usize = 3;

    pub(super) fn least_time(&mut self, pick: &Pick<'_>) -> Option<Choice> {
        if let Some(index) = self.unheard_of(pick) {
            self.explorer.explored();
            return Some(Choice {
                index,
                explores: true,
            });
        }
        let first = self.at_random(pick)?;
        let compared = self.compared(pick);
        let quickest = self.quickest(compared.iter().chain([first]));
        let score = |i: usize| self.expected_time(&self.members.list()[i], pick.now, quickest);
        let best = compared.iter().fold((first, score(first)), |best, i| {
            let score = score(i);
            if score < best.1 * 0.875 {
                (i, score)
            } else {
                best
            }
        });
        Some(best.0.into())
    }

    /// The score, in seconds; `quickest` stands for a latency not known.
    pub(super) fn expected_time(&self, member: &Member, now: Instant, quickest: f32) -> f32 {
        let latency = member.load.estimate().map_or(quickest, |e| e.seconds);
        let relative = member.weight_at(now).max(1) as f32 / self.members.mean_weight();
        latency * (1.0 + member.load.in_flight() as f32 / relative)
    }

    /// The least latency of these members that answer; if none does, little, so that unknown ones go before
    /// failing ones.
    pub(super) fn quickest(&self, indices: impl Iterator<Item = usize>) -> f32 {
        const LITTLE: f32 = 0.001;
        let estimates = indices.filter_map(|i| self.members.list()[i].load.estimate());
        let latencies = estimates.filter(|e| !e.failing).map(|e| e.seconds);
        latencies.reduce(f32::min).unwrap_or(LITTLE)
    }

    fn compared(&mut self, pick: &Pick<'_>) -> Compared {
        let mut compared = Compared {
            indices: [0; Self::COMPARED],
            count: 0,
        };
        if self.members.active().len() <= Self::COMPARED {
            self.usable(pick).for_each(|i| compared.push(i));
            return compared;
        }
        for _ in 1..Self::DRAWN {
            if let Some(index) = self.draw(pick.now).filter(|&i| self.is_usable(i, pick)) {
                compared.push(index);
            }
        }
        compared
    }

    /// A usable member that it is time to find out about. Looks at one member per request, so the cost does
    /// not grow with the pool.
    fn unheard_of(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let place = self.explorer.look(self.members.active().len())?;
        let index = self.members.active()[place] as usize;
        (is_due(&self.members.list()[index], pick.now) && self.is_usable(index, pick))
            .then_some(index)
    }
}

fn is_due(member: &Member, now: Instant) -> bool {
    let estimate = member.load.estimate();
    let wait = estimate.map_or(Estimate::LEAST_SILENCE, Estimate::silence);
    let unheard = member.load.unheard_for(estimate, now);
    unheard.is_none_or(|unheard| unheard >= wait)
}
