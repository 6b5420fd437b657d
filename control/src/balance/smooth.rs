//! Smooth weighted round robin: each as often as its weight says, spread out instead of in runs.
//!
//! Each member has a balance. A step gives every member its weight, takes the one with the most, and charges
//! it the sum of all weights. Over one period (the sum, with the common divisor taken out) everybody is
//! chosen exactly by weight, and 5:1:1 comes as `a a b a c a a`.

/// One step over `(place, weight)` pairs: gives, takes and charges in `balances`; the first of equals wins.
pub(super) fn step(
    balances: &mut [i64],
    weights: impl Iterator<Item = (usize, u64)>,
) -> Option<usize> {
    let mut total = 0_i64;
    let mut best: Option<usize> = None;
    for (place, weight) in weights {
        let weight = weight.cast_signed();
        total += weight;
        balances[place] += weight;
        if best.is_none_or(|b| balances[place] > balances[b]) {
            best = Some(place);
        }
    }
    balances[best?] -= total;
    best
}

/// The whole period for these weights, as indices: what a table-driven plane repeats. Zero weights do not
/// occur in it. None if the period or the work to find it (period times members) is too much for a table.
///
/// ```
/// assert_eq!(control::balance::smooth::sequence(&[10, 2, 2]).as_deref(), Some(&[0, 0, 1, 0, 2, 0, 0][..]));
/// ```
#[must_use]
pub fn sequence(weights: &[u32]) -> Option<Box<[u32]>> {
    /// A table of 64 KiB.
    const MAX_PERIOD: u64 = 1 << 14;
    /// A few milliseconds.
    const MAX_WORK: u64 = 1 << 22;
    let divisor = weights.iter().fold(0, |a, &b| gcd(a, b)).max(1);
    let reduced: Vec<(usize, u64)> = weights
        .iter()
        .map(|w| u64::from(w / divisor))
        .enumerate()
        .filter(|&(_, w)| w > 0)
        .collect();
    let period: u64 = reduced.iter().map(|&(_, w)| w).sum();
    if period > MAX_PERIOD || period * reduced.len() as u64 > MAX_WORK {
        return None;
    }
    let mut balances = vec![0; weights.len()];
    (0..period)
        .map(|_| step(&mut balances, reduced.iter().copied()).map(|i| i as u32))
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sequences() {
        let cases: [(&[u32], &[u32]); 6] = [
            (&[1, 1, 1], &[0, 1, 2]),
            (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]),
            (&[3, 0, 1], &[0, 0, 2, 0]),
            (&[4, 2], &[0, 1, 0]),
            (&[0, 0], &[]),
            (&[], &[]),
        ];
        for (weights, expected) in cases {
            assert_eq!(sequence(weights).as_deref(), Some(expected), "{weights:?}");
        }
    }

    #[test]
    fn too_long_a_period_is_refused() {
        assert_eq!(sequence(&[65_535, 65_534]), None);
        assert!(sequence(&[65_534, 32_767]).is_some(), "2:1 once reduced");
    }

    #[test]
    fn no_run_is_longer_than_weights_force() {
        let sequence = sequence(&[3, 3, 2]).unwrap_or_default();
        assert!(sequence.windows(2).all(|w| w[0] != w[1]), "{sequence:?}");
    }
}
