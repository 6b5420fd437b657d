//! Several values, and alternatives.

use toml::de::DeValue;

use super::{Kind, Problem, Read};
use crate::config::{
    diagnostic::Span,
    document::Value,
    limits,
    walk::{At, Cx, too_many},
};

/// A list.
#[derive(Clone, Debug)]
pub(in crate::config) struct List<T>(pub(in crate::config) Vec<At<T>>);

impl<T: Read> Read for List<T> {
    fn kind() -> Kind {
        Kind::List {
            of: Box::new(T::kind()),
            or_one: false,
        }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_array()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Array(array) => Some(Self(entries(array.iter(), cx))),
            _ => {
                cx.wrong_type(value, &Self::kind());
                None
            }
        }
    }
}

/// A list of at most [`limits::ENTRIES`], or one of it without brackets.
#[derive(Clone, Debug)]
pub(in crate::config) struct OneOrMany<T>(pub(in crate::config) Vec<At<T>>);

impl<T: Read> Read for OneOrMany<T> {
    fn kind() -> Kind {
        Kind::List {
            of: Box::new(T::kind()),
            or_one: true,
        }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_array() || T::accepts(value)
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            return Some(Self(vec![entry(value, cx)?]));
        };
        if array.is_empty() {
            let problem = Problem::error(value.span(), "an empty list says nothing here");
            cx.push(problem.help("leave the key out"));
            return None;
        }
        let span = value.span().into();
        if too_many(array.len(), limits::ENTRIES, "entries", span, cx) {
            return None;
        }
        Some(Self(entries(array.iter(), cx)))
    }
}

fn entry<T: Read>(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<At<T>> {
    let span: Span = value.span().into();
    Some(At {
        value: T::read(value, cx)?,
        span,
        key: span,
        given: true,
    })
}

/// All that can be read; what cannot was complained of.
fn entries<'t, 'i: 't, T: Read>(
    values: impl Iterator<Item = &'t Value<'i>>,
    cx: &mut Cx<'_>,
) -> Vec<At<T>> {
    values.filter_map(|value| entry(value, cx)).collect()
}

/// A table whose keys are the user's, in the text's order.
#[derive(Clone, Debug)]
pub(in crate::config) struct Map<K, V>(pub(in crate::config) Vec<(At<K>, At<V>)>);

impl<K: super::Form, V: Read> Read for Map<K, V> {
    fn kind() -> Kind {
        Kind::Map {
            keys: K::WHAT,
            example: K::EXAMPLE,
            of: Box::new(V::kind()),
        }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_table()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            cx.wrong_type(value, &Self::kind());
            return None;
        };
        if too_many(
            table.len(),
            limits::ENTRIES,
            "keys",
            value.span().into(),
            cx,
        ) {
            return None;
        }
        let mut pairs = Vec::new();
        for (key, value) in table {
            let span: Span = key.span().into();
            let read = match K::parse(key.get_ref()) {
                Ok(read) => Some(read),
                Err(fault) => {
                    let problem = fault.problem(span, key.get_ref(), cx);
                    cx.push(problem);
                    None
                }
            };
            let value = entry::<V>(value, cx);
            if let (Some(key), Some(value)) = (read, value) {
                let key = At {
                    value: key,
                    span,
                    key: span,
                    given: true,
                };
                pairs.push((key, value));
            }
        }
        pairs.sort_by_key(|(key, _)| key.span);
        Some(Self(pairs))
    }
}

/// One form or another, told apart by the type that is written.
#[derive(Clone, Debug)]
pub(in crate::config) enum Either<A, B> {
    /// The first.
    One(A),
    /// The second.
    Other(B),
}

impl<A: Read, B: Read> Read for Either<A, B> {
    fn kind() -> Kind {
        let mut kinds = Vec::new();
        for kind in [A::kind(), B::kind()] {
            match kind {
                Kind::Any(more) => kinds.extend(more),
                kind => kinds.push(kind),
            }
        }
        Kind::Any(kinds)
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        A::accepts(value) || B::accepts(value)
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        if A::accepts(value.get_ref()) {
            return A::read(value, cx).map(Self::One);
        }
        if B::accepts(value.get_ref()) {
            return B::read(value, cx).map(Self::Other);
        }
        cx.wrong_type(value, &Self::kind());
        None
    }
}

/// `false`: switched off.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Off;

/// `true`: with everything at its default.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct On;

macro_rules! only {
    ($type:ident, $bool:literal, $help:literal) => {
        impl Read for $type {
            fn kind() -> Kind {
                Kind::$type
            }

            fn accepts(value: &DeValue<'_>) -> bool {
                value.is_bool()
            }

            fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
                match value.get_ref().as_bool() {
                    Some($bool) => return Some(Self),
                    Some(_) => cx.push(
                        Problem::error(value.span(), format!("{} says nothing here", !$bool))
                            .help($help),
                    ),
                    None => cx.wrong_type(value, &Self::kind()),
                }
                None
            }
        }
    };
}

only!(
    Off,
    false,
    "write false, a table of its keys, or leave the key out"
);
only!(
    On,
    true,
    "write true, a table of its keys, or leave the key out"
);
