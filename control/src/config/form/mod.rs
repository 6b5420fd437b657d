//! Forms: the kinds of values that stand in quotes, numbers and lists, each with what is said of one that is wrong.
//!
//! [`Form`] is text with a rule; it becomes a [`Read`] here. Numbers with units are in [`number`], lists and
//! alternatives in [`many`], the rest by what they are about.

pub(super) mod address;
pub(super) mod http;
pub(super) mod many;
pub(super) mod number;
pub(super) mod packets;
pub(super) mod text;
pub(super) mod way;
pub(super) mod words;

use std::ops::Range;

use toml::de::DeValue;

use super::{
    diagnostic::{Problem, Span},
    document::Value,
    kind::Kind,
    limits,
    walk::{Cx, Read, quote},
};

/// What is wrong with a piece of text.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    help: Vec<String>,
    at: Option<Range<usize>>,
    /// What was written, and the words it could have been.
    meant: Option<(String, Vec<&'static str>)>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: Vec::new(),
            at: None,
            meant: None,
        }
    }

    /// What to write instead.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The part that is wrong, in bytes of the text.
    pub(super) fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }

    /// Offers the one of `words` that `given` was probably meant to be.
    pub(super) fn meant(mut self, given: &str, words: Vec<&'static str>) -> Self {
        self.meant = Some((given.into(), words));
        self
    }

    /// The problem it is, `text` standing at `span` of the config.
    pub(super) fn problem(self, span: Span, text: &str, cx: &Cx<'_>) -> Problem {
        // Within a string without escapes, places can be told.
        let plain = span.end - span.start == text.len() + 2;
        let span = match self.at {
            Some(at) if plain && at.end <= text.len() => Span {
                start: span.start + 1 + at.start,
                end: span.start + 1 + at.end,
            },
            _ => span,
        };
        let mut problem = Problem::error(span, self.message);
        for help in self.help {
            problem = problem.help(help);
        }
        match self.meant {
            Some((given, words)) => {
                let help = cx.did_you_mean(&given, words.iter().copied());
                problem.help(help.unwrap_or_else(|| format!("write one of {}", words.join(", "))))
            }
            None => problem,
        }
    }
}

/// Text that follows a rule.
pub(super) trait Form: Sized {
    /// What it is, with its article: "an address".
    const WHAT: &'static str;
    /// One of it.
    const EXAMPLE: &'static str;
    /// A regular expression that all of it follow (ECMA 262), for editors; empty: any text.
    const PATTERN: &'static str = "";

    /// Reads it.
    fn parse(text: &str) -> Result<Self, Fault>;
}

impl<T: Form> Read for T {
    fn kind() -> Kind {
        Kind::Text {
            what: T::WHAT,
            example: T::EXAMPLE,
            pattern: T::PATTERN,
        }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_str()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else {
            cx.wrong_type(value, &Self::kind());
            return None;
        };
        if text.len() > limits::VALUE {
            let message = format!(
                "{} bytes are too long: at most {}",
                text.len(),
                limits::VALUE
            );
            cx.push(Problem::error(value.span(), message));
            return None;
        }
        match T::parse(text) {
            Ok(read) => Some(read),
            Err(fault) => {
                let problem = fault.problem(value.span().into(), text, cx);
                cx.push(problem);
                None
            }
        }
    }
}

/// "`x` is not WHAT", for forms whose faults have nothing more to say.
pub(super) fn is_not<T: Form>(text: &str) -> Fault {
    Fault::new(format!("\"{}\" is not {}", quote(text), T::WHAT))
}
