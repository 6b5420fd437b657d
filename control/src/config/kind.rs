//! What the key tables say of keys and values: the one source of parsing, schema and reference.

use std::{borrow::Cow, time::Duration};

use crate::spec::Bytes;

/// A table of keys.
#[derive(Debug)]
pub(super) struct Section {
    /// How messages and the reference call it: `[[pool]]`, `a check`.
    pub(super) title: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
    /// Its keys, in the order in which a person would write them.
    pub(super) keys: &'static [Key],
}

impl Section {
    /// The key called `name`.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.is_called(name))
    }
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// The name of the field that holds it: its own name with `_` for `-`.
    pub(super) field: &'static str,
    /// What it does.
    pub(super) doc: &'static str,
    /// What may be written.
    pub(super) kind: fn() -> Kind,
    /// Whether it must be.
    pub(super) presence: Presence,
    /// The forms of its section that it belongs to (`http`, `tcp`), all if none is named.
    pub(super) only: &'static [&'static str],
}

impl Key {
    /// The key as it is written.
    pub(super) fn name(&self) -> Cow<'static, str> {
        if self.field.contains('_') {
            self.field.replace('_', "-").into()
        } else {
            self.field.into()
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.field.len() == name.len()
            && self.field.bytes().zip(name.bytes()).all(|(field, given)| {
                given != b'_' && (field == given || (field == b'_' && given == b'-'))
            })
    }
}

