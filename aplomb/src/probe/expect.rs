//! What must appear in an answer, looked for as it arrives.

use std::rc::Rc;

use control::{
    engine::{Failure, ProbeFailure},
    spec::check::Expect,
};
use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{KEPT, Verdict, attempt::Attempt, failure, failure::fail, tools::Tools};

/// Looks at a regular expression that is run again with each piece of an answer: after this many pieces only with
/// each further [`STRIDE`], so that an answer dripped byte by byte costs no quadratic time.
const EAGER_LOOKS: u32 = 64;
const STRIDE: usize = 1024;

/// Looks for what must appear in bytes that grow.
pub(super) struct Search<'a> {
    wanted: Wanted<'a>,
    looks: u32,
    looked_at: usize,
}

enum Wanted<'a> {
    Bytes(&'a [u8]),
    Pattern(Rc<Regex>),
}

impl<'a> Search<'a> {
    pub(super) fn new(expect: &'a Expect, tools: &Tools) -> Result<Self, ProbeFailure> {
        let wanted = match expect {
            Expect::Contains(bytes) => Wanted::Bytes(bytes),
            Expect::Matches(pattern) => Wanted::Pattern(tools.regex(pattern)?),
        };
        Ok(Self {
            wanted,
            looks: 0,
            looked_at: 0,
        })
    }

    /// Whether it appears in `seen`, which begins with what was seen before. `last`: no more will come.
    pub(super) fn found(&mut self, seen: &[u8], last: bool) -> bool {
        let before = std::mem::replace(&mut self.looked_at, seen.len());
        match &self.wanted {
            Wanted::Bytes(bytes) => {
                let from = before.saturating_sub(bytes.len());
                memchr::memmem::find(&seen[from..], bytes).is_some()
            }
            Wanted::Pattern(pattern) => {
                if !last && self.looks >= EAGER_LOOKS && seen.len() - before < STRIDE {
                    self.looked_at = before;
                    return false;
                }
                self.looks += 1;
                pattern.is_match(seen)
            }
        }
    }
}

/// Reads until what is expected appears, or fails when it did not within the first 64 KiB.
pub(super) async fn read_until<S: AsyncRead + Unpin>(
    attempt: &Attempt,
    stream: &mut S,
    expect: &Expect,
) -> Verdict {
    attempt.now("waiting for the answer");
    let mut search = Search::new(expect, &attempt.tools)?;
    let mut seen = Vec::new();
    loop {
        let room = KEPT - seen.len();
        let read = (&mut *stream)
            .take(room as u64)
            .read_buf(&mut seen)
            .await
            .map_err(|e| attempt.broken(&e))?;
        let last = read == 0 || seen.len() >= KEPT;
        if search.found(&seen, last) {
            return Ok(());
        }
        if last {
            return Err(missing("the answer", &seen));
        }
    }
}

/// What was expected is not in `place`.
pub(super) fn missing(place: &str, seen: &[u8]) -> ProbeFailure {
    let detail = if seen.is_empty() {
        format!("{place} is empty")
    } else {
        format!(
            "what is expected is not in {place}: {}",
            failure::quote(seen)
        )
    };
    fail(Failure::Unexpected, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn drip(expect: &Expect, text: &[u8]) -> Option<usize> {
        let tools = Tools::new();
        let mut search = Search::new(expect, &tools).unwrap();
        (1..=text.len()).find(|&n| search.found(&text[..n], n == text.len()))
    }

    #[test]
    fn bytes_are_found_across_pieces() {
        let expect = Expect::Contains(b"+PONG".to_vec());
        assert_eq!(drip(&expect, b"-ERR +PO+PONG\r\n"), Some(13));
        assert_eq!(drip(&expect, b"+PON"), None);
    }

    #[test]
    fn a_pattern_is_found_even_after_the_eager_looks() {
        let expect = Expect::Matches("b+c".into());
        let mut text = vec![b'a'; 300];
        text.extend_from_slice(b"bbc");
        assert_eq!(drip(&expect, &text), Some(303), "at the end");
        text.extend_from_slice(&[b'd'; 4000]);
        let found = drip(&expect, &text).unwrap();
        assert!((303..=303 + STRIDE).contains(&found), "{found}");
        assert_eq!(drip(&expect, b"abc"), Some(3), "at once");
    }
}
