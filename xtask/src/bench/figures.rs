//! From samples to figures: medians, and ratios of what was measured in the same round.

use super::case::{Case, Sample};
use serde::Serialize;

/// A case and what each peer gave in it.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) case: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) goal: Option<f64>,
    pub(crate) rows: Vec<Row>,
}

/// A peer in a case: medians over the rounds.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) peer: String,
    pub(crate) cost: f64,
    /// Of the cost to the baseline's in the same round.
    pub(crate) ratio: Ratio,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Of all rounds together.
    pub(crate) errors: u64,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Outcome {
    /// Sums up `samples`: for each peer its samples in the order of the rounds; the first peer is
    /// the baseline.
    pub(crate) fn of(case: &Case, samples: Vec<(String, Vec<Sample>)>) -> Outcome {
        let baseline: Vec<f64> = samples.first().map_or(Vec::new(), |(_, of)| costs(of));
        let rows = samples
            .into_iter()
            .map(|(peer, of)| Row::of(peer, of, &baseline))
            .collect();
        Outcome {
            case: case.name,
            what: case.what,
            unit: case.kind.unit(),
            goal: case.goal,
            rows,
        }
    }
}

impl Row {
    fn of(peer: String, samples: Vec<Sample>, baseline: &[f64]) -> Row {
        let column = |f: fn(&Sample) -> f64| median(samples.iter().map(f).collect());
        Row {
            peer,
            cost: column(|s| s.cost),
            ratio: Ratio::of(&costs(&samples), baseline),
            per_second: column(|s| s.per_second),
            p50_us: column(|s| s.p50_us),
            p99_us: column(|s| s.p99_us),
            errors: samples.iter().map(|s| s.errors).sum(),
            samples,
        }
    }
}

impl Ratio {
    /// The median and the extremes of `costs` to `baseline`, round by round.
    fn of(costs: &[f64], baseline: &[f64]) -> Ratio {
        let ratios: Vec<f64> = costs
            .iter()
            .zip(baseline)
            .map(|(cost, base)| cost / base)
            .collect();
        Ratio {
            median: median(ratios.clone()),
            min: ratios.iter().copied().fold(f64::NAN, f64::min),
            max: ratios.iter().copied().fold(f64::NAN, f64::max),
        }
    }
}

fn costs(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.cost).collect()
}

/// The middle of `values`, or the mean of the two in the middle; NaN when there is none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => f64::NAN,
        all if all.len() % 2 == 1 => all[middle],
        all => f64::midpoint(all[middle - 1], all[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!(median(vec![]).is_nan());
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was twice as slow in the second round: the ratio does not see it.
        let ratio = Ratio::of(&[5.0, 10.0, 6.0], &[10.0, 20.0, 10.0]);
        assert_eq!(
            ratio,
            Ratio {
                median: 0.5,
                min: 0.5,
                max: 0.6
            }
        );
    }
}
