//! Numbers, durations, sizes and shares, with their bounds as part of their type.

use std::time::Duration;

use toml::de::DeValue;

use super::{Fault, Kind, Problem, Read};
use crate::{
    config::{
        document::Value,
        walk::{Cx, quote},
    },
    spec::{Bytes, Share, format_duration},
};

impl Read for bool {
    fn kind() -> Kind {
        Kind::Bool
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_bool()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let yes = value.get_ref().as_bool();
        if yes.is_none() {
            cx.wrong_type(value, &Kind::Bool);
        }
        yes
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Int<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Int<MIN, MAX> {
    /// The number as the type that the spec keeps it in, which holds all from `MIN` to `MAX`.
    pub(in crate::config) fn to<T: TryFrom<i64> + Default>(self) -> T {
        T::try_from(self.0).unwrap_or_default()
    }
}

impl<const MIN: i64, const MAX: i64> Read for Int<MIN, MAX> {
    fn kind() -> Kind {
        Kind::Int { min: MIN, max: MAX }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_integer()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let DeValue::Integer(number) = value.get_ref() else {
            cx.wrong_type(value, &Self::kind());
            return None;
        };
        if value.span().is_empty() {
            return None;
        }
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (MIN..=MAX).contains(&number) => Some(Self(number)),
            _ => {
                let message = format!(
                    "{} is out of range: {MIN} to {MAX}",
                    quote(&number.to_string())
                );
                cx.push(Problem::error(value.span(), message));
                None
            }
        }
    }
}

/// A duration from `MIN` to `MAX` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Time<const MIN: u64, const MAX: u64>(pub(in crate::config) Duration);

impl<const MIN: u64, const MAX: u64> Read for Time<MIN, MAX> {
    fn kind() -> Kind {
        Kind::Time {
            min: Duration::from_millis(MIN),
            max: Duration::from_millis(MAX),
        }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_str()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        if value.span().is_empty() {
            return None;
        }
        let text = match value.get_ref() {
            DeValue::String(text) => text,
            DeValue::Integer(number) => {
                cx.push(without_unit(value, &number.to_string()));
                return None;
            }
            DeValue::Float(number) => {
                cx.push(without_unit(value, number.as_str()));
                return None;
            }
            _ => {
                cx.wrong_type(value, &Self::kind());
                return None;
            }
        };
        let (min, max) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
        let fault = match duration(text) {
            Ok(time) if min <= time && time <= max => return Some(Self(time)),
            Ok(_) => Fault::new(format!(
                "\"{}\" is out of range: {} to {}",
                quote(text),
                format_duration(min),
                format_duration(max)
            )),
            Err(fault) => fault,
        };
        let problem = fault.problem(value.span().into(), text, cx);
        cx.push(problem);
        None
    }
}

fn without_unit(value: &Value<'_>, number: &str) -> Problem {
    Problem::error(value.span(), "a duration needs a unit")
        .help(format!("write \"{}s\"", quote(number)))
}

/// What a unit of time is, in nanoseconds.
const TIMES: [(&str, u64); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Reads `100ms`, `5s`, `2min`, `1h`, `1d`, `1.5s`, `1m30s`.
pub(in crate::config) fn duration(text: &str) -> Result<Duration, Fault> {
    let what = || {
        Fault::new(format!("\"{}\" is not a duration", quote(text)))
            .help("write a number and a unit: \"100ms\", \"5s\", \"2min\", \"1h\", \"1m30s\"")
    };
    let mut rest = text;
    let mut nanos: u128 = 0;
    if text.is_empty() {
        return Err(what());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at(letters);
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        if unit.is_empty() {
            let whole_text_is_number = text.len() == number.len();
            return Err(match whole_text_is_number {
                true => Fault::new("a duration needs a unit")
                    .help(format!("write \"{}s\"", quote(text))),
                false => what(),
            });
        }
        let Some((_, scale)) = TIMES.iter().find(|(name, _)| *name == unit) else {
            let at = text.len() - rest.len() + digits;
            let fault = if number.is_empty() {
                what()
            } else {
                Fault::new(format!("\"{}\" is not a unit of time", quote(unit.trim())))
                    .help("the units are ms, s, min, h and d")
                    .at(at..at + unit.len())
            };
            return Err(fault);
        };
        let part_digits = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let (Ok(whole), Ok(part), true) =
            (whole.parse::<u64>(), part.parse::<u64>(), part_digits <= 9)
        else {
            return Err(what());
        };
        nanos += u128::from(whole) * u128::from(*scale)
            + u128::from(part) * u128::from(*scale) / 10_u128.pow(part_digits);
        rest = next;
    }
    // What is too long for this is far out of any range.
    Ok(Duration::from_nanos(
        u64::try_from(nanos).unwrap_or(u64::MAX),
    ))
}

/// A size from `MIN` to `MAX` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Size<const MIN: u64, const MAX: u64>(pub(in crate::config) Bytes);

impl<const MIN: u64, const MAX: u64> Read for Size<MIN, MAX> {
    fn kind() -> Kind {
        Kind::Size { min: MIN, max: MAX }
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_str() || value.is_integer()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        if value.span().is_empty() {
            return None;
        }
        let (read, text) = match value.get_ref() {
            DeValue::String(text) => (size(text), text.to_string()),
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix());
                let bytes = read.ok().and_then(|n| u64::try_from(n).ok());
                let text = number.to_string();
                let fault = || {
                    Fault::new(format!(
                        "{} is out of range: {} to {}",
                        quote(&text),
                        Bytes(MIN),
                        Bytes(MAX)
                    ))
                };
                (bytes.ok_or_else(fault), text)
            }
            _ => {
                cx.wrong_type(value, &Self::kind());
                return None;
            }
        };
        let fault = match read {
            Ok(bytes) if (MIN..=MAX).contains(&bytes) => return Some(Self(Bytes(bytes))),
            Ok(_) => Fault::new(format!(
                "{} is out of range: {} to {}",
                quote(&text),
                Bytes(MIN),
                Bytes(MAX)
            )),
            Err(fault) => fault,
        };
        let problem = fault.problem(value.span().into(), &text, cx);
        cx.push(problem);
        None
    }
}

