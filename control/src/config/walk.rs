//! Walking the text's values: what every kind of value has in common, and how a table is read by its keys.
//!
//! [`Read`] is a kind of value: it reads itself, and says of itself what the schema and the reference need.
//! [`section!`](super::section) makes one of a table of keys.

use std::{collections::BTreeSet, fmt::Write as _, ops::Deref};

use toml::de::{DeTable, DeValue};

use super::{
    Sources,
    diagnostic::{Problem, Report, Span},
    document::Value,
    kind::{Key, Kind, Presence, Section},
    limits, suggest,
};

/// What goes along while a text is walked.
pub(super) struct Cx<'a> {
    /// The text itself, for places within a value.
    pub(super) text: &'a str,
    /// What was found to be wrong.
    pub(super) report: Report,
    /// Where secrets are read from.
    pub(super) sources: &'a dyn Sources,
    /// Whether the text is TOML at all. If not, what is missing may be missing by that.
    pub(super) is_toml: bool,
}

impl Cx<'_> {
    pub(super) fn push(&mut self, problem: Problem) {
        self.report.push(problem);
    }

    /// What `given` was meant to be, as help; nothing once nobody will read it.
    pub(super) fn did_you_mean<'w>(
        &self,
        given: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Option<String> {
        if self.report.is_full() {
            return None;
        }
        suggest::nearest(given, words).map(|word| format!("did you mean `{word}`?"))
    }

    /// Says that `value` is of the wrong type.
    pub(super) fn wrong_type(&mut self, value: &Value<'_>, wanted: &Kind) {
        // What stands for a value that could not be parsed has no place, and was complained of.
        if value.span().is_empty() {
            return;
        }
        let problem = Problem::error(
            value.span(),
            format!("expected {}, found {}", wanted.words(), found(value)),
        );
        let raw = self.text.get(value.span()).unwrap_or_default();
        let header = raw.trim_matches(['[', ']']);
        let help = match (value.get_ref(), wanted) {
            (DeValue::Table(_), Kind::List { .. }) if raw.starts_with('[') => {
                Some(format!("write [[{header}]]"))
            }
            (DeValue::Array(_), Kind::Table(_)) if raw.starts_with("[[") => {
                Some(format!("write [{header}]"))
            }
            (DeValue::Table(_), Kind::List { .. }) => Some("put it in brackets: [{ … }]".into()),
            (_, Kind::List { of, .. }) => match **of {
                Kind::Table(_) => Some("write [{ … }], or a [[…]] header for each".into()),
                _ => Some("put it in brackets: [ … ]".into()),
            },
            (DeValue::String(text), Kind::Bool | Kind::Int { .. }) => {
                let text = text.trim();
                let fits = match wanted {
                    Kind::Bool => text == "true" || text == "false",
                    _ => text.parse::<i64>().is_ok(),
                };
                fits.then(|| format!("write it without quotes: {text}"))
            }
            (_, kind) => kind.example().map(|example| format!("write {example}")),
        };
        self.push(problem.maybe_help(help));
    }
}

/// A value read, and where it stood.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    /// What was read.
    pub(super) value: T,
    /// The value's place; for a default, the place of the table that does not have the key.
    pub(super) span: Span,
    /// The key's place; for an entry of a list, the entry's.
    pub(super) key: Span,
    /// Whether it stands in the text at all.
    pub(super) given: bool,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A kind of value.
pub(super) trait Read: Sized {
    /// What it is, for messages, the schema and the reference.
    fn kind() -> Kind;

    /// Whether `value` is of its type, so that it rather than an alternative is to read it.
    fn accepts(value: &DeValue<'_>) -> bool;

    /// Reads it; what is wrong goes to `cx`.
    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self>;

    /// Reads it from a key table's default, which is TOML.
    fn read_default(text: &str) -> Option<Self> {
        let value = DeValue::parse(text).ok()?;
        let mut cx = Cx {
            text,
            report: Report::default(),
            sources: &super::NoSources,
            is_toml: true,
        };
        Self::read(&value, &mut cx)
    }
}

/// A table of the text that is being read as a section.
pub(super) struct Table<'t, 'i> {
    values: &'t DeTable<'i>,
    /// The place of the header or of the braces.
    pub(super) span: Span,
    section: &'static Section,
    /// The keys that stand in the text.
    pub(super) given: Given,
}

/// Keys that stand in the text, with their places, whether or not their values could be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<(&'static Key, Span)>);

impl Given {
    /// Whether the key of that field is among them.
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.iter().any(|(key, _)| key.field == field)
    }

    /// Where the key of that field stands.
    pub(super) fn place(&self, field: &str) -> Option<Span> {
        self.0
            .iter()
            .find(|(key, _)| key.field == field)
            .map(|(_, span)| *span)
    }

    /// Complains of keys that do not belong to `form`; `because` says of a key what makes the section that form.
    pub(super) fn only_of(&self, form: &str, because: impl Fn(&Key) -> String, cx: &mut Cx<'_>) {
        for (key, span) in &self.0 {
            if key.only.is_empty() || key.only.contains(&form) {
                continue;
            }
            let name = key.name();
            let problem = Problem::error(
                *span,
                format!(
                    "`{name}` is a key of {} only; {}",
                    enumerated(key.only),
                    because(key)
                ),
            );
            cx.push(problem.help(format!("leave `{name}` out")));
        }
    }
}

