//! Columns for people: text as wide as it must be, numbers to the right, units that read well.

use std::fmt::Write;

/// Rows of cells under a line of headings.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a heading that begins with `>` has its column to the right.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.iter().map(|h| h.trim_start_matches('>')).collect(),
            right: headings.iter().map(|h| h.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// One more row; a missing cell is empty.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text, each line beginning with `indent`; only a line that has something at its end is long.
    pub(crate) fn render(&self, indent: &str) -> String {
        let widths: Vec<usize> = (0..self.headings.len()).map(|c| self.width(c)).collect();
        let mut text = String::new();
        let headings: Vec<String> = self.headings.iter().map(|h| (*h).to_owned()).collect();
        for cells in std::iter::once(&headings).chain(&self.rows) {
            let mut line = indent.to_owned();
            for (column, width) in widths.iter().enumerate() {
                let cell = cells.get(column).map_or("", String::as_str);
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if self.right[column] {
                    (pad.as_str(), "")
                } else {
                    ("", pad.as_str())
                };
                let gap = if column == 0 { "" } else { "  " };
                // Writing to a string cannot fail.
                let _ = write!(line, "{gap}{before}{cell}{after}");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        self.rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain([self.headings[column].chars().count()])
            .max()
            .unwrap_or(0)
    }
}

/// A time span for people, with at most two units: `5s`, `2m10s`, `3h5m`, `12d`.
pub(crate) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, m) => format!("{m}m{}s", whole % 60),
        (0, h, m) => format!("{h}h{m}m"),
        (d, h, _) => format!("{d}d{h}h"),
    }
}

/// A latency for people: `850us`, `1.2ms`, `340ms`, `2.1s`.
pub(crate) fn latency(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0}us", s * 1e6),
        s if s < 0.0995 => format!("{:.1}ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0}ms", s * 1e3),
        s => format!("{s:.1}s"),
    }
}

/// A rate for people: `0`, `0.4`, `12`, `3.4k`, `1.2M`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        r if r <= 0.0 => "0".into(),
        r if r < 9.95 => format!("{r:.1}"),
        r => scaled(r, 1000.0, ["", "k", "M", "G"]),
    }
}

/// Bytes for people: `0B`, `12KiB`, `3.4MiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(bytes.max(0.0), 1024.0, ["B", "KiB", "MiB", "GiB"])
}

fn scaled(value: f64, step: f64, units: [&str; 4]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value >= step * 0.9995 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let unit_name = units[unit];
    if unit > 0 && value < 9.95 {
        format!("{value:.1}{unit_name}")
    } else {
        format!("{value:.0}{unit_name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut table = Table::new(&["NAME", ">N", "WHY"]);
        table.row(vec!["a".into(), "5".into(), String::new()]);
        table.row(vec!["long-ä".into(), "1234".into(), "x".into()]);
        assert_eq!(
            table.render(" "),
            " NAME       N  WHY\n a          5\n long-ä  1234  x\n"
        );
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(span(59.9), "59s");
        assert_eq!(span(61.0), "1m1s");
        assert_eq!(span(90_000.0), "1d1h");
        assert_eq!(latency(0.000_85), "850us");
        assert_eq!(latency(0.0012), "1.2ms");
        assert_eq!(latency(2.13), "2.1s");
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(12.3), "12");
        assert_eq!(rate(3_449.0), "3.4k");
        assert_eq!(rate(999.9), "1.0k");
        assert_eq!(bytes(512.0), "512B");
        assert_eq!(bytes(3.4 * 1024.0 * 1024.0), "3.4MiB");
    }
}
