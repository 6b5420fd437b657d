//! Hash tables whose slots each go to the member with the highest score for it (rendezvous hashing).
//!
//! A table is a function of its members alone: whatever way led to a set, the table is the same. A member that comes
//! takes slots, one that goes gives its own up, and nothing else moves; what changes is found without making the table
//! anew. A member with weight `w` wins with probability `w` over the sum of weights, by the score `w / -ln(u)`, `u`
//! drawn by a hash of member and slot.

use std::{collections::HashMap, net::SocketAddr};

/// The smallest table.
const LEAST: u32 = 4096;
/// The largest of up to 4096 members, so that a change among 1,000 is made in a few milliseconds whatever they weigh.
const MOST: u32 = 1 << 18;
/// The largest of all: 4 MiB of a schedule map.
const MOST_OF_ALL: u32 = 1 << 20;
/// Slots for each share, so that a member of one share gets what it should within a few percent.
const PER_SHARE: u64 = 256;
/// Slots for each member at least, as far as [`MOST_OF_ALL`] allows.
const PER_MEMBER: u64 = 64;

/// A member: who it is, what it weighs, and which backend slot stands for it in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// Drawn from who it is: the same wherever and whenever the table is made.
    pub seed: u64,
    /// Its shares; 0: none.
    pub weight: u32,
    /// What the table's slots hold.
    pub slot: u32,
}

impl Member {
    /// The member at an address.
    #[must_use]
    pub fn at(address: SocketAddr, weight: u32, slot: u32) -> Self {
        let mut seed = mix(u64::from(address.port()) << 1 | u64::from(address.is_ipv6()));
        let mut take = |octets: &[u8]| {
            for octet in octets {
                seed = mix(seed ^ u64::from(*octet));
            }
        };
        match address.ip() {
            std::net::IpAddr::V4(ip) => take(&ip.octets()),
            std::net::IpAddr::V6(ip) => take(&ip.octets()),
        }
        Self { seed, weight, slot }
    }

