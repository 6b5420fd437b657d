//! From times to figures and verdicts.

use super::super::l4::report::{Row, median};

/// What a peer gave in a case.
pub(super) struct Outcome {
    pub(super) case: String,
    pub(super) peer: String,
    /// From the event to the first announcement, milliseconds.
    pub(super) times: Vec<f64>,
    /// How often the backup took over though nothing had happened.
    pub(super) unasked: u32,
}

/// The columns of [`Outcome::row`].
pub(super) const COLUMNS: [&str; 6] = ["min", "median", "p99", "max", "runs", "unasked"];

impl Outcome {
    pub(super) fn row(&self) -> Row {
        let times = || self.times.iter().copied();
        Row {
            name: format!("{} {}", self.case, self.peer),
            values: vec![
                times().fold(f64::NAN, f64::min),
                self.median(),
                self.p99(),
                times().fold(f64::NAN, f64::max),
                self.times.len() as f64,
                f64::from(self.unasked),
            ],
        }
    }

    pub(super) fn median(&self) -> f64 {
        median(self.times.clone())
    }

    /// By nearest rank: of fewer than a hundred it is the greatest.
    pub(super) fn p99(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        let rank = (times.len() * 99).div_ceil(100);
        rank.checked_sub(1)
            .and_then(|index| times.get(index).copied())
            .unwrap_or(f64::NAN)
    }
}

/// Cases in which `own` is behind `other`, by the median or by p99, each with what it is behind by.
pub(super) fn behind(outcomes: &[Outcome], own: &str, other: &str) -> Vec<String> {
    let mut behind = Vec::new();
    for ours in outcomes.iter().filter(|outcome| outcome.peer == own) {
        let theirs = outcomes
            .iter()
            .find(|outcome| outcome.peer == other && outcome.case == ours.case);
        let Some(theirs) = theirs else { continue };
        let middle = ours.median() - theirs.median();
        let worst = ours.p99() - theirs.p99();
        if middle > 0.0 || worst > 0.0 {
            behind.push(format!(
                "{} (median {middle:+.2} ms, p99 {worst:+.2} ms)",
                ours.case
            ));
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(peer: &str, times: &[f64]) -> Outcome {
        Outcome {
            case: "10ms-kill".to_owned(),
            peer: peer.to_owned(),
            times: times.to_vec(),
            unasked: 0,
        }
    }

    #[test]
    fn p99_is_the_nearest_rank() {
        assert_eq!(outcome("a", &[3.0, 1.0, 2.0]).p99(), 3.0);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(outcome("a", &hundred).p99(), 99.0);
        assert!(outcome("a", &[]).p99().is_nan());
    }

    #[test]
    fn slower_by_median_or_by_p99_is_behind() {
        let of = |ours: &[f64]| {
            let both = [outcome("a", ours), outcome("k", &[30.0, 31.0, 32.0])];
            behind(&both, "a", "k")
        };
        assert!(of(&[30.0, 31.0, 32.0]).is_empty());
        assert_eq!(of(&[30.0, 31.0, 33.0]).len(), 1);
        assert_eq!(of(&[31.0, 31.5, 31.9]).len(), 1);
    }
}
