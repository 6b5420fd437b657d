//! How long a body is (RFC 9112 §6), decided once per message and refused where in doubt.

use super::fields::{Facts, Version, tokens};
use super::reject::Reason;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks up to the last one, then trailers.
    Chunked,
    /// All until the connection is closed; responses only.
    UntilClose,
}

/// Framing of a request.
pub(super) fn of_request(buf: &[u8], facts: &Facts, version: Version) -> Result<Framing, Reason> {
    if facts.transfer_encoding.is_some() {
        return coding(buf, facts, version);
    }
    match declared_length(buf, facts)? {
        None | Some(0) => Ok(Framing::None),
        Some(n) => Ok(Framing::Length(n)),
    }
}

/// Framing of a response that can have a body.
pub(super) fn of_response(buf: &[u8], facts: &Facts, version: Version) -> Result<Framing, Reason> {
    if facts.transfer_encoding.is_some() {
        return coding(buf, facts, version);
    }
    match declared_length(buf, facts)? {
        None => Ok(Framing::UntilClose),
        Some(0) => Ok(Framing::None),
        Some(n) => Ok(Framing::Length(n)),
    }
}

/// Only `chunked`, alone, in HTTP/1.1 and without a length, is a transfer coding understood here.
fn coding(buf: &[u8], facts: &Facts, version: Version) -> Result<Framing, Reason> {
    let Some(value) = facts.transfer_encoding else {
        return Ok(Framing::None);
    };
    if facts.content_length.is_some() {
        return Err(Reason::LengthAndCoding);
    }
    if version == Version::Http10 {
        return Err(Reason::CodingInHttp10);
    }
    let value = value.of(buf);
    if facts.coding_fields == 1 && value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    // RFC 9112 §6.1, §6.3: where the length cannot be known it is a 400, where only the coding is
    // not known a 501.
    let is_chunked = |t: &[u8]| t.eq_ignore_ascii_case(b"chunked");
    let once = tokens(value).filter(|t| is_chunked(t)).count() == 1;
    let last = tokens(value).last().is_some_and(is_chunked);
    if facts.coding_fields == 1 && once && last {
        return Err(Reason::UnknownCoding);
    }
    Err(Reason::CodingNotFinal)
}

/// `Content-Length`: digits only, one value only, no overflow.
pub(super) fn declared_length(buf: &[u8], facts: &Facts) -> Result<Option<u64>, Reason> {
    let Some(value) = facts.content_length else {
        return Ok(None);
    };
    let digits = value.of(buf);
    if digits.is_empty() {
        return Err(Reason::BadLength);
    }
    digits
        .iter()
        .try_fold(0u64, |n, &b| {
            let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
            n.checked_mul(10)?.checked_add(digit)
        })
        .map(Some)
        .ok_or(Reason::BadLength)
}
