//! Rings for `rr`, `wrr` and `twos`, in IPVS's order, and where a ring goes on when it changes.

/// The most entries of a ring. Weights that would make a longer one are scaled down (their ratios are then kept to
/// within one part in thousands).
const MOST: u64 = 1 << 16;

/// The greatest common divisor; of zero and a number, that number.
pub(super) fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `rr`: each member that weighs anything, once, in the order in which they are gone through.
pub(super) fn plain(members: &[(u32, u32)]) -> Vec<u32> {
    let weighing = members.iter().filter(|(_, weight)| *weight > 0);
    weighing.map(|(slot, _)| *slot).collect()
}

/// `wrr`: for each level from the greatest weight down, by steps of the weights' divisor, the members that reach it.
/// IPVS begins with the lowest level.
pub(super) fn weighted(members: &[(u32, u32)]) -> Vec<u32> {
    let (members, divisor, greatest) = scaled(members);
    if greatest == 0 {
        return Vec::new();
    }
    let mut ring: Vec<u32> = (members.iter())
        .filter_map(|(slot, weight)| (*weight > 0).then_some(*slot))
        .collect();
    // Taken from the end: the heaviest first, and equals in their order.
    let mut waiting: Vec<_> = (0..members.len()).filter(|at| members[*at].1 > 0).collect();
    waiting.sort_by_key(|at| (members[*at].1, std::cmp::Reverse(*at)));
    let mut reached: Vec<usize> = Vec::new();
    let mut level = greatest;
    while level > divisor {
        while let Some(at) = waiting.pop_if(|at| members[*at].1 >= level) {
            let place = reached.partition_point(|other| *other < at);
            reached.insert(place, at);
        }
        ring.extend(reached.iter().map(|at| members[*at].0));
        level -= divisor;
    }
    ring
}

/// Members with weights that make no more than [`MOST`] entries, their divisor and the greatest.
fn scaled(members: &[(u32, u32)]) -> (Vec<(u32, u32)>, u32, u32) {
    let divide = |members: &[(u32, u32)]| members.iter().fold(0, |all, (_, w)| gcd(all, *w));
    let entries = |members: &[(u32, u32)], divisor: u32| -> u64 {
        members
            .iter()
            .map(|(_, w)| u64::from(*w / divisor.max(1)))
            .sum()
    };
    let mut members = members.to_vec();
    let mut divisor = divide(&members);
    let long = entries(&members, divisor);
    let most = MOST.max(members.len() as u64);
    if long > most {
        for (_, weight) in members.iter_mut().filter(|(_, w)| *w > 0) {
            let share = u128::from(*weight / divisor) * u128::from(most) / u128::from(long);
            *weight = u32::try_from(share).unwrap_or(u32::MAX).max(1);
        }
        divisor = divide(&members);
    }
    let greatest = members.iter().map(|(_, w)| *w).max().unwrap_or(0);
    (members, divisor, greatest)
}

/// Where `rr` goes on in a new ring: behind the server used last, or if that is gone, behind the one before it.
/// `turns` is how often the old ring was asked.
pub(super) fn resume(old: &[u32], turns: u32, new: &[u32]) -> u32 {
    let Ok(length) = u32::try_from(old.len()) else {
        return 0;
    };
    if length == 0 || turns == 0 {
        return 0;
    }
    for back in 1..=length {
        let at = (turns % length + length - back) % length;
        let last = old.get(at as usize);
        if let Some(found) = new.iter().position(|slot| Some(slot) == last) {
            return found as u32 + 1;
        }
    }
    0
}

/// Where a ring goes on in one of another length: as far through it as it was. `turns` is how often the old one was asked.
pub(super) fn keep_place(old: usize, turns: u32, new: usize) -> u32 {
    let (old, new) = (old as u64, new as u64);
    match u64::from(turns).checked_rem(old) {
        Some(place) => u32::try_from(place * new / old).unwrap_or(0),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_rings_are_in_ipvs_order() {
        // As IPVS 1.2.1 was seen to choose, servers added as 1, 2, 3.
        assert_eq!(weighted(&[(3, 1), (2, 1), (1, 5)]), [3, 2, 1, 1, 1, 1, 1]);
        assert_eq!(weighted(&[(3, 1), (2, 0), (1, 3)]), [3, 1, 1, 1]);
        assert_eq!(
            weighted(&[(0, 4), (1, 3), (2, 2)]),
            [0, 1, 2, 0, 0, 1, 0, 1, 2]
        );
        assert_eq!(weighted(&[(0, 300), (1, 100)]), [0, 1, 0, 0]);
        assert_eq!(weighted(&[(0, 0), (1, 5)]), [1]);
        assert!(weighted(&[(0, 0)]).is_empty());
    }

    #[test]
    fn each_gets_its_share_of_a_ring() {
        let members = [(0, 7), (1, 0), (2, 5), (3, 1)];
        let ring = weighted(&members);
        for (slot, weight) in members {
            assert_eq!(ring.iter().filter(|s| **s == slot).count(), weight as usize);
        }
    }

    #[test]
    fn long_rings_are_scaled_down() {
        let members: Vec<_> = (0..100).map(|n| (n, 65_535 - n)).collect();
        let ring = weighted(&members);
        assert!(ring.len() <= 1 << 16, "{}", ring.len());
        assert!(members.iter().all(|(slot, _)| ring.contains(slot)));
    }

    #[test]
    fn turns_go_on_behind_the_last_one() {
        let old = [5, 4, 3];
        assert_eq!(resume(&old, 0, &[6, 5, 4, 3]), 0, "nobody was used yet");
        assert_eq!(resume(&old, 2, &[6, 5, 4, 3]), 3, "4 was used, 3 is next");
        assert_eq!(
            resume(&old, 2, &[5, 3]),
            1,
            "4 is gone, 3 is next all the same"
        );
        assert_eq!(resume(&old, 3, &[5, 4, 3]), 3, "which is the beginning");
        assert_eq!(resume(&old, 7, &[9]), 0);
    }
}