    /// Its score for a slot of the table, if that may be more than `least`.
    fn score(&self, table_slot: u32, least: f32) -> Option<f32> {
        let drawn = mix(self.seed ^ u64::from(table_slot).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // In (0, 1): 53 bits, and half a step.
        let u = ((drawn >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let weight = f64::from(self.weight);
        // -ln(u) is at least 1 - u, which costs nothing; most members fall at this.
        if weight < f64::from(least) * (1.0 - u) * 0.999 {
            return None;
        }
        Some((weight / -u.ln()) as f32)
    }
}

/// The finishing step of a 64-bit mixing function (Stafford's variant 13).
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How many members a table is made for, and what they weigh together, in weights of the lightest.
///
/// The length of the table follows from this. It is of the members that are configured, not of those that are up:
/// otherwise a member that falls could make another length, and with it another place for half of all keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    members: u64,
    shares: u64,
}

impl Size {
    /// That of members of these weights; those that weigh nothing do not count.
    pub fn of(weights: impl IntoIterator<Item = u32>) -> Self {
        let (mut members, mut total, mut least) = (0, 0, u64::MAX);
        for weight in weights.into_iter().map(u64::from).filter(|w| *w > 0) {
            members += 1;
            total += weight;
            least = least.min(weight);
        }
        Self {
            members,
            shares: total.div_ceil(least),
        }
    }

    /// A power of two, so that a change of few members rarely changes it.
    #[must_use]
    pub fn length(self) -> u32 {
        let power = |slots: u64| {
            let power = slots.checked_next_power_of_two();
            power.map_or(MOST_OF_ALL, |p| u32::try_from(p).unwrap_or(MOST_OF_ALL))
        };
        let most = power(self.members.saturating_mul(PER_MEMBER)).clamp(MOST, MOST_OF_ALL);
        power(self.shares.saturating_mul(PER_SHARE)).clamp(LEAST, most)
    }
}

/// A table, and the scores by which each slot was won.
#[derive(Clone, Debug, Default)]
pub struct Rendezvous {
    members: Vec<Member>,
    /// Index into `members` and score, by slot of the table.
    won: Vec<(u32, f32)>,
}

/// What becomes of a member's slots.
#[derive(Clone, Copy)]
enum Fate {
    /// They are its own still.
    Kept,
    /// Its score for them is higher than it was, and it is at this place among the new members.
    Raised(u32),
    /// They are to be won again.
    Lost,
}

impl Rendezvous {
    /// The table of these members, none but these being configured.
    #[must_use]
    pub fn of(members: &[Member]) -> Self {
        let mut made = Self::default();
        made.become_of(members, Size::of(members.iter().map(|m| m.weight)));
        made
    }

    /// Becomes the table of other members, going by what changed. One that weighs nothing wins nothing; without any
    /// that weighs, the table is empty.
    pub fn become_of(&mut self, members: &[Member], size: Size) {
        let weighing = || members.iter().filter(|m| m.weight > 0);
        let length = weighing().next().map_or(0, |_| size.length());
        if length as usize != self.won.len() {
            self.members.clear();
            self.won = vec![NOBODY; length as usize];
        }
        let known: HashMap<u64, usize> = (self.members.iter().map(|m| m.seed)).zip(0..).collect();
        let mut fates = vec![Fate::Lost; self.members.len()];
        let mut fresh = Vec::new();
        for member in weighing() {
            if let Some(&at) = known.get(&member.seed) {
                if self.members[at].weight == member.weight {
                    self.members[at].slot = member.slot;
                    fates[at] = Fate::Kept;
                    continue;
                }
                if self.members[at].weight < member.weight {
                    fates[at] = Fate::Raised(fresh.len() as u32);
                }
            }
            fresh.push(*member);
        }
        let first = self.forget(&fates, &fresh);
        self.welcome(first);
    }

    /// Takes members out whose weight or self is another, and puts the new ones in, from which on is told. Slots that
    /// are to be won again are won by one of those that stay, or nobody.
    fn forget(&mut self, fates: &[Fate], fresh: &[Member]) -> usize {
        let kept = || fates.iter().filter(|fate| matches!(fate, Fate::Kept));
        let first = kept().count();
        if first == fates.len() {
            self.members.extend(fresh);
            return first;
        }
        let mut place = 0;
        let moved: Vec<Option<u32>> = (fates.iter())
            .map(|fate| match fate {
                Fate::Kept => {
                    place += 1;
                    Some(place - 1)
                }
                Fate::Raised(at) => Some(first as u32 + at),
                Fate::Lost => None,
            })
            .collect();
        let mut fates = fates.iter();
        (self.members).retain(|_| matches!(fates.next(), Some(Fate::Kept)));
        self.members.extend(fresh);
        for (slot, held) in self.won.iter_mut().enumerate() {
            let slot = slot as u32;
            *held = match moved.get(held.0 as usize).copied().flatten() {
                Some(place) if (place as usize) < first => (place, held.1),
                Some(place) => {
                    let score = self.members[place as usize].score(slot, NOBODY.1);
                    (place, score.unwrap_or(held.1))
                }
                None => best(&self.members[..first], slot, NOBODY, 0),
            };
        }
        first
    }

    /// Has the members from `first` on win what is theirs.
    fn welcome(&mut self, first: usize) {
        if first == self.members.len() {
            return;
        }
        for (slot, held) in self.won.iter_mut().enumerate() {
            *held = best(&self.members, slot as u32, *held, first);
        }
    }

    /// The backend slots, by slot of the table.
    #[must_use]
    pub fn slots(&self) -> Vec<u32> {
        let of = |(winner, _): &(u32, f32)| {
            self.members
                .get(*winner as usize)
                .map_or(u32::MAX, |m| m.slot)
        };
        self.won.iter().map(of).collect()
    }
}

/// No member, and the score it has.
const NOBODY: (u32, f32) = (u32::MAX, f32::NEG_INFINITY);

/// Who has the highest score for a slot: `held`, or one of `members` from the `first` on; of equals the one with the
/// higher seed.
fn best(members: &[Member], slot: u32, held: (u32, f32), first: usize) -> (u32, f32) {
    let mut winner = held;
    let mut seed = members.get(held.0 as usize).map_or(0, |m| m.seed);
    for (at, member) in members.iter().enumerate().skip(first) {
        let Some(score) = member.score(slot, winner.1) else {
            continue;
        };
        if score > winner.1 || (score == winner.1 && member.seed > seed) {
            winner = (at as u32, score);
            seed = member.seed;
        }
    }
    winner
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn member(n: u32, weight: u32) -> Member {
        let address = ([10, 0, (n >> 8) as u8, n as u8], 80).into();
        Member::at(address, weight, n)
    }

    fn members(count: u32) -> Vec<Member> {
        (0..count).map(|n| member(n, 1)).collect()
    }

    fn size(count: u32) -> Size {
        Size::of((0..count).map(|_| 1))
    }

    #[test]
    fn what_changes_is_only_what_must() {
        let mut table = Rendezvous::of(&members(20));
        let before = table.slots();
        let mut fewer = members(20);
        fewer.remove(7);
        table.become_of(&fewer, size(20));
        let after = table.slots();
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new || *old == 7, "a slot of {old} went to {new}");
            assert_ne!(*new, 7);
        }
        table.become_of(&members(20), size(20));
        assert_eq!(table.slots(), before, "back again, all is as it was");
    }

