//! Results as tables for people and as JSON for programs.

use super::super::Options;
use super::super::machine::Machine;
use crate::Result;
use serde::Serialize;
use std::fmt::Write;
use std::fs;

/// All of one run.
#[derive(Serialize)]
pub(in super::super) struct Report {
    pub(in super::super) what: &'static str,
    /// When, in UTC: "2026-01-31-2359".
    pub(in super::super) date: String,
    pub(in super::super) machine: Machine,
    /// How it was measured.
    pub(in super::super) about: String,
    pub(in super::super) tables: Vec<Table>,
}

/// Figures by row and column.
#[derive(Serialize)]
pub(in super::super) struct Table {
    title: &'static str,
    columns: Vec<&'static str>,
    pub(in super::super) rows: Vec<Row>,
}

#[derive(Serialize)]
pub(in super::super) struct Row {
    pub(in super::super) name: String,
    pub(in super::super) values: Vec<f64>,
}

impl Table {
    /// A table without rows yet.
    pub(in super::super) fn new(title: &'static str, columns: &[&'static str]) -> Table {
        Table {
            title,
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    fn markdown(&self) -> String {
        let mut text = format!("## {}\n| {:<20} |", self.title, "case");
        for column in &self.columns {
            // Writing to a String does not fail.
            let _ = write!(text, " {column:>14} |");
        }
        let marks = "---:|".repeat(self.columns.len());
        let _ = writeln!(text, "\n|---|{marks}");
        for row in &self.rows {
            let _ = write!(text, "| {:<20} |", row.name);
            for value in &row.values {
                let digits = if *value < 10.0 { 2 } else { 1 };
                let _ = write!(text, " {value:>14.digits$} |");
            }
            text.push('\n');
        }
        text
    }
}

impl Report {
    /// Shows the tables and writes `DATE-WHAT.md` and `.json` to where results go.
    pub(in super::super) fn finish(&self, options: &Options) -> Result {
        let folder = super::super::results(options);
        let mut text = format!(
            "# bench {}, {} UTC\n\n{}\n\n{}\n",
            self.what, self.date, self.machine, self.about
        );
        for table in &self.tables {
            let _ = write!(text, "\n{}", table.markdown());
        }
        println!("{text}");
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = folder.join(format!("{}-{}.md", self.date, self.what));
        let json = serde_json::to_string_pretty(self).map_err(|e| e.to_string())?;
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        let beside = path.with_extension("json");
        fs::write(&beside, json + "\n").map_err(|e| format!("{}: {e}", beside.display()))?;
        println!("results: {}", path.display());
        Ok(())
    }
}

/// The middle of `values`; NaN when there is none.
pub(in super::super) fn median(values: Vec<f64>) -> f64 {
    super::super::figures::median(values)
}
