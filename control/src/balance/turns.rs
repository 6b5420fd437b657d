//! The algorithms that go in turn, `rr` and `wrr`, and how turns go on when members change.

use std::collections::HashMap;

use super::{
    balancer::{Balancer, Pick},
    members::{BackendId, Member, Members, Tables},
    smooth,
};

impl Balancer {
    /// Round robin: the next usable one.
    pub(super) fn in_turn(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let active = self.members.active();
        let (before, after) = active.split_at(self.next.min(active.len()));
        let places = (before.len()..active.len()).chain(0..before.len());
        let (place, &index) = places
            .zip(after.iter().chain(before))
            .find(|&(_, &i)| self.is_usable(i as usize, pick))?;
        self.next = place + 1;
        Some(index as usize)
    }

    /// Smooth weighted round robin: from the table if there is one that holds now, else by a scan.
    pub(super) fn in_weighted_turn(&mut self, pick: &Pick<'_>) -> Option<usize> {
        /// After so many turns of unusable members, scanning is quicker.
        const TURNS: usize = 64;
        let Self {
            members,
            balances,
            next,
            ..
        } = self;
        let list = members.list();
        if let Tables::Sequence(Some(sequence)) = members.tables()
            && members.is_settled(pick.now)
        {
            for _ in 0..sequence.len().min(TURNS) {
                let index = sequence[*next % sequence.len()] as usize;
                *next = (*next + 1) % sequence.len();
                if list[index].is_usable(pick) {
                    return Some(index);
                }
            }
        }
        let active = members.active().iter().map(|&i| i as usize);
        let usable = active.filter(|&i| list[i].is_usable(pick));
        smooth::step(balances, usable.map(|i| (i, list[i].weight_at(pick.now))))
    }

    /// Begins at another place for each seed.
    pub(super) fn skip_turns(&mut self, seed: u64) {
        let Self {
            members,
            balances,
            next,
            ..
        } = self;
        let Some(count) = std::num::NonZeroU64::new(members.active().len() as u64) else {
            return;
        };
        let skipped = (seed % count) as usize;
        match members.tables() {
            Tables::Sequence(Some(sequence)) => *next = (seed % sequence.len() as u64) as usize,
            Tables::Sequence(None) => {
                // Scanned pools are small, unless a table would be too long: then a few turns will do.
                for _ in 0..skipped.min(64) {
                    let _ = smooth::step(balances, whole_weights(members));
                }
            }
            _ => *next = skipped,
        }
    }

    /// Takes the place in the schedule over to other members, as far as they are the same backends.
    pub(super) fn carry_turns(&mut self, members: &Members) {
        let old = self.members.list().iter().zip(0..);
        let places: HashMap<BackendId, usize> = old.map(|(m, i)| (m.id, i)).collect();
        let origin = |i: usize| places.get(&members.list()[i].id).copied();
        self.next = self.next_in(members);
        self.balances = self.carried_balances(members, origin);
        self.turns = self.turns.carried(members.list().len(), origin);
    }

    /// Where the turn goes on in other members: at the backend that would have been next, or the first after
    /// it that is still there.
    fn next_in(&self, members: &Members) -> usize {
        let (old, new) = (order(&self.members), order(members));
        if old.is_empty() || new.is_empty() {
            return 0;
        }
        let mut places: HashMap<BackendId, Vec<usize>> = HashMap::new();
        for (place, &i) in new.iter().enumerate() {
            let id = members.list()[i as usize].id;
            places.entry(id).or_default().push(place);
        }
        let start = self.next % old.len();
        // In a sequence, a backend comes more than once: at the place that is as far along as now.
        let along = start * new.len() / old.len();
        (0..old.len())
            .map(|step| old[(start + step) % old.len()] as usize)
            .find_map(|i| places.get(&self.members.list()[i].id))
            .and_then(|places| places.iter().copied().min_by_key(|p| p.abs_diff(along)))
            .unwrap_or(0)
    }

    /// Balances for other members: those of the same backends, taken relative to their mean, which is where
    /// new ones begin, and within what the new weights can have made.
    fn carried_balances(
        &self,
        members: &Members,
        origin: impl Fn(usize) -> Option<usize>,
    ) -> Vec<i64> {
        let old: Vec<Option<i64>> = (0..members.list().len())
            .map(|i| origin(i).map(|old| self.balances[old]))
            .collect();
        let kept = old.iter().flatten();
        let mean = kept.clone().sum::<i64>() / (kept.count().max(1) as i64);
        let most: u64 = whole_weights(members).map(|(_, weight)| weight).sum();
        let most = most.cast_signed();
        let carried = |balance: Option<i64>| balance.map_or(0, |b| (b - mean).clamp(-most, most));
        old.into_iter().map(carried).collect()
    }
}

/// What [`Balancer::next`] is a place in.
fn order(members: &Members) -> &[u32] {
    match members.tables() {
        Tables::Sequence(Some(sequence)) => sequence,
        _ => members.active(),
    }
}

/// Active members with their weights, without slow start.
fn whole_weights(members: &Members) -> impl Iterator<Item = (usize, u64)> + '_ {
    let weight = |i: usize| u64::from(members.list()[i].weight) * Member::WHOLE;
    let active = members.active().iter().map(|&i| i as usize);
    active.map(move |i| (i, weight(i)))
}
