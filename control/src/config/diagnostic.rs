//! What is wrong with a configuration, and where: for people ([`Diagnostics::render`]) and for programs
//! (it serialises).

use std::{fmt, ops::Range};

use serde::Serialize;

use super::{limits, render};

/// Bytes of the text, from `start` up to but without `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The configuration is not taken.
    Error,
    /// It is taken, but is likely not what was meant.
    Warning,
}

/// A place in the text; lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where it begins.
    #[serde(flatten)]
    pub start: Position,
    /// Where it ends: the first column behind it.
    pub end: Position,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// What to write instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
    /// What else to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(super) span: Span,
}

/// A place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Related {
    /// What it has to do with it.
    pub message: String,
    /// Where it begins.
    #[serde(flatten)]
    pub start: Position,
    /// Where it ends: the first column behind it.
    pub end: Position,
    #[serde(skip)]
    pub(super) span: Span,
}

/// All problems of a text, in its order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostics {
    /// The file's name.
    pub file: String,
    /// The problems, the first [`limits::PROBLEMS`] of them.
    pub problems: Vec<Diagnostic>,
    /// How many more there are.
    pub omitted: usize,
    #[serde(skip)]
    text: String,
}

/// Whether a rendered problem is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For files, pipes and the API.
    Plain,
    /// For a terminal.
    Coloured,
}

impl Diagnostics {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems as people read them: each with its lines, carets under what is meant, and help.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        render::render(self, &self.text, style)
    }

    /// How many problems there are, in words: `2 errors, 1 warning in aplomb.toml`.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |severity| {
            self.problems
                .iter()
                .filter(|p| p.severity == severity)
                .count()
        };
        let mut parts = Vec::new();
        for (number, word) in [
            (count(Severity::Error), "error"),
            (count(Severity::Warning), "warning"),
            (self.omitted, "further problem"),
        ] {
            match number {
                0 => {}
                1 => parts.push(format!("1 {word}")),
                _ => parts.push(format!("{number} {word}s")),
            }
        }
        if parts.is_empty() {
            parts.push("no problems".into());
        }
        format!("{} in {}", parts.join(", "), self.file)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Diagnostics {}

/// A problem as it is found: what is wrong, where, and what to write instead.
#[derive(Clone, Debug)]
#[must_use = "a problem that is not reported is forgotten"]
pub(super) struct Problem {
    severity: Severity,
    pub(super) span: Span,
    message: String,
    related: Vec<(Span, String)>,
    help: Vec<String>,
    notes: Vec<String>,
}

impl Problem {
    pub(super) fn error(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span: span.into(),
            message: message.into(),
            related: Vec::new(),
            help: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn warning(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// What to write instead.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What to write instead, if there is something to say.
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help.extend(help);
        self
    }

    /// What else to know.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Another place that has to do with it.
    pub(super) fn related(mut self, span: impl Into<Span>, message: impl Into<String>) -> Self {
        self.related.push((span.into(), message.into()));
        self
    }
}

/// Problems as they are collected.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    omitted: usize,
    errors: usize,
    hidden: Vec<Span>,
    /// Lines that are not TOML, each from its first byte to its last.
    broken: Vec<Span>,
}

impl Report {
    /// Adds a problem, unless it stands in a line that is not TOML: what it complains of may not be there.
    pub(super) fn push(&mut self, problem: Problem) {
        if !self.is_broken(problem.span) {
            self.push_syntax(problem);
        }
    }

    /// Whether `span` begins in a line that is not TOML.
    pub(super) fn is_broken(&self, span: Span) -> bool {
        let is_in = |line: &Span| line.start <= span.start && span.start <= line.end;
        self.broken.iter().any(is_in)
    }

    /// Counts a problem of the syntax, unless it stands in a line that was complained of.
    pub(super) fn omit(&mut self, span: Span) {
        if !self.is_broken(span) {
            self.omitted += 1;
        }
    }

    /// Takes a line for not TOML; further problems that stand in it are dropped. Whether it was taken for TOML.
    pub(super) fn break_line(&mut self, line: Span) -> bool {
        let is_new = !self.broken.contains(&line);
        if is_new && !self.is_full() {
            self.broken.push(line);
        }
        is_new
    }

    /// Whether the text is TOML, as far as that was found out.
    pub(super) fn is_toml(&self) -> bool {
        self.broken.is_empty()
    }

    /// Adds a problem of the syntax.
    pub(super) fn push_syntax(&mut self, problem: Problem) {
        self.errors += usize::from(problem.severity == Severity::Error);
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.problems.push(problem);
        }
    }

    /// Whether further problems are only counted, so that no work need go into their help.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= limits::PROBLEMS
    }

    /// Keeps what stands at `span` from being shown: a secret that should not stand there.
    pub(super) fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The problems in the text's order, with lines and columns.
    pub(super) fn finish(self, file: &str, text: &str) -> Diagnostics {
        let lines = Lines::of(text);
        let mut problems: Vec<_> = self
            .problems
            .into_iter()
            .map(|p| lines.diagnostic(p))
            .collect();
        problems.sort_by_key(|p| p.span);
        Diagnostics {
            file: file.into(),
            text: if problems.is_empty() {
                String::new()
            } else {
                masked(text, &self.hidden)
            },
            problems,
            omitted: self.omitted,
        }
    }
}

/// `text` with stars for what is hidden, every line and column where it was.
fn masked(text: &str, hidden: &[Span]) -> String {
    if hidden.is_empty() {
        return text.into();
    }
    let is_hidden = |at| {
        hidden
            .iter()
            .any(|span| span.start < at && at + 1 < span.end)
    };
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if is_hidden(at) && c != '\n' {
            out.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            out.push(c);
        }
    }
    out
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { text, starts }
    }

    fn position(&self, at: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts[line - 1];
        let before = self.text.get(start..at).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    fn diagnostic(&self, problem: Problem) -> Diagnostic {
        let span = self.fit(problem.span);
        Diagnostic {
            severity: problem.severity,
            message: problem.message,
            start: self.position(span.start),
            end: self.position(span.end),
            related: problem
                .related
                .into_iter()
                .map(|(span, message)| self.related(self.fit(span), message))
                .collect(),
            help: problem.help,
            notes: problem.notes,
            span,
        }
    }

    fn related(&self, span: Span, message: String) -> Related {
        Related {
            message,
            start: self.position(span.start),
            end: self.position(span.end),
            span,
        }
    }

    /// The span within the text, on whole characters, and cut at the end of its first line: a caret under
    /// twenty lines says less than one under the first.
    fn fit(&self, span: Span) -> Span {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        let end = floor(span.end).max(start);
        let first_line = self.text[start..end]
            .split(['\n', '\r'])
            .next()
            .map_or(0, str::len);
        Span {
            start,
            end: start + first_line,
        }
    }
}
