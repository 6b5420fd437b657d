//! What a request's path means.
//!
//! A path can be spelled in many ways: `/admin`, `/%61dmin`, `//admin`, `/x/../admin`, `/admin%2Fx`. If
//! routes compared what was spelled, whoever wanted past a route would spell it differently from us and alike
//! for the backend. So:
//!
//! - **What is forwarded** is the normal form of RFC 3986: escaped letters, digits and `-._~` are unescaped,
//!   the remaining escapes are in capitals, dot segments are resolved, bytes above ASCII are escaped. Nothing
//!   that a URI distinguishes is lost: `%2F` stays, and so does `//`, which some applications mean.
//! - **What is compared** is that form decoded once, as a backend that decodes would see it, with runs of
//!   slashes as one. So `/admin%2Fx` and `//admin/x` both are under `/admin/`, whatever the backend makes of
//!   them. nginx compares the same; Envoy with all its normalisation switched on does, too.
//! - **What cannot be meant well is refused** (400): a path above the root, a broken escape, an escaped NUL,
//!   `#`, and dot segments that only a second look finds: behind an escaped slash or a backslash (`..%2F`,
//!   `..%5C`), or with a parameter (`..;`, which Tomcat takes for `..`). A raw backslash is refused as well.
//!
//! Decoding happens once: `%2561` is `%61` for the backend and for us.
//! Most paths need none of this; they are recognised in one pass and borrowed.

use std::{borrow::Cow, fmt};

use super::query;

/// A path in its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    forwarded: Cow<'a, str>,
    /// None if it is the same bytes.
    compared: Option<Vec<u8>>,
}

/// Why a path is refused; the request deserves a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It does not begin with a slash (nor is it the `*` of OPTIONS).
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    BrokenEscape,
    /// `%00`.
    Nul,
    /// `#`, `\`, a space or a control character.
    BadCharacter,
    /// `..` leads above the root.
    AboveRoot,
    /// A dot segment in disguise.
    HiddenDots,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::BrokenEscape => "the path has a '%' without two hexadecimal digits",
            Self::Nul => "the path has an escaped NUL",
            Self::BadCharacter => "the path has a character that no path may have",
            Self::AboveRoot => "the path leads above the root",
            Self::HiddenDots => "the path has dot segments behind an escape or a parameter",
        })
    }
}

impl std::error::Error for BadPath {}

impl<'a> Path<'a> {
    /// The path of a request target, without query.
    ///
    /// # Errors
    /// [`BadPath`] says why it is refused.
    pub fn clean(raw: &'a str) -> Result<Self, BadPath> {
        if !raw.starts_with('/') && raw != "*" {
            return Err(BadPath::NotAbsolute);
        }
        if is_plain(raw.as_bytes()) {
            return Ok(Self {
                forwarded: Cow::Borrowed(raw),
                compared: None,
            });
        }
        let forwarded = resolve_dots(&normal_escapes(raw)?)?;
        let compared = decoded(&forwarded);
        if has_hidden_dots(&compared) {
            return Err(BadPath::HiddenDots);
        }
        let compared = merged(compared);
        Ok(Self {
            compared: (compared != forwarded.as_bytes()).then_some(compared),
            forwarded: if forwarded == raw {
                Cow::Borrowed(raw)
            } else {
                Cow::Owned(forwarded)
            },
        })
    }

    /// What is forwarded: the normal form.
    #[must_use]
    pub fn forwarded(&self) -> &str {
        &self.forwarded
    }

    /// What is compared: decoded, without runs of slashes.
    #[must_use]
    pub fn compared(&self) -> &[u8] {
        self.compared
            .as_deref()
            .unwrap_or(self.forwarded.as_bytes())
    }

