//! Names, paths and other plain text.

use std::path::PathBuf;

use super::{Fault, Form, is_not};
use crate::{
    config::{limits, walk::quote},
    name::Name,
};

impl Form for Name {
    const WHAT: &'static str = "a name";
    const EXAMPLE: &'static str = "web";
    const PATTERN: &'static str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse()
            .map_err(|rule: &str| Fault::new(rule).help("write letters, digits, '.', '_' and '-'"))
    }
}

/// Any text.
#[derive(Clone, Debug)]
pub(in crate::config) struct AnyText(pub(in crate::config) String);

impl Form for AnyText {
    const WHAT: &'static str = "text";
    const EXAMPLE: &'static str = "text";

    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self(text.into()))
    }
}

/// Text without control characters, at least one character of it: a name of the system's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Word(pub(in crate::config) String);

impl Form for Word {
    const WHAT: &'static str = "a word";
    const EXAMPLE: &'static str = "aplomb";
    const PATTERN: &'static str = r"^\S+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(is_not::<Self>(text).help("write it without spaces"));
        }
        Ok(Self(text.into()))
    }
}

/// A file. A relative path starts at the folder of the config.
#[derive(Clone, Debug)]
pub(in crate::config) struct FilePath(pub(in crate::config) PathBuf);

impl Form for FilePath {
    const WHAT: &'static str = "the path of a file";
    const EXAMPLE: &'static str = "/path/to/file";
    const PATTERN: &'static str = "^.+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || text.contains('\0') {
            return Err(is_not::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// Permission bits of a file, in octal.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Mode(pub(in crate::config) u32);

impl Form for Mode {
    const WHAT: &'static str = "permissions such as \"0660\"";
    const EXAMPLE: &'static str = "0660";
    const PATTERN: &'static str = "^0?[0-7]{3}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 && (3..=4).contains(&text.len()) => Ok(Self(mode)),
            _ => Err(is_not::<Self>(text).help("write three octal digits, \"0660\"")),
        }
    }
}

/// The name of a network interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Interface(pub(in crate::config) String);

impl Form for Interface {
    const WHAT: &'static str = "the name of an interface";
    const EXAMPLE: &'static str = "eth0";
    const PATTERN: &'static str = r"^[^\s/]{1,15}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        if text.is_empty() || text.len() > limits::INTERFACE || text.contains(bad) {
            return Err(is_not::<Self>(text).help(format!(
                "a name of at most {} characters, without spaces and '/'",
                limits::INTERFACE
            )));
        }
        Ok(Self(text.into()))
    }
}

/// A level of the log, or `tracing` directives: `info,aplomb::probe=debug`.
#[derive(Clone, Debug)]
pub(in crate::config) struct LogLevel(pub(in crate::config) String);

impl Form for LogLevel {
    const WHAT: &'static str = "a level such as \"info\"";
    const EXAMPLE: &'static str = "info";
    const PATTERN: &'static str = "^([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace)(,([A-Za-z0-9_:-]+=)?(off|error|warn|info|debug|trace))*$";

    fn parse(text: &str) -> Result<Self, Fault> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let mut start = 0;
        for directive in text.split(',') {
            let (target, level) = match directive.split_once('=') {
                Some((target, level)) => (Some(target), level),
                None => (None, directive),
            };
            let at = start + directive.len() - level.len();
            if !LEVELS.contains(&level) {
                return Err(Fault::new(format!("\"{}\" is not a level", quote(level)))
                    .meant(level, LEVELS.to_vec())
                    .at(at..at + level.len()));
            }
            let known = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
            if target.is_some_and(|target| target.is_empty() || !target.chars().all(known)) {
                return Err(Fault::new("a directive is written target=level")
                    .help("write \"info,aplomb::probe=debug\"")
                    .at(start..start + directive.len()));
            }
            start += directive.len() + 1;
        }
        Ok(Self(text.into()))
    }
}

/// Bytes in hexadecimal: `0d0a`, `0d 0a`.
#[derive(Clone, Debug)]
pub(in crate::config) struct Hex(pub(in crate::config) Vec<u8>);

impl Form for Hex {
    const WHAT: &'static str = "bytes in hexadecimal";
    const EXAMPLE: &'static str = "0d0a";
    const PATTERN: &'static str = "^([0-9a-fA-F]{2}\\s*)+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let mut digits = text.chars().filter(|c| !c.is_whitespace());
        let mut bytes = Vec::new();
        while let Some(high) = digits.next() {
            let high = high.to_digit(16);
            let low = digits.next().and_then(|low| low.to_digit(16));
            match (high, low) {
                (Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
                _ => return Err(is_not::<Self>(text).help("write two digits a byte: \"0d0a\"")),
            }
        }
        if bytes.is_empty() {
            return Err(is_not::<Self>(text).help("write two digits a byte: \"0d0a\""));
        }
        Ok(Self(bytes))
    }
}

/// A regular expression that compiles, within bounds.
pub(in crate::config) fn regex(pattern: &str) -> Result<String, Fault> {
    if pattern.len() > limits::REGEX {
        return Err(Fault::new(format!(
            "a regular expression of {} bytes is too long: at most {}",
            pattern.len(),
            limits::REGEX
        )));
    }
    let built = regex::RegexBuilder::new(pattern)
        .size_limit(limits::REGEX_COMPILED)
        .build();
    match built {
        Ok(_) => Ok(pattern.into()),
        Err(regex::Error::CompiledTooBig(_)) => Err(Fault::new(
            "this regular expression would take too much memory",
        )
        .help("repeat less: x{1000} of a large class is large")),
        Err(error) => {
            let text = error.to_string();
            let reason = text
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("error: "))
                .unwrap_or(&text);
            Err(Fault::new(format!(
                "not a regular expression: {}",
                quote(reason)
            )))
        }
    }
}

/// Path patterns, probes and header matches begin a regular expression with this.
pub(in crate::config) const REGEX_MARK: char = '~';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for good in ["info", "off", "warn,aplomb::probe=debug"] {
            assert!(LogLevel::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "inof", "info,", "=debug", "a b=info", "info,x=y"] {
            assert!(LogLevel::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(Hex::parse("0d 0A").map(|h| h.0).ok(), Some(vec![13, 10]));
        for bad in ["", "0", "0g", "ä"] {
            assert!(Hex::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn regexes_are_bounded() {
        assert!(regex("^/v[0-9]+/").is_ok());
        for bad in ["(", r"\w{1000}\w{1000}", &"a".repeat(limits::REGEX + 1)] {
            assert!(regex(bad).is_err());
        }
    }
}
