//! `Host` and authority: `uri-host [ ":" port ]` (RFC 9110 §7.2).

use std::net::Ipv6Addr;

/// Length of the host part (without `:port`) of a valid authority; `None` if it is not one.
///
/// Stricter than RFC 3986: no user information, no percent-encoding, no sub-delimiters, since no
/// name that resolves has them and each has been used to make two parsers disagree.
pub(super) fn host_len(authority: &[u8]) -> Option<usize> {
    if authority.first() == Some(&b'[') {
        return literal_len(authority);
    }
    let len = authority
        .iter()
        .position(|&b| b == b':')
        .unwrap_or(authority.len());
    let (host, port) = authority.split_at(len);
    let named = !host.is_empty() && host.iter().all(|&b| is_name_byte(b));
    (named && is_port(port)).then_some(len)
}

fn literal_len(authority: &[u8]) -> Option<usize> {
    let close = authority.iter().position(|&b| b == b']')?;
    let text = std::str::from_utf8(&authority[1..close]).ok()?;
    let _: Ipv6Addr = text.parse().ok()?;
    is_port(&authority[close + 1..]).then_some(close + 1)
}

/// Empty, or `:` and up to five digits that make a port.
fn is_port(text: &[u8]) -> bool {
    let Some((colon, digits)) = text.split_first() else {
        return true;
    };
    *colon == b':'
        && digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits
            .iter()
            .fold(0u32, |n, d| n * 10 + u32::from(d - b'0'))
            <= 65_535
}

const fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let cases: &[(&str, Option<usize>)] = &[
            ("a.example", Some(9)),
            ("a.example:80", Some(9)),
            ("a.example:", Some(9)),
            ("10.0.0.1:8080", Some(8)),
            ("[::1]", Some(5)),
            ("[::1]:443", Some(5)),
            ("under_score", Some(11)),
            ("", None),
            (":80", None),
            ("a:b", None),
            ("a:65536", None),
            ("a:080000", None),
            ("a:1:2", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[1.2.3.4]", None),
            ("user@a", None),
            ("a,b", None),
            ("a b", None),
            ("a/b", None),
            ("a%2eb", None),
            ("a\u{e4}", None),
        ];
        for (text, want) in cases {
            assert_eq!(host_len(text.as_bytes()), *want, "{text}");
        }
    }
}
