//! Query parameters: `name=value` pairs between `&`, percent-encoded, `+` for a space (the URL standard's
//! `application/x-www-form-urlencoded`). Compared decoded, without copying unless a regular expression must
//! see it.

use std::borrow::Cow;

/// The raw values of a parameter, in order; `a` and `a=` both have the empty value. `name` is decoded text.
pub(super) fn values<'q>(query: &'q str, name: &str) -> impl Iterator<Item = &'q str> {
    query.split('&').filter_map(move |pair| {
        let (n, value) = pair.split_once('=').unwrap_or((pair, ""));
        (!pair.is_empty() && equals(n, name.as_bytes())).then_some(value)
    })
}

/// Whether an encoded text says `wanted`.
pub(super) fn equals(encoded: &str, wanted: &[u8]) -> bool {
    decode(encoded).eq(wanted.iter().copied())
}

/// What an encoded text says.
pub(super) fn decoded(encoded: &str) -> Cow<'_, [u8]> {
    if encoded.bytes().any(|b| b == b'%' || b == b'+') {
        Cow::Owned(decode(encoded).collect())
    } else {
        Cow::Borrowed(encoded.as_bytes())
    }
}

/// The bytes of an encoded text. What is no escape stands for itself, as everywhere on the web.
fn decode(encoded: &str) -> impl Iterator<Item = u8> + '_ {
    let mut rest = encoded.as_bytes();
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match (first, after) {
            (b'+', _) => Some(b' '),
            (b'%', &[high, low, ref after @ ..]) => Some(match byte(high, low) {
                Some(byte) => {
                    rest = after;
                    byte
                }
                None => first,
            }),
            _ => Some(first),
        }
    })
}

/// The byte that two hexadecimal digits stand for.
pub(super) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(query: &str, name: &str) -> Vec<String> {
        values(query, name)
            .map(|v| String::from_utf8_lossy(&decoded(v)).into_owned())
            .collect()
    }

    #[test]
    fn finds_and_decodes() {
        assert_eq!(all("a=1&b=2&a=3", "a"), ["1", "3"]);
        assert_eq!(all("a", "a"), [""]);
        assert_eq!(all("&&=x", ""), ["x"]);
        assert_eq!(all("q=a+b%20c%2B", "q"), ["a b c+"]);
        assert_eq!(all("%71=yes&Q=no", "q"), ["yes"]);
        assert_eq!(all("q=100%&r", "q"), ["100%"]);
        assert_eq!(all("q=%zz%4", "q"), ["%zz%4"]);
        assert_eq!(all("q=a=b", "q"), ["a=b"]);
        assert!(all("", "").is_empty());
    }

    #[test]
    fn a_plain_value_is_not_copied() {
        assert!(matches!(decoded("plain"), Cow::Borrowed(_)));
        assert!(equals("%e4%C3", &[0xE4, 0xC3]));
    }
}