impl<'t, 'i> Table<'t, 'i> {
    /// `value` as a table of the keys of `section`; complains of all others.
    pub(super) fn open(
        value: &'t Value<'i>,
        section: &'static Section,
        cx: &mut Cx<'_>,
    ) -> Option<Self> {
        let DeValue::Table(values) = value.get_ref() else {
            cx.wrong_type(value, &Kind::Table(section));
            return None;
        };
        let mut given = Given::default();
        for key in values.keys() {
            let span = key.span().into();
            match section.key(key.get_ref()) {
                // Below a header that is not TOML, keys seem to stand at the top.
                None if !cx.is_toml && value.span().is_empty() => {}
                None => cx.push(unknown_key(key.get_ref(), span, section, cx)),
                Some(known) => given.0.push((known, span)),
            }
        }
        Some(Self {
            values,
            span: value.span().into(),
            section,
            given,
        })
    }

    fn key(&self, field: &str) -> Option<&'static Key> {
        self.section.keys.iter().find(|key| key.field == field)
    }

    /// The value of `field`, if it stands in the text and can be read. The outer none: it stands there and cannot.
    fn field<T: Read>(&self, field: &str, cx: &mut Cx<'_>) -> Option<Option<At<T>>> {
        let name = self.key(field)?.name();
        let Some((key, value)) = self.values.get_key_value(&*name) else {
            return Some(None);
        };
        let read = T::read(value, cx)?;
        Some(Some(At {
            value: read,
            span: value.span().into(),
            key: key.span().into(),
            given: true,
        }))
    }

    /// A key that must be there.
    pub(super) fn required<T: Read>(&self, field: &str, cx: &mut Cx<'_>) -> Option<At<T>> {
        let read = self.field(field, cx)?;
        if read.is_none() && cx.is_toml {
            let name = field.replace('_', "-");
            let mut problem = Problem::error(
                self.span,
                format!("`{name}` is missing in {}", self.section.title),
            );
            if !cx.report.is_full()
                && let Some(example) = T::kind().example()
            {
                problem = problem.help(format!("write {name} = {example}"));
            }
            cx.push(problem);
        }
        read
    }

    /// A key that has a default.
    pub(super) fn default<T: Read>(&self, field: &str, cx: &mut Cx<'_>) -> Option<At<T>> {
        if let Some(Some(read)) = self.field(field, cx) {
            return Some(read);
        }
        let Presence::Default(text) = self.key(field)?.presence else {
            return None;
        };
        Some(At {
            value: T::read_default(text)?,
            span: self.span,
            key: self.span,
            given: false,
        })
    }

    /// A key that need not be there. One that cannot be read counts as not there: it was complained of.
    pub(super) fn optional<T: Read>(&self, field: &str, cx: &mut Cx<'_>) -> Option<At<T>> {
        self.field(field, cx).flatten()
    }
}

/// Words in a sentence: `a`, `a and b`, `a, b and c`.
fn enumerated(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).into(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

fn unknown_key(given: &str, span: Span, section: &'static Section, cx: &Cx<'_>) -> Problem {
    let problem = Problem::error(
        span,
        format!("unknown key `{}` in {}", quote(given), section.title),
    );
    if cx.report.is_full() {
        return problem;
    }
    let names: Vec<_> = section.keys.iter().map(Key::name).collect();
    if let Some(help) = cx.did_you_mean(given, names.iter().map(|n| &**n)) {
        return problem.help(help);
    }
    let mut owners = Vec::new();
    for key in section.keys {
        if let Some(below) = (key.kind)().section()
            && below.key(given).is_some()
        {
            owners.push((below.title, key.name()));
        }
    }
    match owners.as_slice() {
        [] => {}
        [(title, _), ..] if title.starts_with('[') => {
            let titles: Vec<_> = owners.iter().map(|(title, _)| *title).collect();
            let titles = titles.join(" or ");
            return problem.help(format!(
                "it is a key of {titles}: write it below that header"
            ));
        }
        [(_, name), ..] => {
            return problem.help(format!(
                "`{given}` is a key of `{name}`: write {name} = {{ {given} = … }}"
            ));
        }
    }
    let mut keys = String::from("its keys are ");
    for (i, name) in names.iter().enumerate() {
        let _ = write!(keys, "{}`{name}`", if i == 0 { "" } else { ", " });
    }
    problem.help(keys)
}

/// Text of the config as it may stand in a message: short, and without what moves a terminal's cursor.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            let plain = (!c.is_control()).then_some(c);
            plain
                .into_iter()
                .chain(c.escape_unicode().filter(move |_| plain.is_none()))
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

/// What a value is, in words.
pub(super) fn found(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("the text \"{}\"", quote(text)),
        DeValue::Integer(number) => format!("the number {}", quote(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", quote(number.as_str())),
        DeValue::Boolean(yes) => format!("{yes}"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Complains of entries that stand twice in a list whose entries must differ.
pub(super) fn unique<T: Ord>(
    entries: &[At<T>],
    what: &str,
    show: impl Fn(&T) -> String,
    cx: &mut Cx<'_>,
) {
    let mut seen: BTreeSet<(&T, usize)> = BTreeSet::new();
    for (i, entry) in entries.iter().enumerate() {
        let first = seen
            .range((&entry.value, 0)..)
            .next()
            .filter(|(value, _)| **value == entry.value)
            .map(|(_, first)| *first);
        match first {
            Some(first) => cx.push(
                Problem::error(
                    entry.span,
                    format!("{what} {} is given twice", show(&entry.value)),
                )
                .related(entries[first].span, "first given here"),
            ),
            None => drop(seen.insert((&entry.value, i))),
        }
    }
}

/// Complains of more entries than a limit allows; whether it did.
pub(super) fn too_many(
    count: usize,
    limit: usize,
    what: &str,
    span: Span,
    cx: &mut Cx<'_>,
) -> bool {
    if count <= limit {
        return false;
    }
    cx.push(Problem::error(
        span,
        format!("{count} {what} are too many: at most {limit}"),
    ));
    true
}

const _: () = assert!(limits::PROBLEMS > 0);