    /// What follows the first `len` compared bytes, in the form that is forwarded. A run of slashes at the
    /// cut belongs before it if the cut is behind a slash.
    pub(super) fn forwarded_after(&self, len: usize) -> &str {
        let text = &*self.forwarded;
        if self.compared.is_none() {
            return text.get(len..).unwrap_or("");
        }
        let (mut at, mut seen, mut last) = (0, 0, 0);
        while at < text.len() {
            let (byte, width) = decode_at(text.as_bytes(), at);
            let counts = !(byte == b'/' && last == b'/');
            if counts && seen == len {
                break;
            }
            seen += usize::from(counts);
            last = byte;
            at += width;
        }
        text.get(at..).unwrap_or("")
    }
}

/// A path of a pattern, as it is compared: decoded, without runs of slashes. Dots stay: they may begin a
/// name.
pub(super) fn pattern(text: &str) -> Vec<u8> {
    merged(decoded(text))
}

/// One pass over the bytes: is there nothing to do, and nothing to refuse?
fn is_plain(path: &[u8]) -> bool {
    let mut last = 0;
    for &byte in path {
        let dull = match byte {
            b'/' | b'.' => last != b'/',
            b'%' | b'#' | b'\\' | 0..=b' ' | 0x7F.. => false,
            _ => true,
        };
        if !dull {
            return false;
        }
        last = byte;
    }
    true
}

/// Unreserved characters unescaped, other escapes in capitals, bytes above ASCII escaped.
fn normal_escapes(raw: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(raw.len() + 16);
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = bytes.next().zip(bytes.next());
                let byte = digits
                    .and_then(|(high, low)| query::byte(high, low))
                    .ok_or(BadPath::BrokenEscape)?;
                match byte {
                    0 => return Err(BadPath::Nul),
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        out.push(char::from(byte));
                    }
                    _ => push_escape(&mut out, byte),
                }
            }
            0..=b' ' | 0x7F | b'#' | b'\\' => return Err(BadPath::BadCharacter),
            0x80.. => push_escape(&mut out, byte),
            _ => out.push(char::from(byte)),
        }
    }
    Ok(out)
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// RFC 3986 section 5.2.4, but above the root there is nothing.
fn resolve_dots(path: &str) -> Result<String, BadPath> {
    let Some(relative) = path.strip_prefix('/') else {
        return Ok(path.to_owned());
    };
    let mut out = String::with_capacity(path.len());
    let mut segments = relative.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            ".." => {
                let parent = out.rfind('/').ok_or(BadPath::AboveRoot)?;
                out.truncate(parent);
            }
            "." => {}
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
        if is_last && matches!(segment, "." | "..") {
            out.push('/');
        }
    }
    Ok(out)
}

/// The byte that stands at `at`, and how many bytes spell it.
fn decode_at(text: &[u8], at: usize) -> (u8, usize) {
    match text[at..] {
        [b'%', high, low, ..] => query::byte(high, low).map_or((b'%', 1), |byte| (byte, 3)),
        [byte, ..] => (byte, 1),
        [] => (0, 1),
    }
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (byte, width) = decode_at(text.as_bytes(), at);
        out.push(byte);
        at += width;
    }
    out
}

fn merged(mut path: Vec<u8>) -> Vec<u8> {
    path.dedup_by(|a, b| *a == b'/' && *b == b'/');
    path
}

