//! From times to figures and verdicts.

use super::super::l4::report::{Row, median};

/// What a peer gave in a case.
pub(super) struct Outcome {
    pub(super) case: String,
    pub(super) peer: String,
    /// From the event to the first announcement, milliseconds.
    pub(super) times: Vec<f64>,
    /// From the master's last advert to it, beyond what is due, milliseconds.
    pub(super) late: Vec<f64>,
    /// How often the backup took over though nothing had happened.
    pub(super) unasked: u32,
}

/// The columns of [`Outcome::row`].
pub(super) const COLUMNS: [&str; 6] = ["min", "median", "p99", "max", "runs", "unasked"];
/// The columns of [`Outcome::late`].
pub(super) const LATE: [&str; 4] = ["min", "median", "p99", "max"];

impl Outcome {
    pub(super) fn row(&self) -> Row {
        let mut values = spread(&self.times).to_vec();
        values.extend([self.times.len() as f64, f64::from(self.unasked)]);
        self.named(values)
    }

    pub(super) fn late(&self) -> Row {
        self.named(spread(&self.late).to_vec())
    }

    fn named(&self, values: Vec<f64>) -> Row {
        Row {
            name: format!("{} {}", self.case, self.peer),
            values,
        }
    }
}

/// Least, median, p99 and greatest.
fn spread(values: &[f64]) -> [f64; 4] {
    let all = || values.iter().copied();
    [
        all().fold(f64::NAN, f64::min),
        median(values.to_vec()),
        p99(values),
        all().fold(f64::NAN, f64::max),
    ]
}

/// By nearest rank: of fewer than a hundred it is the greatest.
pub(super) fn p99(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * 99).div_ceil(100);
    rank.checked_sub(1)
        .and_then(|index| values.get(index).copied())
        .unwrap_or(f64::NAN)
}

/// Cases in which `own` is later than `other` by that figure of how late they are, each with the difference.
pub(super) fn behind(
    outcomes: &[Outcome],
    own: &str,
    other: &str,
    figure: impl Fn(&[f64]) -> f64,
) -> Vec<String> {
    let mut behind = Vec::new();
    for ours in outcomes.iter().filter(|outcome| outcome.peer == own) {
        let theirs = outcomes
            .iter()
            .find(|outcome| outcome.peer == other && outcome.case == ours.case);
        let Some(theirs) = theirs else { continue };
        let more = figure(&ours.late) - figure(&theirs.late);
        if more > 0.0 {
            behind.push(format!("{} ({more:+.2} ms)", ours.case));
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(peer: &str, late: &[f64]) -> Outcome {
        Outcome {
            case: "10ms-kill".to_owned(),
            peer: peer.to_owned(),
            times: Vec::new(),
            late: late.to_vec(),
            unasked: 0,
        }
    }

    #[test]
    fn p99_is_the_nearest_rank() {
        assert_eq!(p99(&[3.0, 1.0, 2.0]), 3.0);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(p99(&hundred), 99.0);
        assert!(p99(&[]).is_nan());
    }

    #[test]
    fn later_than_the_other_is_behind() {
        let of = |ours: &[f64]| {
            let both = [outcome("a", ours), outcome("k", &[0.1, 0.2, 0.3])];
            let middle = behind(&both, "a", "k", |late| median(late.to_vec()));
            (middle.len(), behind(&both, "a", "k", p99).len())
        };
        assert_eq!(of(&[0.1, 0.2, 0.3]), (0, 0));
        assert_eq!(of(&[0.1, 0.2, 0.4]), (0, 1));
        assert_eq!(of(&[0.1, 0.25, 0.3]), (1, 0));
    }
}
