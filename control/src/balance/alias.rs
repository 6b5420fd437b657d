//! Choosing one of n by weight in O(1): the alias method (Walker 1974, built as by Vose 1991), in integers,
//! so that every node computes the same table.

use super::hash::{below, mix64};

/// A table that leads evenly spread numbers to indices by weight.
#[derive(Debug, PartialEq)]
pub(super) struct Alias {
    columns: Box<[Column]>,
}

/// One of n equally likely columns: below `upto` (of 2^32) it is the column's own index, else `other`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    upto: u32,
    other: u32,
}

impl Alias {
    /// A table over the indices of `weights`, none of which may be zero.
    pub(super) fn new(weights: &[u64]) -> Self {
        let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
        let n = weights.len() as u128;
        // Each column holds `total`; a weight of w fills w * n.
        let mut fill: Vec<u128> = weights.iter().map(|&w| u128::from(w) * n).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&i| fill[i] < total);
        let mut columns: Vec<Column> = (0..weights.len() as u32)
            .map(|own| Column {
                upto: u32::MAX,
                other: own,
            })
            .collect();
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            let _ = small.pop();
            columns[s] = Column {
                upto: ((fill[s] << 32) / total) as u32,
                other: l as u32,
            };
            fill[l] -= total - fill[s];
            if fill[l] < total {
                let _ = large.pop();
                small.push(l);
            }
        }
        Self {
            columns: columns.into(),
        }
    }

    /// The index that a number leads to; numbers must be spread over all 64 bits. None in an empty table.
    pub(super) fn at(&self, number: u64) -> Option<usize> {
        let column = below(number, self.columns.len() as u64) as usize;
        let Column { upto, other } = *self.columns.get(column)?;
        Some(if (number as u32) < upto {
            column
        } else {
            other as usize
        })
    }

    /// The index that a key leads to, and with other values of `attempt` its further choices.
    pub(super) fn of_key(&self, key: u64, attempt: u64) -> Option<usize> {
        self.at(mix64(key.wrapping_add(attempt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[u64]) -> Vec<f64> {
        let table = Alias::new(weights);
        let mut counts = vec![0_u32; weights.len()];
        const N: u64 = 200_000;
        for key in 0..N {
            counts[table.of_key(key, 0).unwrap_or(0)] += 1;
        }
        counts.iter().map(|&c| f64::from(c) / N as f64).collect()
    }

    #[test]
    fn shares_are_the_weights() {
        for weights in [
            &[1_u64][..],
            &[1, 1, 1],
            &[5, 1, 1],
            &[1, 1000],
            &[7, 3, 90, 1, 20],
        ] {
            let total: u64 = weights.iter().sum();
            for (share, &weight) in shares(weights).iter().zip(weights) {
                let wanted = weight as f64 / total as f64;
                assert!(
                    (share - wanted).abs() < 0.005,
                    "{weights:?}: {share} for {wanted}"
                );
            }
        }
    }

    #[test]
    fn extreme_weights_do_not_overflow() {
        let table = Alias::new(&[u64::MAX, 1, u64::MAX]);
        assert!(table.at(u64::MAX).is_some());
        assert_eq!(Alias::new(&[]).at(7), None);
    }
}
