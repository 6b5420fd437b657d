//! TOML text to a table of spanned values, with every error of syntax.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::{Problem, Report, Span},
    limits,
    walk::quote,
};

/// A value of the text and where it stands.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// The table that `text` holds, as far as it can be read; what is not TOML goes to `report`.
pub(super) fn read<'i>(text: &'i str, report: &mut Report) -> DeTable<'i> {
    let (table, errors) = if text.len() > limits::TEXT_WITH_ALL_SYNTAX_ERRORS {
        match DeTable::parse(text) {
            Ok(table) => (table.into_inner(), Vec::new()),
            Err(error) => (DeTable::new(), vec![error]),
        }
    } else {
        let (table, errors) = DeTable::parse_recoverable(text);
        (table.into_inner(), errors)
    };
    for error in errors {
        let span = error.span().map(Span::from).unwrap_or_default();
        // Thousands may stand in one line.
        if report.is_full() || (error.message() != "duplicate key" && report.is_broken(span)) {
            report.omit(span);
            continue;
        }
        let line = line_of(span, text);
        if error.message() == "duplicate key" {
            report.push_syntax(duplicate(span, &table, text));
            // Of a header given twice, what stood below the first may be lost.
            let is_header = text[line.start..].trim_start().starts_with('[');
            let _ = is_header && report.break_line(line);
        } else if report.break_line(line) {
            // One slip makes the parser stumble several times; the first time says it best.
            report.push_syntax(syntax(span, error.message(), text));
        }
    }
    table
}

/// The line that `span` begins in, without its end.
fn line_of(span: Span, text: &str) -> Span {
    let at = span.start.min(text.len());
    let before = &text.as_bytes()[..at];
    let behind = &text.as_bytes()[at..];
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let end = behind
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |found| at + found);
    Span { start, end }
}

fn syntax(span: Span, message: &str, text: &str) -> Problem {
    let found = text.get(span.start..span.end).unwrap_or_default();
    let about_a_value = message.contains("string values must be quoted")
        || message.starts_with("invalid float")
        || message.starts_with("invalid boolean");
    if about_a_value && found.is_empty() {
        return Problem::error(span, "not TOML: the value is missing");
    }
    if about_a_value && found.starts_with(|c: char| c.is_alphabetic()) {
        return Problem::error(span, "not TOML: text stands in quotes")
            .help(format!("write \"{}\"", quote(found)));
    }
    let problem = Problem::error(span, format!("not TOML: {message}"));
    if message.contains("string values must be quoted") {
        return problem.help(format!("write \"{}\"", quote(found)));
    }
    problem
}

/// The key at `span` stands there for the second time.
fn duplicate(span: Span, table: &DeTable<'_>, text: &str) -> Problem {
    let key = text.get(span.start..span.end).unwrap_or_default();
    let problem = Problem::error(span, format!("`{key}` is given twice"));
    match first_place(span, key, table, text) {
        Some(first) => problem
            .related(first, "first given here")
            .help("keep one of the two"),
        None => problem.help("a table or key that was begun elsewhere cannot be begun again here"),
    }
}

/// Where the key that stands again at `span` stood first.
fn first_place(span: Span, key: &str, table: &DeTable<'_>, text: &str) -> Option<Span> {
    let line = line_of(span, text).start;
    if text.get(line..span.start)?.trim_start().starts_with('[') {
        return first_header(span, line, text);
    }
    let plain = key.trim_matches(['"', '\'']);
    let container = innermost(span, table);
    let mut best = None;
    nearest_before(span, plain, container, &mut best);
    best
}

/// The first line that opens the same table as the line at `line`.
fn first_header(span: Span, line: usize, text: &str) -> Option<Span> {
    let header = |line: &str| -> Option<String> {
        let path = line
            .trim_start()
            .trim_start_matches('[')
            .split(']')
            .next()?;
        Some(path.split('.').map(str::trim).collect::<Vec<_>>().join("."))
    };
    let wanted = header(text.get(line..)?.lines().next()?)?;
    let mut at = 0;
    for candidate in text.get(..line)?.split_inclusive('\n') {
        let indent = candidate.len() - candidate.trim_start().len();
        if candidate[indent..].starts_with('[') && header(candidate).as_ref() == Some(&wanted) {
            let start = at + indent;
            return (start < span.start).then(|| Span {
                start,
                end: at + candidate.trim_end().len(),
            });
        }
        at += candidate.len();
    }
    None
}

/// The table that the text at `span` belongs to: the innermost inline table around it, else the table whose
/// header comes last before it.
fn innermost<'t, 'i>(span: Span, root: &'t DeTable<'i>) -> &'t DeTable<'i> {
    let mut header = (0, root);
    let mut inline: Option<(usize, &'t DeTable<'i>)> = None;
    let mut open: Vec<&'t Value<'i>> = root.values().collect();
    while let Some(value) = open.pop() {
        let at = Span::from(value.span());
        match value.get_ref() {
            DeValue::Table(table) => {
                let around = at.start <= span.start && span.end <= at.end;
                if around && inline.is_none_or(|(start, _)| start <= at.start) {
                    inline = Some((at.start, table));
                } else if at.end <= span.start && at.start >= header.0 && !is_inline(value) {
                    header = (at.start, table);
                }
                open.extend(table.values());
            }
            DeValue::Array(array) => open.extend(array.iter()),
            _ => {}
        }
    }
    inline.unwrap_or(header).1
}

/// Whether a table is written in braces: its own keys then lie within it.
fn is_inline(value: &Value<'_>) -> bool {
    let at = Span::from(value.span());
    value.get_ref().as_table().is_some_and(|table| {
        table
            .keys()
            .any(|key| at.start <= key.span().start && key.span().end <= at.end)
    })
}

/// The key called `key` in `table`, or in what dotted keys made below it, that comes last before `span`.
fn nearest_before(span: Span, key: &str, table: &DeTable<'_>, best: &mut Option<Span>) {
    for (name, value) in table {
        let at = Span::from(name.span());
        if name.get_ref() == key
            && at.start < span.start
            && best.is_none_or(|best| best.start < at.start)
        {
            *best = Some(at);
        }
        // A table made by a dotted key has the span of that key.
        if let DeValue::Table(below) = value.get_ref()
            && value.span() == name.span()
        {
            nearest_before(span, key, below, best);
        }
    }
}
