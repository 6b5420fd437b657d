//! The head of an answer: its status and headers.

use control::engine::{Failure, ProbeFailure};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::probe::{
    attempt::Attempt,
    failure::{fail, quote},
};

/// The longest head, interim ones included, in bytes.
const LONGEST: usize = 32 * 1024;
/// The most headers.
const HEADERS: usize = 128;

/// A head.
pub(super) struct Head {
    /// The status, 200 to 599, or 101.
    pub(super) status: u16,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The values of the headers of that name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }
}

/// Reads the head of the final answer, and what was read beyond it.
pub(super) async fn read<S: AsyncRead + Unpin>(
    attempt: &Attempt,
    stream: &mut S,
) -> Result<(Head, Vec<u8>), ProbeFailure> {
    attempt.now("waiting for the answer");
    let mut seen = Vec::with_capacity(1024);
    loop {
        let before = seen.len();
        let read = (&mut *stream)
            .take((LONGEST + 1 - before) as u64)
            .read_buf(&mut seen)
            .await
            .map_err(|e| attempt.broken(&e))?;
        if read == 0 {
            return Err(ended(&seen));
        }
        // A head can only be complete when a line is: what drips costs no parse for each byte.
        if memchr::memchr(b'\n', &seen[before..]).is_some()
            && let Some((head, length)) = parse_final(&seen)?
        {
            return Ok((head, seen.split_off(length)));
        }
        if seen.len() > LONGEST {
            return Err(fail(
                Failure::Protocol,
                "the answer's head is longer than 32 KiB",
            ));
        }
    }
}

fn ended(seen: &[u8]) -> ProbeFailure {
    match seen {
        [] => fail(Failure::Protocol, "closed without an answer"),
        some => fail(
            Failure::Protocol,
            format!("closed within the head: {}", quote(some)),
        ),
    }
}

/// The final head in `bytes` and where it ends, if it is complete; interim ones before it are skipped
/// (RFC 9110, 15.2).
fn parse_final(bytes: &[u8]) -> Result<Option<(Head, usize)>, ProbeFailure> {
    let mut start = 0;
    loop {
        let Some((head, length)) = parse(&bytes[start..])? else {
            return Ok(None);
        };
        start += length;
        if !matches!(head.status, 100 | 102..=199) {
            return Ok(Some((head, start)));
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, ProbeFailure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let head = Head {
                status: response.code.unwrap_or(0),
                headers: response
                    .headers
                    .iter()
                    .map(|h| (h.name.to_owned(), h.value.to_vec()))
                    .collect(),
            };
            Ok(Some((head, length)))
        }
        Err(error) => Err(fail(
            Failure::Protocol,
            format!("no HTTP answer ({error}): {}", quote(bytes)),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn interim_answers_are_skipped() {
        let bytes = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\nrest";
        let (head, length) = parse_final(bytes).unwrap().unwrap();
        assert_eq!(head.status, 204);
        assert_eq!(head.values("a").collect::<Vec<_>>(), [b"b"]);
        assert_eq!(&bytes[length..], b"rest");
        assert!(parse_final(&bytes[..50]).unwrap().is_none());
    }

    #[test]
    fn garbage_is_not_an_answer() {
        assert!(parse_final(b"SSH-2.0-OpenSSH_9.2\r\n").is_err());
    }
}
