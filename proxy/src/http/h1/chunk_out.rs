//! Writing chunked bodies: sizes and trailers made anew, extensions left behind.

use super::encode::write_line;
use super::known::Known;
use super::limits::MAX_FIELDS;

/// Appends the size line of a chunk of `len` bytes; a chunk of none would end the body.
pub fn write_chunk_size(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len > 0);
    let mut digits = [0u8; 16];
    let mut at = digits.len();
    let mut rest = len;
    while rest > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// Appends one whole chunk.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    write_chunk_size(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk with those of the decoded `trailers` that may be merged or seen by
/// anyone (RFC 9110 §6.5.1): none that frame, route, authenticate or describe the content.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    let mut scratch = [httparse::EMPTY_HEADER; MAX_FIELDS];
    // They were parsed when the body was decoded, so an error here cannot be; nor would it matter.
    if let Ok(httparse::Status::Complete((_, headers))) =
        httparse::parse_headers(trailers, &mut scratch)
    {
        for header in headers.iter().filter(|h| may_trail(h.name)) {
            write_line(out, header.name.as_bytes(), header.value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn may_trail(name: &str) -> bool {
    const NEVER: [&str; 12] = [
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "location",
        "max-forwards",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "set-cookie",
        "www-authenticate",
    ];
    Known::of(name.as_bytes()) == Known::Other
        && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}
