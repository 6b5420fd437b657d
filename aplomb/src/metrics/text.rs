//! The exposition format: families of samples, each family in one piece.

use std::fmt::Write;

use crate::api::model::Histogram;

/// What a family's numbers are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Only grows; the name ends in `_total`.
    Counter,
    /// What it is now.
    Gauge,
    /// A distribution.
    Histogram,
}

/// Labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
}

impl Text {
    /// Begins a family. All its samples come before the next one begins.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        Family {
            head: Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")),
            name,
            out: &mut self.out,
        }
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, kind: Kind, name: &'static str, help: &str, value: f64) {
        self.family(kind, name, help).sample(&[], value);
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.out
    }
}

/// A family of samples; without a sample there is no family.
#[derive(Debug)]
pub(super) struct Family<'a> {
    head: Option<String>,
    name: &'static str,
    out: &'a mut String,
}

impl Family<'_> {
    /// One sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, None, value);
    }

    /// One sample that is a whole number.
    pub(super) fn count(&mut self, labels: Labels<'_>, value: u64) {
        // Beyond 2^53 a Prometheus server would round too: all its values are doubles.
        self.sample(labels, value as f64);
    }

    /// One distribution.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let mut below = 0;
        let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(&histogram.counts) {
            below += count;
            self.line("_bucket", labels, Some(bound), below as f64);
        }
        self.line("_sum", labels, None, histogram.sum_seconds);
        self.line("_count", labels, None, below as f64);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<f64>, value: f64) {
        if let Some(head) = self.head.take() {
            self.out.push_str(&head);
        }
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels {
            self.out.push(separator);
            separator = ',';
            let _ = write!(self.out, "{name}=\"");
            escape(self.out, value);
            self.out.push('"');
        }
        if let Some(bound) = bound {
            // Writing to a string cannot fail.
            let _ = write!(self.out, "{separator}le=\"{}\"", number(bound));
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {}", number(value));
    }
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else {
        value.to_string()
    }
}

fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}
