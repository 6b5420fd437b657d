//! Hash tables whose slots each go to the member with the highest score for it (rendezvous hashing).
//!
//! A table is a function of its members alone: whatever way led to a set, the table is the same. A member that comes
//! takes slots, one that goes gives its own up, and nothing else moves; what changes is found without making the table
//! anew. A member with weight `w` wins with probability `w` over the sum of weights, by the score `w / -ln(u)`, `u`
//! drawn by a hash of member and slot.

use std::net::SocketAddr;

/// The smallest table.
const LEAST: u32 = 4096;
/// The largest: 4 MiB of a schedule map, and 256 slots for each of 4096 shares.
const MOST: u32 = 1 << 20;
/// Slots for each share, so that a member of one share gets what it should within a few percent.
const PER_SHARE: u64 = 256;

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

/// A table, and the scores by which each slot was won.
#[derive(Clone, Debug, Default)]
pub struct Rendezvous {
    members: Vec<Member>,
    /// Index into `members` and score, by slot of the table.
    won: Vec<(u32, f32)>,
}

impl Rendezvous {
    /// The table of these members. One that weighs nothing wins nothing; without any that weighs, the table is empty.
    #[must_use]
    pub fn of(members: &[Member]) -> Self {
        let mut made = Self::default();
        made.become_of(members);
        made
    }

    /// How long the table of so many shares is: a power of two, so that a change of few members rarely changes it.
    fn length(shares: u64) -> u32 {
        if shares == 0 {
            return 0;
        }
        let wanted = shares.saturating_mul(PER_SHARE).checked_next_power_of_two();
        wanted.map_or(MOST, |w| {
            u32::try_from(w).unwrap_or(MOST).clamp(LEAST, MOST)
        })
    }

    /// Becomes the table of other members, going by what changed.
    pub fn become_of(&mut self, members: &[Member]) {
        let shares = shares_of(members);
        let length = Self::length(shares);
        if length as usize != self.won.len() {
            self.members.clear();
            self.won = vec![NOBODY; length as usize];
        }
        // Whoever stays keeps its place in `members`; the others' slots are to be won again.
        let mut lost = vec![true; self.members.len()];
        let mut fresh = Vec::new();
        for member in members.iter().filter(|m| m.weight > 0) {
            let same = |old: &Member| old.seed == member.seed;
            match self.members.iter().position(same) {
                Some(at) if self.members[at].weight == member.weight => {
                    self.members[at].slot = member.slot;
                    lost[at] = false;
                }
                _ => fresh.push(*member),
            }
        }
        self.forget(&lost);
        self.welcome(fresh);
    }

    fn forget(&mut self, lost: &[bool]) {
        if !lost.contains(&true) {
            return;
        }
        let mut moved = vec![u32::MAX; lost.len()];
        let mut kept = Vec::with_capacity(lost.len());
        for (at, member) in self.members.iter().enumerate() {
            if !lost[at] {
                moved[at] = kept.len() as u32;
                kept.push(*member);
            }
        }
        self.members = kept;
        for (slot, (winner, score)) in self.won.iter_mut().enumerate() {
            match moved.get(*winner as usize) {
                Some(&place) if place != u32::MAX => *winner = place,
                _ => (*winner, *score) = best(&self.members, slot as u32, NOBODY, 0),
            }
        }
    }

    fn welcome(&mut self, fresh: Vec<Member>) {
        if fresh.is_empty() {
            return;
        }
        let first = self.members.len();
        self.members.extend(fresh);
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

fn shares_of(members: &[Member]) -> u64 {
    // Equal weights of 100 are one share each: it is the ratio that counts.
    let divisor = members
        .iter()
        .filter(|m| m.weight > 0)
        .fold(0, |all, m| super::ring::gcd(all, m.weight));
    members
        .iter()
        .map(|m| u64::from(m.weight / divisor.max(1)))
        .sum()
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

    #[test]
    fn what_changes_is_only_what_must() {
        let mut table = Rendezvous::of(&members(20));
        let before = table.slots();
        let mut fewer = members(20);
        fewer.remove(7);
        table.become_of(&fewer);
        let after = table.slots();
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new || *old == 7, "a slot of {old} went to {new}");
            assert_ne!(*new, 7);
        }
        table.become_of(&members(20));
        assert_eq!(table.slots(), before, "back again, all is as it was");
    }

    #[test]
    fn the_way_to_a_set_does_not_matter() {
        let mut table = Rendezvous::of(&members(3));
        for count in [9, 30, 12, 16, 2, 16] {
            table.become_of(&members(count));
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
        table.become_of(&set);
        for (old, new) in before.iter().zip(table.slots()) {
            assert!(*old == new || new == 3);
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
