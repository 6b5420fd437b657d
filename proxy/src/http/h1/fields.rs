//! Header fields as ranges of the receive buffer, and what they say about this connection.

use super::known::Known;
use super::reject::Reason;

/// A range of the buffer that a head was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte, from the start of that buffer.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The bytes themselves.
    #[must_use]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &buf[start..start + self.len as usize]
    }

    /// Offset just past the last byte.
    #[must_use]
    pub const fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    pub(super) const fn new(start: usize, len: usize) -> Self {
        Self {
            start: start as u32,
            len: len as u32,
        }
    }

    /// Where `part`, a slice of `buf`, lies in it. Empty parts lie at `empty_at`, since httparse
    /// may return a static one for them.
    pub(super) fn within(buf: &[u8], part: &[u8], empty_at: usize) -> Self {
        if part.is_empty() {
            return Self::new(empty_at, 0);
        }
        let start = part.as_ptr() as usize - buf.as_ptr() as usize;
        debug_assert!(start + part.len() <= buf.len());
        Self::new(start, part.len())
    }
}

/// One header field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name as it was sent.
    pub name: Span,
    /// The value without surrounding white space.
    pub value: Span,
    /// The name, told apart.
    pub known: Known,
    /// Whether it ends here (RFC 9110 §7.6.1): by its name, or because `Connection` lists it.
    pub hop: bool,
    /// Whether the line reads exactly `name: value CRLF` in the buffer, so that it can be copied.
    pub(super) canonical: bool,
}

/// Protocol version of a message; nothing else is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// What the `Connection` header fields ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionOptions {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
}

/// What a pass over the fields of a head found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) host: Option<Span>,
    pub(super) content_length: Option<Span>,
    pub(super) transfer_encoding: Option<Span>,
    pub(super) coding_fields: usize,
    pub(super) upgrade: Option<Span>,
    pub(super) expect: Option<Span>,
    pub(super) te_trailers: bool,
    pub(super) connection: ConnectionOptions,
}

/// Moves parsed headers into `fields` and collects the facts. `base` is where `head` begins in the
/// buffer that spans count from.
pub(super) fn collect(
    buf: &[u8],
    headers: &[httparse::Header<'_>],
    fields: &mut Vec<Field>,
) -> Result<Facts, Reason> {
    fields.clear();
    let mut facts = Facts::default();
    let mut has_connection = false;
    for header in headers {
        let field = field(buf, header);
        fields.push(field);
        match field.known {
            Known::Other => {}
            Known::Connection => has_connection = true,
            known => facts.note(buf, known, field.value)?,
        }
    }
    if has_connection {
        facts.connection = connection_options(buf, fields);
    }
    Ok(facts)
}

fn field(buf: &[u8], header: &httparse::Header<'_>) -> Field {
    let name = Span::within(buf, header.name.as_bytes(), 0);
    let value = Span::within(buf, trim(header.value), name.end() + 1);
    let known = Known::of(header.name.as_bytes());
    let canonical = value.start as usize == name.end() + 2
        && buf[name.end() + 1] == b' '
        && buf.get(value.end()) == Some(&b'\r');
    Field {
        name,
        value,
        known,
        hop: known.is_hop(),
        canonical,
    }
}

impl Facts {
    fn note(&mut self, buf: &[u8], known: Known, value: Span) -> Result<(), Reason> {
        match known {
            Known::Host if self.host.replace(value).is_some() => Err(Reason::DuplicateHost),
            Known::ContentLength if self.content_length.replace(value).is_some() => {
                Err(Reason::DuplicateLength)
            }
            Known::TransferEncoding => {
                self.transfer_encoding = Some(value);
                self.coding_fields += 1;
                Ok(())
            }
            Known::Upgrade => {
                self.upgrade = Some(value);
                Ok(())
            }
            Known::Expect => {
                self.expect = Some(value);
                Ok(())
            }
            Known::Te => {
                self.te_trailers |=
                    tokens(value.of(buf)).any(|t| t.eq_ignore_ascii_case(b"trailers"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Reads every `Connection` field and marks the fields it names as ending here.
fn connection_options(buf: &[u8], fields: &mut [Field]) -> ConnectionOptions {
    let mut options = ConnectionOptions::default();
    for i in 0..fields.len() {
        if fields[i].known != Known::Connection {
            continue;
        }
        for token in tokens(fields[i].value.of(buf)) {
            match token {
                t if t.eq_ignore_ascii_case(b"close") => options.close = true,
                t if t.eq_ignore_ascii_case(b"keep-alive") => options.keep_alive = true,
                t if t.eq_ignore_ascii_case(b"upgrade") => options.upgrade = true,
                t => mark_hop(buf, fields, t),
            }
        }
    }
    options
}

/// `Host` is never dropped, whoever lists it: a request cannot do without.
fn mark_hop(buf: &[u8], fields: &mut [Field], token: &[u8]) {
    for field in fields {
        if field.known != Known::Host && field.name.of(buf).eq_ignore_ascii_case(token) {
            field.hop = true;
        }
    }
}

/// The elements of a comma-separated list, without white space and empty ones.
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&b| b == b',')
        .map(trim)
        .filter(|t| !t.is_empty())
}

/// Without leading and trailing spaces and tabs.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
