//! The reference of all sections and keys as Markdown: the key tables in another form.

use std::fmt::Write as _;

use super::{
    kind::{Key, Kind, Presence, Section},
    schema::{sections, slug},
    section::RootKeys,
};

const INTRODUCTION: &str = "\
# Configuration

A configuration is one TOML file. `aplomb check -c FILE` says everything that is wrong with it, `aplomb schema`
prints its JSON schema for editors. Unknown keys are errors. This page is generated from the tables that
the parser itself goes by.

## How values are written

| value | written |
|---|---|
| duration | a number and a unit: `\"100ms\"`, `\"5s\"`, `\"2min\"`, `\"1h\"`, `\"1d\"`, together `\"1m30s\"` |
| size | a whole number and a unit: `\"16KiB\"`, `\"10MB\"`; a plain number is bytes |
| share | `\"50%\"`, `\"12.5%\"` or `0.5` |
| address | `\"10.0.0.11:8080\"`, `\"[2001:db8::1]:443\"`; names are not resolved |
| regular expression | behind a tilde: `\"~^/v[0-9]+/\"`; the syntax is that of Rust's `regex`, matched anywhere unless anchored |
| secret | where it comes from: `{ env = \"NAME\" }` or `{ file = \"/path\" }` |

A list with one entry may be written without brackets where it says \u{201c}or a list\u{201d}.
";

/// The reference of every section and key, with defaults and meaning.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(INTRODUCTION);
    heading(&mut out, RootKeys::SECTION, "The file as a whole");
    for section in sections() {
        let title = match section.title.strip_prefix('[') {
            Some(_) => format!("`{}`", section.title),
            None => capitalised(section.title),
        };
        heading(&mut out, section, &title);
    }
    out
}

fn capitalised(title: &str) -> String {
    let title = title.trim_start_matches("a ").trim_start_matches("an ");
    let mut chars = title.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn heading(out: &mut String, section: &Section, title: &str) {
    let anchor = slug(section.title);
    let _ = write!(
        out,
        "\n<a id=\"{anchor}\"></a>\n## {title}\n\n{}\n\n",
        section.doc.trim()
    );
    *out += "| key | value | without it | meaning |\n|---|---|---|---|\n";
    for key in section.keys {
        row(out, key);
    }
    words(out, section);
}

fn row(out: &mut String, key: &Key) {
    let kind = (key.kind)();
    let without = match key.presence {
        Presence::Required => "**required**".into(),
        Presence::Default("{}") => "its defaults".into(),
        Presence::Default("[]") => "none".into(),
        Presence::Default(text) => format!("`{text}`"),
        Presence::Absent(words) => words.into(),
    };
    let only = match key.only {
        [] => String::new(),
        only => format!(" *({} only)*", only.join(", ")),
    };
    let cells = [
        format!("`{}`{only}", key.name()),
        value(&kind),
        without,
        key.doc.trim().into(),
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// What may be written, in words.
fn value(kind: &Kind) -> String {
    let with_range = |what: &str| match kind.range() {
        Some(range) => format!("{what}, {range}"),
        None => what.into(),
    };
    match kind {
        Kind::Bool => "`true` or `false`".into(),
        Kind::Off => "`false`".into(),
        Kind::On => "`true`".into(),
        Kind::Int { .. } => with_range("number"),
        Kind::Time { .. } => with_range("duration"),
        Kind::Size { .. } => with_range("size"),
        Kind::Share => "share".into(),
        Kind::Text { what, .. } => (*what).into(),
        Kind::Words(words) if words.len() <= 4 => {
            let words: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("`\"{word}\"`"))
                .collect();
            words.join(", ")
        }
        Kind::Words(_) => "a word, see below".into(),
        Kind::List { of, or_one: true } => format!("{}, or a list", value(of)),
        Kind::List { of, or_one: false } => format!("list of: {}", value(of)),
        Kind::Map { keys, of, .. } => format!("table of {keys} to {}", value(of)),
        Kind::Table(section) => {
            let title = section.title.trim_matches(['[', ']']);
            format!("[{title}](#{})", slug(section.title))
        }
        Kind::Any(kinds) => {
            let mut values: Vec<_> = kinds.iter().map(value).collect();
            values.dedup();
            values.join(", or ")
        }
    }
}

/// The words of a section's keys, each with its meaning.
fn words(out: &mut String, section: &Section) {
    for key in section.keys {
        if let Some(words) = words_of(&(key.kind)()) {
            let _ = write!(out, "\nWords of `{}`:\n\n", key.name());
            for (word, meaning) in words {
                let _ = writeln!(out, "- `{word}`: {meaning}");
            }
        }
    }
}

fn words_of(kind: &Kind) -> Option<&'static [(&'static str, &'static str)]> {
    match kind {
        Kind::Words(words) => Some(words),
        Kind::List { of, .. } => words_of(of),
        Kind::Any(kinds) => kinds.iter().find_map(words_of),
        _ => None,
    }
}
