//! The body of an answer, taken out of its framing (RFC 9112, 6 and 7.1). Trailers are left unread.

use control::engine::{Failure, ProbeFailure};

use super::head::Head;
use crate::probe::failure::fail;

/// The longest line that states a chunk's size, extensions included.
const SIZE_LINE: usize = 256;

/// What is left of a body.
pub(super) enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks; now within this part of one.
    Chunked(Chunk),
    /// All that comes until the connection ends.
    UntilClose,
}

/// Where in a chunk.
pub(super) enum Chunk {
    /// Before or in the line with its size.
    Size,
    /// In its data, this many bytes before their end.
    Data(u64),
    /// Before the line end after its data.
    End,
}

impl Body {
    /// The body that this head announces.
    pub(super) fn of(head: &Head, no_body: bool) -> Result<Self, ProbeFailure> {
        if no_body || matches!(head.status, 101 | 204 | 304) {
            return Ok(Self::Length(0));
        }
        if let Some(coding) = head.values("transfer-encoding").last() {
            let coding = coding.trim_ascii();
            return Ok(
                if coding.len() >= 7 && coding[coding.len() - 7..].eq_ignore_ascii_case(b"chunked")
                {
                    Self::Chunked(Chunk::Size)
                } else {
                    Self::UntilClose
                },
            );
        }
        let Some(length) = head.values("content-length").next() else {
            return Ok(Self::UntilClose);
        };
        std::str::from_utf8(length)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Self::Length)
            .ok_or_else(|| fail(Failure::Protocol, "the body's length is no number"))
    }

    /// Moves what `raw` holds of the body to `seen`; whether the body has ended.
    pub(super) fn decode(
        &mut self,
        raw: &mut Vec<u8>,
        seen: &mut Vec<u8>,
    ) -> Result<bool, ProbeFailure> {
        loop {
            match self {
                Self::UntilClose => {
                    seen.append(raw);
                    return Ok(false);
                }
                Self::Length(left) => {
                    *left -= move_up_to(*left, raw, seen);
                    return Ok(*left == 0);
                }
                Self::Chunked(Chunk::Data(left)) => {
                    *left -= move_up_to(*left, raw, seen);
                    if *left > 0 {
                        return Ok(false);
                    }
                    *self = Self::Chunked(Chunk::End);
                }
                Self::Chunked(Chunk::End) => {
                    if raw.len() < 2 {
                        return Ok(false);
                    }
                    if !raw.starts_with(b"\r\n") {
                        return Err(fail(
                            Failure::Protocol,
                            "a chunk does not end where it must",
                        ));
                    }
                    let _ = raw.drain(..2);
                    *self = Self::Chunked(Chunk::Size);
                }
                Self::Chunked(Chunk::Size) => match size(raw)? {
                    None => return Ok(false),
                    Some(0) => return Ok(true),
                    Some(size) => *self = Self::Chunked(Chunk::Data(size)),
                },
            }
        }
    }

    /// What a connection's end makes of the body seen so far: the whole of it, if only that could end it.
    pub(super) fn cut<'a>(&self, seen: &'a [u8]) -> Option<&'a [u8]> {
        matches!(self, Self::UntilClose).then_some(seen)
    }
}

/// Takes the line with a chunk's size off `raw`, if it is complete.
fn size(raw: &mut Vec<u8>) -> Result<Option<u64>, ProbeFailure> {
    let malformed = || fail(Failure::Protocol, "a chunk's size is malformed");
    match httparse::parse_chunk_size(raw).map_err(|_| malformed())? {
        httparse::Status::Complete((length, size)) => {
            let _ = raw.drain(..length);
            Ok(Some(size))
        }
        httparse::Status::Partial if raw.len() > SIZE_LINE => Err(malformed()),
        httparse::Status::Partial => Ok(None),
    }
}

/// Moves at most `most` bytes, and says how many.
fn move_up_to(most: u64, from: &mut Vec<u8>, to: &mut Vec<u8>) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(from.len());
    to.extend(from.drain(..count));
    count as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn byte_by_byte(mut body: Body, wire: &[u8]) -> Result<(Vec<u8>, bool), ProbeFailure> {
        let (mut raw, mut seen) = (Vec::new(), Vec::new());
        for byte in wire {
            raw.push(*byte);
            if body.decode(&mut raw, &mut seen)? {
                return Ok((seen, true));
            }
        }
        Ok((seen, false))
    }

    #[test]
    fn chunks_are_joined() {
        let wire = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let (seen, ended) = byte_by_byte(Body::Chunked(Chunk::Size), wire).unwrap();
        assert_eq!((seen.as_slice(), ended), (&b"abcde"[..], true));
    }

    #[test]
    fn bad_chunks_are_refused() {
        for wire in [
            &b"zz\r\n"[..],
            b"3\r\nabcX\r\n",
            b"fffffffffffffffff\r\n",
            &[b'1'; 400],
        ] {
            assert!(byte_by_byte(Body::Chunked(Chunk::Size), wire).is_err());
        }
    }

    #[test]
    fn a_length_ends_the_body() {
        let (seen, ended) = byte_by_byte(Body::Length(2), b"abc").unwrap();
        assert_eq!((seen.as_slice(), ended), (&b"ab"[..], true));
    }
}
