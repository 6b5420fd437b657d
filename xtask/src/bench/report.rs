//! Results as a table for people and as JSON for programs.

use super::figures::{Outcome, Row};
use super::machine::Machine;
use crate::Result;
use serde::Serialize;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// All of one run.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) mode: &'static str,
    /// When, in UTC: "2026-01-31-2359".
    pub(crate) date: String,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
    pub(crate) access_log: bool,
    pub(crate) machine: Machine,
    /// Names and versions of the peers.
    pub(crate) peers: Vec<(String, String)>,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Report {
    /// Writes `DATE-MODE.md` and `.json` into `folder`; where the first one is.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = folder.join(format!("{}-{}.md", self.date, self.mode));
        let json = serde_json::to_string_pretty(self).map_err(|e| e.to_string())?;
        let put = |path: &Path, text: String| {
            fs::write(path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))
        };
        put(&path, self.markdown())?;
        put(&path.with_extension("json"), json)?;
        Ok(path)
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        let Report {
            mode,
            date,
            rounds,
            seconds,
            seed,
            machine,
            ..
        } = self;
        let log = if self.access_log {
            "an access log to a file"
        } else {
            "no access log"
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "# bench {mode}, {date} UTC\n\n{machine}\n");
        let _ = writeln!(
            text,
            "{rounds} rounds of {seconds} s, peers in random order (seed {seed}), one worker each, on a \
             core of its own; {log}, health checks every 2 s, all timeouts. Figures are medians; \
             ratios are taken within a round: median (least to most).\n"
        );
        for (name, version) in &self.peers {
            let _ = writeln!(text, "- {name}: {version}");
        }
        for outcome in &self.outcomes {
            let _ = write!(text, "\n{}", outcome.table());
        }
        text
    }
}

impl Outcome {
    /// The outcome as a Markdown table, which reads well on a terminal too.
    pub(crate) fn table(&self) -> String {
        let base = self.rows.first().map_or("", |row| row.peer.as_str());
        let mut text = format!("## {}: {}\n", self.case, self.what);
        let _ = writeln!(
            text,
            "| {:<12} | {:>16} | {:>22} | {:>10} | {:>8} | {:>8} | {:>6} |",
            "peer",
            self.unit,
            format!("to {base}"),
            "requests/s",
            "p50 ms",
            "p99 ms",
            "errors"
        );
        text.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
        for row in &self.rows {
            let _ = writeln!(text, "{}", row.line());
        }
        if let Some(verdict) = self.verdict() {
            let _ = writeln!(text, "\n{verdict}");
        }
        text
    }

    /// Whether aplomb reached the goal, if there is one and it was measured.
    fn verdict(&self) -> Option<String> {
        let goal = self.goal?;
        let own = self.rows.iter().find(|row| row.peer == "aplomb")?;
        // A goal above one hundred is an absolute one: bytes.
        let (figure, shown) = if goal > 100.0 {
            (own.cost, format!("{goal:.0} {}", self.unit))
        } else {
            (
                own.ratio.median,
                format!("{goal:.2} of {}", self.rows.first()?.peer),
            )
        };
        let word = if figure <= goal { "reached" } else { "missed" };
        Some(format!("Goal: at most {shown}: {word} ({figure:.2})."))
    }
}

impl Row {
    fn line(&self) -> String {
        let ratio = self.ratio;
        let ratio = format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.min, ratio.max);
        format!(
            "| {:<12} | {:>16.2} | {:>22} | {:>10.0} | {:>8.2} | {:>8.2} | {:>6} |",
            self.peer,
            self.cost,
            ratio,
            self.per_second,
            self.p50_us / 1e3,
            self.p99_us / 1e3,
            self.errors
        )
    }
}
