//! Changes of one backend, among 1,000 services and among 1,000 backends of one: `l4/examples/changes.rs` makes them in
//! maps of the real program, in a network namespace of its own, and its figures are summed up here.

use super::super::figures::median;
use super::report::{Row, Table};
use crate::Result;
use std::collections::BTreeMap;
use std::process::Command;

/// What cases of this are chosen by.
pub(super) const NAME: &str = "changes";

/// What any change is to take at most, milliseconds.
pub(super) const GOAL: f64 = 10.0;

/// Makes `rounds` times all changes of each case; built anew if wanted.
pub(super) fn measure(build: bool, rounds: u32) -> Result<Table> {
    if build {
        built()?;
    }
    let program = crate::root().join("target/release/examples/changes");
    let output = Command::new("unshare")
        .arg("--net")
        .arg(&program)
        .arg(rounds.to_string())
        .output()
        .map_err(|e| format!("unshare: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {said} (it needs root)", program.display()));
    }
    table(&String::from_utf8_lossy(&output.stdout))
}

fn built() -> Result {
    let status = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["build", "--locked", "--release", "--package", "l4"])
        .args(["--example", "changes"])
        .current_dir(crate::root())
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the changes are not built".into())
    }
}

/// Figures of one case, milliseconds.
#[derive(Default)]
struct Figures {
    planned: Vec<f64>,
    written: Vec<f64>,
    worked: Vec<f64>,
}

/// Sums up lines of case, change, microseconds until the plan, from there to the last write, and of the thread's time in
/// that.
fn table(lines: &str) -> Result<Table> {
    let mut cases: BTreeMap<&str, Figures> = BTreeMap::new();
    for line in lines.lines() {
        let mut words = line.split('\t');
        let (case, _change) = (words.next().unwrap_or_default(), words.next());
        let mut millis = || words.next()?.parse::<f64>().ok().map(|micros| micros / 1e3);
        let (Some(planned), Some(written), Some(worked)) = (millis(), millis(), millis()) else {
            return Err(format!("no figures: {line}"));
        };
        let figures = cases.entry(case).or_default();
        figures.planned.push(planned);
        figures.written.push(written);
        figures.worked.push(worked);
    }
    let mut table = Table::new(
        "Milliseconds from a plan with one backend changed to the last write",
        &["median", "worst", "worst, own time", "goal", "(planning)"],
    );
    for (case, figures) in cases {
        let worst = |of: &[f64]| of.iter().copied().fold(f64::NAN, f64::max);
        let (clock, own) = (worst(&figures.written), worst(&figures.worked));
        table.rows.push(Row {
            name: case.to_owned(),
            values: vec![
                median(figures.written),
                clock,
                own,
                GOAL,
                median(figures.planned),
            ],
        });
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_up_by_case() -> Result {
        let lines = "mh-backends\tup\t100\t3000\t2900\nmh-backends\tdown\t300\t5000\t3100\nmh-backends\tup\t200\t4000\t9\n\
                     rr-services\tup\t50.5\t250\t240\n";
        let rows: Vec<_> = table(lines)?
            .rows
            .into_iter()
            .map(|row| (row.name, row.values))
            .collect();
        assert_eq!(
            rows,
            [
                ("mh-backends".to_owned(), vec![4.0, 5.0, 3.1, GOAL, 0.2]),
                (
                    "rr-services".to_owned(),
                    vec![0.25, 0.25, 0.24, GOAL, 0.0505]
                )
            ]
        );
        assert!(table("mh-backends\tup\n").is_err());
        Ok(())
    }
}