/// What a unit of size is, in bytes.
const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

fn size(text: &str) -> Result<u64, Fault> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_name = unit.trim();
    let Ok(number_read) = number.parse::<u64>() else {
        return Err(Fault::new(format!("\"{}\" is not a size", quote(text)))
            .help("write a whole number and a unit: \"16KiB\", \"10MB\""));
    };
    if unit_name.is_empty() {
        return Ok(number_read);
    }
    if unit.starts_with('.') {
        return Err(Fault::new("a size is a whole number").help("write a smaller unit"));
    }
    match SIZES.iter().find(|(name, _)| *name == unit_name) {
        Some((_, scale)) => Ok(number_read.saturating_mul(*scale)),
        None => {
            let fault = Fault::new(format!("\"{}\" is not a unit of size", quote(unit_name)));
            let letter = unit_name.chars().next().map(|c| c.to_ascii_uppercase());
            Err(match letter {
                Some(letter @ ('K' | 'M' | 'G' | 'T')) => fault.help(format!(
                    "write \"{number}{letter}iB\" for powers of 1024, \"{number}{letter}B\" for powers of 1000"
                )),
                _ => fault.help("the units are B, kB, MB, GB, KiB, MiB and GiB"),
            }
            .at(digits..text.len()))
        }
    }
}

impl Read for Share {
    fn kind() -> Kind {
        Kind::Share
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_str() || value.is_float() || value.is_integer()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        if value.span().is_empty() {
            return None;
        }
        let (text, percent) = match value.get_ref() {
            DeValue::String(text) => (text.to_string(), text.trim().strip_suffix('%')),
            DeValue::Integer(number) => (number.to_string(), None),
            DeValue::Float(number) => (number.as_str().to_string(), None),
            _ => {
                cx.wrong_type(value, &Kind::Share);
                return None;
            }
        };
        let share = match percent {
            Some(percent) => thousandths(percent.trim(), 10),
            None => thousandths(&text, 1000),
        };
        let fault = match share {
            Some(share) => match Self::from_thousandths(u16::try_from(share).unwrap_or(u16::MAX)) {
                Some(share) => return Some(share),
                None if percent.is_none() && share <= 100_000 => {
                    Fault::new(format!("a share of {text} is more than all"))
                        .help(format!("write \"{text}%\""))
                }
                None => Fault::new(format!("a share of {} is more than all", quote(&text)))
                    .help("write \"0%\" to \"100%\""),
            },
            None => Fault::new(format!("\"{}\" is not a share", quote(&text)))
                .help("write \"50%\", \"12.5%\" or 0.5"),
        };
        let problem = fault.problem(value.span().into(), &text, cx);
        cx.push(problem);
        None
    }
}

/// A decimal number times `scale`, if that is whole.
fn thousandths(text: &str, scale: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    let places = 10_u64.pow(u32::try_from(part.len()).ok()?);
    let scaled_part = part.parse::<u64>().ok()? * scale;
    let whole: u64 = whole.parse().ok()?;
    scaled_part.is_multiple_of(places).then(|| {
        whole
            .saturating_mul(scale)
            .saturating_add(scaled_part / places)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("100ms", 100),
            ("5s", 5000),
            ("2min", 120_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("0s", 0),
            ("0.25min", 15_000),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "5",
            "5 s",
            "-1s",
            "1..5s",
            "1.s",
            ".5s",
            "5x",
            "1s5",
            "٣s",
            "1.0000000001s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        // Far too long is still a duration, and out of every range.
        let long = format!("{}d", u64::MAX);
        assert!(duration(&long).unwrap() > Duration::from_secs(86_400 * 365));
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512", 512),
            ("16KiB", 16 << 10),
            ("10MB", 10_000_000),
            ("1 GiB", 1 << 30),
            ("18446744073709551615TiB", u64::MAX),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "K",
            "10K",
            "1.5MiB",
            "-1",
            "10 QiB",
            "99999999999999999999",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares() {
        for (text, scale, thousand) in [
            ("50", 10, Some(500)),
            ("12.5", 10, Some(125)),
            ("12.55", 10, None),
            ("0.5", 1000, Some(500)),
            ("1", 1000, Some(1000)),
            ("nan", 1000, None),
            ("-0.5", 1000, None),
            ("1e9", 1000, None),
            ("", 10, None),
        ] {
            assert_eq!(thousandths(text, scale), thousand, "{text}");
        }
    }
}