/// Whether a key must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It must.
    Required,
    /// Without it, this holds, in TOML.
    Default(&'static str),
    /// Without it, this holds, in words.
    Absent(&'static str),
}

/// What may be written as a value.
#[derive(Debug)]
pub(super) enum Kind {
    /// `true` or `false`.
    Bool,
    /// `false` alone: switches off what else is a table.
    Off,
    /// `true` alone: all at its default.
    On,
    /// A whole number.
    Int {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A duration.
    Time {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A size in bytes.
    Size {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A share of a whole.
    Share,
    /// Text of a form.
    Text {
        /// What it is, with its article.
        what: &'static str,
        /// One, without quotes.
        example: &'static str,
        /// A regular expression that it follows (ECMA 262), if that says something.
        pattern: &'static str,
    },
    /// One of some words, each with what it means.
    Words(&'static [(&'static str, &'static str)]),
    /// Several values.
    List {
        /// Of which kind.
        of: Box<Kind>,
        /// Whether one may stand without brackets.
        or_one: bool,
    },
    /// A table with keys of the user's.
    Map {
        /// What its keys are.
        keys: &'static str,
        /// One of them.
        example: &'static str,
        /// What its values are.
        of: Box<Kind>,
    },
    /// A table.
    Table(&'static Section),
    /// Any of these.
    Any(Vec<Kind>),
}

impl Kind {
    /// What it is, in words, with an article.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Off => "false".into(),
            Self::On => "true".into(),
            Self::Int { min, max } => format!("a number from {min} to {max}"),
            Self::Time { .. } => "a duration such as \"5s\"".into(),
            Self::Size { .. } => "a size such as \"16KiB\"".into(),
            Self::Share => "a share such as \"50%\"".into(),
            Self::Text { what, .. } => (*what).into(),
            Self::Words(words) if words.len() <= 4 => {
                let words: Vec<_> = words.iter().map(|(w, _)| format!("\"{w}\"")).collect();
                words.join(" or ")
            }
            Self::Words(words) => format!("a word such as \"{}\"", words[0].0),
            Self::List { of, .. } if matches!(**of, Self::Table(_)) => "a list of tables".into(),
            Self::List { of, or_one: false } => format!("a list, each entry {}", of.words()),
            Self::List { of, or_one: true } => format!("{}, or a list of such", of.words()),
            Self::Map { .. } => "a table of names and values".into(),
            Self::Table(_) => "a table".into(),
            Self::Any(kinds) => {
                let mut words: Vec<_> = kinds.iter().map(Self::words).collect();
                words.dedup();
                words.join(", or ")
            }
        }
    }

    /// One such value in TOML.
    pub(super) fn example(&self) -> Option<String> {
        Some(match self {
            Self::Bool | Self::On => "true".into(),
            Self::Off => "false".into(),
            Self::Int { min, .. } => min.to_string(),
            Self::Time { .. } => "\"5s\"".into(),
            Self::Size { .. } => "\"16KiB\"".into(),
            Self::Share => "\"50%\"".into(),
            Self::Text { example, .. } if example.contains('\\') => format!("'{example}'"),
            Self::Text { example, .. } => format!("\"{example}\""),
            Self::Words(words) => format!("\"{}\"", words.first()?.0),
            Self::List { of, or_one: true } => of.example()?,
            Self::List { of, .. } if matches!(**of, Self::Table(_)) => "a list of tables".into(),
            Self::List { of, or_one: false } => format!("[{}]", of.example()?),
            Self::Map { example, of, .. } => format!("{{ {example} = {} }}", of.example()?),
            Self::Table(section) => {
                let mut keys = Vec::new();
                for key in section.keys {
                    if key.presence == Presence::Required {
                        keys.push(format!("{} = {}", key.name(), (key.kind)().example()?));
                    }
                }
                // Of one without any, one will do.
                if keys.is_empty() {
                    let key = section.keys.first()?;
                    keys.push(format!("{} = {}", key.name(), (key.kind)().example()?));
                }
                format!("{{ {} }}", keys.join(", "))
            }
            Self::Any(kinds) => kinds.first()?.example()?,
        })
    }

    /// The table that it is, or that it lists.
    pub(super) fn section(&self) -> Option<&'static Section> {
        match self {
            Self::Table(section) => Some(section),
            Self::List { of, .. } => of.section(),
            Self::Any(kinds) => kinds.iter().find_map(Self::section),
            _ => None,
        }
    }

    /// The bounds of a number, duration or size, as the reference writes them.
    pub(super) fn range(&self) -> Option<String> {
        let time = crate::spec::format_duration;
        Some(match self {
            Self::Int { min, max } => format!("{min} to {max}"),
            Self::Time { min, max } => format!("{} to {}", time(*min), time(*max)),
            Self::Size { min, max } => format!("{} to {}", Bytes(*min), Bytes(*max)),
            _ => return None,
        })
    }
}

/// Makes a struct of a table of keys, and of that the table that parsing, schema and reference go by.
///
/// Each key is `name: Form, required;`, `name: Form, default "TOML";` or `name: Form, absent "in words";`, with
/// `only "http" "tcp"` behind it where it belongs to some forms of the section only. The first two become
/// `At<Form>`, the last `Option<At<Form>>`.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident = $title:literal {
            $(
                $(#[doc = $key_doc:literal])*
                $field:ident: $form:ty, $mode:ident $($text:literal)? $(, only $($only:literal)+)?;
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            /// Where the table stands: its header, or all of it if it is written in braces.
            #[allow(dead_code, reason = "not every section has something to say of itself as a whole")]
            pub(in crate::config) span: $crate::config::diagnostic::Span,
            /// The keys that stand in the text.
            #[allow(dead_code, reason = "not every section needs to know")]
            pub(in crate::config) given: $crate::config::walk::Given,
            $(
                $(#[doc = $key_doc])*
                pub(in crate::config) $field: section!(@type $mode $form),
            )*
        }

        impl $name {
            /// Its keys.
            pub(in crate::config) const SECTION: &'static $crate::config::kind::Section =
                &$crate::config::kind::Section {
                    title: $title,
                    doc: concat!($($doc),*),
                    keys: &[$($crate::config::kind::Key {
                        field: stringify!($field),
                        doc: concat!($($key_doc),*),
                        kind: <$form as $crate::config::walk::Read>::kind,
                        presence: section!(@presence $mode $($text)?),
                        only: &[$($($only),+)?],
                    }),*],
                };
        }

        impl $name {
            /// The section with nothing given; none if a key must be given.
            #[allow(dead_code, reason = "not every section can be left empty")]
            pub(in crate::config) fn read_defaults() -> Option<Self> {
                <Self as $crate::config::walk::Read>::read_default("{}")
            }
        }

        impl $crate::config::walk::Read for $name {
            fn kind() -> $crate::config::kind::Kind {
                $crate::config::kind::Kind::Table(Self::SECTION)
            }

            fn accepts(value: &::toml::de::DeValue<'_>) -> bool {
                value.is_table()
            }

            fn read(
                value: &$crate::config::document::Value<'_>,
                cx: &mut $crate::config::walk::Cx<'_>,
            ) -> Option<Self> {
                let table = $crate::config::walk::Table::open(value, Self::SECTION, cx)?;
                $(let $field = section!(@read $mode table $field cx $form);)*
                Some(Self { span: table.span, given: table.given, $($field: section!(@take $mode $field),)* })
            }
        }
    };
    (@type required $form:ty) => { $crate::config::walk::At<$form> };
    (@type default $form:ty) => { $crate::config::walk::At<$form> };
    (@type absent $form:ty) => { Option<$crate::config::walk::At<$form>> };
    (@presence required) => { $crate::config::kind::Presence::Required };
    (@presence default $text:literal) => { $crate::config::kind::Presence::Default($text) };
    (@presence absent $text:literal) => { $crate::config::kind::Presence::Absent($text) };
    (@read required $table:ident $field:ident $cx:ident $form:ty) => {
        $table.required::<$form>(stringify!($field), $cx)
    };
    (@read default $table:ident $field:ident $cx:ident $form:ty) => {
        $table.default::<$form>(stringify!($field), $cx)
    };
    (@read absent $table:ident $field:ident $cx:ident $form:ty) => {
        $table.optional::<$form>(stringify!($field), $cx)
    };
    (@take required $field:ident) => { $field? };
    (@take default $field:ident) => { $field? };
    (@take absent $field:ident) => { $field };
}
pub(super) use section;