    #[test]
    fn the_way_to_a_set_does_not_matter() {
        let mut table = Rendezvous::of(&members(3));
        for count in [9, 30, 12, 16, 2, 16] {
            table.become_of(&members(count), size(count));
            assert_eq!(table.slots(), Rendezvous::of(&members(count)).slots());
        }
        let mut backwards = members(16);
        backwards.reverse();
        assert_eq!(table.slots(), Rendezvous::of(&backwards).slots());
    }

    #[test]
    fn a_weight_that_grows_takes_and_gives_nothing_else() {
        let mut set = members(10);
        let mut table = Rendezvous::of(&set);
        let before = table.slots();
        set[3].weight = 2;
        table.become_of(&set, size(10));
        for (old, new) in before.iter().zip(table.slots()) {
            assert!(*old == new || new == 3);
        }
    }

    #[test]
    fn weights_come_and_go_and_the_way_does_not_matter() {
        let whole = Size::of((0..40).map(|n| 1 + n % 7));
        let set = |round: u32| -> Vec<_> {
            let weight = |n: u32| (1 + n * round * 7919 % 11) % 9;
            (0..40).map(|n| member(n, weight(n))).collect()
        };
        let mut table = Rendezvous::default();
        for round in 0..12 {
            table.become_of(&set(round), whole);
            let mut anew = Rendezvous::default();
            anew.become_of(&set(round), whole);
            assert_eq!(table.slots(), anew.slots(), "round {round}");
        }
    }

    #[test]
    fn the_length_goes_by_what_is_configured() {
        let length = |weights: &[u32]| Size::of(weights.iter().copied()).length();
        assert_eq!(length(&[]), LEAST);
        assert_eq!(length(&[100; 1000]), MOST, "as if each weighed 1");
        let mut weights = [100; 1000];
        weights[3] = 99;
        assert_eq!(
            length(&weights),
            MOST,
            "one that is lighter does not matter"
        );
        assert_eq!(length(&[65_535, 1]), MOST);
        assert_eq!(length(&[1; 20_000]), MOST_OF_ALL);
        let mut table = Rendezvous::default();
        for up in [40, 3, 40] {
            table.become_of(&members(up), size(40));
            assert_eq!(table.slots().len() as u32, size(40).length());
        }
    }

    #[test]
    fn shares_are_near_the_weights() {
        let set: Vec<_> = (0..50).map(|n| member(n, 1 + n % 5)).collect();
        let slots = Rendezvous::of(&set).slots();
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for slot in &slots {
            *counts.entry(*slot).or_default() += 1;
        }
        let shares: u32 = set.iter().map(|m| m.weight).sum();
        for m in &set {
            let fair = slots.len() as f64 * f64::from(m.weight) / f64::from(shares);
            let is = f64::from(counts[&m.slot]);
            // Six standard deviations of a binomial count.
            assert!(
                (is - fair).abs() < 6.0 * fair.sqrt(),
                "{is} instead of {fair}"
            );
        }
    }

    #[test]
    fn weight_nothing_wins_nothing() {
        let slots = Rendezvous::of(&[member(0, 0), member(1, 1)]).slots();
        assert!(slots.iter().all(|s| *s == 1));
        assert!(Rendezvous::of(&[member(0, 0)]).slots().is_empty());
        assert!(Rendezvous::of(&[]).slots().is_empty());
    }
}
