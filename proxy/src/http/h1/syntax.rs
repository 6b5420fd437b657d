//! Byte classes, and words for what httparse refused.

use super::reject::Reason;

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) const fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Visible ASCII except `#`: fragments are never sent, and what is not ASCII is percent-encoded.
/// Characters that RFC 3986 leaves out but browsers send (`|`, `{`, `"`, …) are let through.
pub(super) const fn is_target_byte(b: u8) -> bool {
    b.is_ascii_graphic() && b != b'#'
}

/// Names the fault in a request head that httparse refused with `error`.
pub(super) fn diagnose(error: httparse::Error, head: &[u8]) -> Reason {
    match error {
        httparse::Error::TooManyHeaders => Reason::TooManyFields,
        httparse::Error::HeaderValue => Reason::BadHeaderValue,
        httparse::Error::HeaderName => bad_name(head),
        httparse::Error::Version => bad_version(head),
        httparse::Error::Status => Reason::BadStatus,
        httparse::Error::NewLine | httparse::Error::Token => Reason::BadStartLine,
    }
}

/// The first header line whose name is malformed tells how.
fn bad_name(head: &[u8]) -> Reason {
    for line in head.split(|&b| b == b'\n').skip(1) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Reason::ObsFold;
        }
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        if colon > 0 && matches!(line[colon - 1], b' ' | b'\t') {
            return Reason::SpaceBeforeColon;
        }
    }
    Reason::BadHeaderName
}

/// `HTTP/` digit `.` digit that is not ours is a 505; anything else in its place is no version.
fn bad_version(head: &[u8]) -> Reason {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&b| b == b' ');
    match (words.nth(2), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Reason::BadVersion
        }
        _ => Reason::BadStartLine,
    }
}
