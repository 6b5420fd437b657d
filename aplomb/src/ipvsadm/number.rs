//! Numbers in arguments and in columns.

/// A decimal number as C's `strtol` reads it (blanks and a sign before it), within bounds.
pub(super) fn bounded(text: &str, least: u32, most: u32) -> Option<u32> {
    let blank = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    let text = text.trim_start_matches(blank);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = all_digits.then(|| digits.parse().ok()).flatten()?;
    (least..=most).contains(&number).then_some(number)
}

/// The number that a text begins with, as C's `atoi` reads it; 0 if with none.
pub(super) fn leading(text: &str) -> u32 {
    let text = text.trim_start();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits.get(..end).and_then(|d| d.parse().ok()).unwrap_or(0)
}

/// A counter's column, 9 wide: thousands and so on from 100 million on, unless all digits are asked for.
pub(super) fn column(number: u64, exact: bool) -> String {
    if exact {
        // Never without a blank before it.
        let digits = number.to_string();
        return format!("{digits:>width$}", width = (digits.len() + 1).max(9));
    }
    let scales = [
        (100_000_000_000_000, 1_000_000_000_000, 'T'),
        (100_000_000_000, 1_000_000_000, 'G'),
        (1_000_000_000, 1_000_000, 'M'),
        (100_000_000, 1_000, 'K'),
    ];
    for (from, unit, letter) in scales {
        if number >= from {
            return format!("{:>8}{letter}", number / unit);
        }
    }
    format!("{number:>9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, number) in [
            ("5", Some(5)),
            (" +5", Some(5)),
            ("010", Some(10)),
            ("100", Some(100)),
            ("101", None),
            ("", None),
            ("+", None),
            ("-1", None),
            ("5x", None),
            ("0x10", None),
            ("99999999999", None),
        ] {
            assert_eq!(bounded(text, 0, 100), number, "{text:?}");
        }
        assert_eq!(
            (leading("64x"), leading("x"), leading("255.255.0.0")),
            (64, 0, 255)
        );
    }

    #[test]
    fn columns_are_as_ipvsadm_prints_them() {
        for (number, scaled, exact) in [
            (0, "        0", "        0"),
            (99_999_999, " 99999999", " 99999999"),
            (250_376_788, "  250376K", " 250376788"),
            (3_376_575_000, "    3376M", " 3376575000"),
            (100_000_000_000, "     100G", " 100000000000"),
            (100_000_000_000_000, "     100T", " 100000000000000"),
        ] {
            assert_eq!(column(number, false), scaled);
            assert_eq!(column(number, true), exact);
        }
    }
}
