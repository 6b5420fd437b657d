//! Finding the end of a head, line by line, without looking at a byte twice.
//!
//! The same walk enforces the line rules that httparse is lenient about: every line ends in CRLF
//! (RFC 9112 §2.2 lets a recipient accept a bare LF; a proxy that does invites smuggling), and at
//! most one empty line comes before the head.

use memchr::memchr;

use super::reject::Reason;

/// What stands before the first line of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// A request head: one empty line before it is tolerated.
    Request,
    /// A response head: nothing may come before it.
    Response,
    /// Trailers: may be empty.
    Trailers,
}

/// Where a complete section lies in the buffer: `start..end`, with its final empty line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A resumable search. `Default` begins a new one at offset 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Search {
    scanned: usize,
    line: usize,
    start: usize,
    lines: usize,
}

/// Bounds on one section: its first line and the whole, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) first_line: usize,
    pub(super) total: usize,
    /// What to say when the whole is too large.
    pub(super) too_large: Reason,
}

impl Search {
    /// Looks for the end of the section in `buf`, which must extend what earlier calls saw.
    pub(super) fn find(
        &mut self,
        buf: &[u8],
        section: Section,
        bounds: Bounds,
    ) -> Result<Option<Found>, Reason> {
        let visible = buf.get(..bounds.total).unwrap_or(buf);
        while let Some(offset) = memchr(b'\n', &visible[self.scanned..]) {
            let lf = self.scanned + offset;
            if let Some(found) = self.end_line(visible, lf, section, bounds)? {
                return Ok(Some(found));
            }
        }
        self.scanned = visible.len();
        if self.lines == 0 && self.scanned - self.line > bounds.first_line {
            return Err(Reason::TargetTooLong);
        }
        if visible.len() >= bounds.total {
            return Err(bounds.too_large);
        }
        Ok(None)
    }

    fn end_line(
        &mut self,
        buf: &[u8],
        lf: usize,
        section: Section,
        bounds: Bounds,
    ) -> Result<Option<Found>, Reason> {
        if lf == self.line || buf[lf - 1] != b'\r' {
            return Err(Reason::BareLf);
        }
        let empty = lf == self.line + 1;
        if self.lines == 0 && lf + 1 - self.line > bounds.first_line {
            return Err(Reason::TargetTooLong);
        }
        self.scanned = lf + 1;
        self.line = lf + 1;
        if !empty {
            self.lines += 1;
            return Ok(None);
        }
        if self.lines > 0 || section == Section::Trailers {
            return Ok(Some(Found {
                start: self.start,
                end: lf + 1,
            }));
        }
        if section == Section::Request && self.start == 0 {
            self.start = lf + 1;
            return Ok(None);
        }
        Err(Reason::EmptyLines)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const BOUNDS: Bounds = Bounds {
        first_line: 16,
        total: 32,
        too_large: Reason::HeadTooLarge,
    };

    #[test]
    fn resumes_where_it_stopped() {
        let head = b"GET /\r\na: b\r\n\r\nrest";
        let mut search = Search::default();
        for n in 0..15 {
            assert_eq!(
                search.find(&head[..n], Section::Request, BOUNDS),
                Ok(None),
                "{n}"
            );
            assert_eq!(search.scanned, n);
        }
        let found = search
            .find(head, Section::Request, BOUNDS)
            .unwrap()
            .unwrap();
        assert_eq!(found, Found { start: 0, end: 15 });
    }

    #[test]
    fn bounds_hold_with_and_without_the_end_in_sight() {
        let long = [b'a'; 17];
        let find = |buf: &[u8]| Search::default().find(buf, Section::Request, BOUNDS);
        assert_eq!(find(&long), Err(Reason::TargetTooLong));
        assert_eq!(
            find(b"aaaaaaaaaaaaaaaa\r\n\r\n"),
            Err(Reason::TargetTooLong)
        );
        assert_eq!(
            find(b"a\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
            Err(Reason::HeadTooLarge)
        );
        assert_eq!(
            find(b"a\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n\r\n"),
            Err(Reason::HeadTooLarge)
        );
    }

    #[test]
    fn trailers_may_be_empty() {
        let found = Search::default().find(b"\r\nx", Section::Trailers, BOUNDS);
        assert_eq!(found, Ok(Some(Found { start: 0, end: 2 })));
    }
}