/// Whether a backend that splits at more than `/`, or drops parameters, would find dot segments.
fn has_hidden_dots(decoded: &[u8]) -> bool {
    decoded
        .split(|b| matches!(b, b'/' | b'\\'))
        .filter_map(|segment| segment.split(|&b| b == b';').next())
        .any(|name| matches!(name, b"." | b".."))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_are_borrowed() {
        for raw in [
            "/",
            "/a/b.html",
            "/a~b;c=d/e,f:@!$&'()*+=",
            "/a.b..c",
            "/a/x..",
            "*",
        ] {
            let path = Path::clean(raw).unwrap();
            assert!(matches!(path.forwarded, Cow::Borrowed(_)), "{raw}");
            assert_eq!(path.compared(), raw.as_bytes());
        }
    }

    #[test]
    fn spellings_of_one_path() {
        let cases = [
            // raw, forwarded, compared
            ("/%61dmin", "/admin", "/admin"),
            ("/a%7eb", "/a~b", "/a~b"),
            ("/a%2fb", "/a%2Fb", "/a/b"),
            ("/a%20b", "/a%20b", "/a b"),
            ("//admin", "//admin", "/admin"),
            ("/a///b//", "/a///b//", "/a/b/"),
            ("/a/./b", "/a/b", "/a/b"),
            ("/a/../b", "/b", "/b"),
            ("/a/%2e%2E/b", "/b", "/b"),
            ("/a/b/..", "/a/", "/a/"),
            ("/a/b/.", "/a/b/", "/a/b/"),
            ("/.", "/", "/"),
            ("/a/..", "/", "/"),
            ("/a//../b", "/a/b", "/a/b"),
            ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
            ("/...", "/...", "/..."),
            ("/ä", "/%C3%A4", "/ä"),
            ("/%c3%a4", "/%C3%A4", "/ä"),
            ("/%2561", "/%2561", "/%61"),
            ("/a%3Fb%23c", "/a%3Fb%23c", "/a?b#c"),
        ];
        for (raw, forwarded, compared) in cases {
            let path = Path::clean(raw).unwrap();
            assert_eq!(path.forwarded(), forwarded, "{raw}");
            assert_eq!(path.compared(), compared.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn what_is_refused() {
        let cases = [
            ("", BadPath::NotAbsolute),
            ("a/b", BadPath::NotAbsolute),
            ("http://x/", BadPath::NotAbsolute),
            ("/%", BadPath::BrokenEscape),
            ("/%4", BadPath::BrokenEscape),
            ("/%zz", BadPath::BrokenEscape),
            ("/%+1", BadPath::BrokenEscape),
            ("/a%00", BadPath::Nul),
            ("/a#b", BadPath::BadCharacter),
            ("/a\\b", BadPath::BadCharacter),
            ("/a b", BadPath::BadCharacter),
            ("/a\u{7f}", BadPath::BadCharacter),
            ("/..", BadPath::AboveRoot),
            ("/a/../../b", BadPath::AboveRoot),
            ("/%2e./x", BadPath::AboveRoot),
            ("/public/..%2Fadmin", BadPath::HiddenDots),
            ("/public%2F..", BadPath::HiddenDots),
            ("/public/..%5cadmin", BadPath::HiddenDots),
            ("/public/..;/admin", BadPath::HiddenDots),
            ("/public/%2e.;x=y/admin", BadPath::HiddenDots),
        ];
        for (raw, why) in cases {
            assert_eq!(Path::clean(raw), Err(why), "{raw}");
        }
    }

    #[test]
    fn what_follows_a_prefix_is_forwarded_as_it_was() {
        let cases = [
            ("/api/x", 5, "x"),
            ("/api//x%2Fy", 5, "x%2Fy"),
            ("//api/x", 5, "x"),
            ("/api//x", 4, "//x"),
            ("/api", 4, ""),
            ("/%C3%A4/x", 4, "x"),
        ];
        for (raw, len, rest) in cases {
            assert_eq!(
                Path::clean(raw).unwrap().forwarded_after(len),
                rest,
                "{raw}"
            );
        }
    }

    proptest! {
        /// Cleaning is done after one pass, and nothing dangerous is left.
        #[test]
        fn clean_is_final(raw in "/([a-c./%;\\\\]|%2[eEfF]|%5[cC]|%41|\\.\\./|ä){0,12}") {
            if let Ok(path) = Path::clean(&raw) {
                let again = Path::clean(path.forwarded()).unwrap();
                prop_assert_eq!(again.forwarded(), path.forwarded());
                prop_assert_eq!(again.compared(), path.compared());
                prop_assert!(!has_hidden_dots(path.compared()));
                prop_assert!(path.forwarded().is_ascii());
                prop_assert!(!path.compared().windows(2).any(|w| w == b"//"));
            }
        }
    }
}
