//! Writing heads: what was understood is written anew, in one pass over the fields.
//!
//! Lines whose bytes already are what would be written (`name: value CRLF`) are copied in runs.
//! `Connection` and its kin are never copied; they are made for the side the message goes to.

use super::fields::{Field, Version};
use super::framing::Framing;
use super::request::RequestHead;
use super::response::ResponseHead;

/// What is different about a request when it is passed on.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestEdit<'a> {
    /// Path and query instead of those received.
    pub target: Option<&'a [u8]>,
    /// `Host` instead of the one received.
    pub host: Option<&'a [u8]>,
    /// Whether `Upgrade` is passed on.
    pub upgrade: bool,
}

/// What the client is told about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionWord {
    /// Nothing: the version's default holds.
    #[default]
    None,
    /// `close`
    Close,
    /// `keep-alive`, which HTTP/1.0 needs to hear.
    KeepAlive,
    /// `upgrade`, with the protocol.
    Upgrade,
}

/// Appends the head of a request as it goes to a backend, always as HTTP/1.1.
///
/// `drop` names further fields to leave out; `extra` appends whole lines, each with its CRLF.
pub fn write_request(
    out: &mut Vec<u8>,
    buf: &[u8],
    head: &RequestHead,
    edit: RequestEdit<'_>,
    mut drop: impl FnMut(&Field) -> bool,
    extra: impl FnOnce(&mut Vec<u8>),
) {
    out.reserve(head.len + 256);
    out.extend_from_slice(head.method_name.of(buf));
    out.push(b' ');
    write_target(out, buf, head, edit.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host_missing = write_host(out, buf, head, edit.host);
    let mut runs = Runs::new(buf);
    for field in &head.fields {
        let host = field.known == super::Known::Host && (edit.host.is_some() || host_missing);
        if !(field.hop || host || drop(field)) {
            runs.copy(out, field);
        }
    }
    runs.flush(out);
    write_framing(out, head.framing);
    let upgrade = head.upgrade.filter(|_| edit.upgrade);
    if let Some(protocols) = upgrade {
        write_line(out, b"upgrade", protocols.of(buf));
    }
    if head.te_trailers {
        out.extend_from_slice(b"te: trailers\r\n");
    }
    match (upgrade.is_some(), head.te_trailers) {
        (true, true) => out.extend_from_slice(b"connection: upgrade, te\r\n"),
        (true, false) => out.extend_from_slice(b"connection: upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"connection: te\r\n"),
        (false, false) => {}
    }
    extra(out);
    out.extend_from_slice(b"\r\n");
}

/// Origin form (RFC 9112 §3.2.1), whatever form it came in.
fn write_target(out: &mut Vec<u8>, buf: &[u8], head: &RequestHead, instead: Option<&[u8]>) {
    if let Some(target) = instead {
        return out.extend_from_slice(target);
    }
    if head.asterisk {
        return out.push(b'*');
    }
    if head.path.len == 0 {
        out.push(b'/');
    }
    out.extend_from_slice(head.path.of(buf));
    if let Some(query) = head.query {
        out.push(b'?');
        out.extend_from_slice(query.of(buf));
    }
}

/// Writes `Host` where it is replaced or was not sent; says whether it was not sent.
fn write_host(out: &mut Vec<u8>, buf: &[u8], head: &RequestHead, instead: Option<&[u8]>) -> bool {
    let missing = head.version == Version::Http10
        && !head.fields.iter().any(|f| f.known == super::Known::Host);
    match instead {
        Some(host) => write_line(out, b"host", host),
        None if missing => write_line(out, b"host", head.authority.of(buf)),
        None => {}
    }
    missing
}

/// Appends the head of a response as it goes to a client, always as HTTP/1.1.
///
/// `framing` is how the body goes out; `drop` and `extra` are as in [`write_request`].
pub fn write_response(
    out: &mut Vec<u8>,
    buf: &[u8],
    head: &ResponseHead,
    framing: Framing,
    connection: ConnectionWord,
    mut drop: impl FnMut(&Field) -> bool,
    extra: impl FnOnce(&mut Vec<u8>),
) {
    out.reserve(head.len + 128);
    write_status_line(out, head.status, head.reason.of(buf));
    let mut runs = Runs::new(buf);
    for field in &head.fields {
        if !(field.hop || drop(field)) {
            runs.copy(out, field);
        }
    }
    runs.flush(out);
    match (framing, head.content_length) {
        _ if head.status < 200 || head.status == 204 => {}
        (Framing::None, Some(n)) => write_length(out, n),
        (framing, _) => write_framing(out, framing),
    }
    match connection {
        ConnectionWord::None => {}
        ConnectionWord::Close => out.extend_from_slice(b"connection: close\r\n"),
        ConnectionWord::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
        ConnectionWord::Upgrade => {
            out.extend_from_slice(b"connection: upgrade\r\n");
            if let Some(protocol) = head.upgrade {
                write_line(out, b"upgrade", protocol.of(buf));
            }
        }
    }
    extra(out);
    out.extend_from_slice(b"\r\n");
}

/// Appends `HTTP/1.1 status reason CRLF`; `status` has three digits.
pub fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value CRLF`.
pub fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `content-length: n CRLF`.
pub fn write_length(out: &mut Vec<u8>, n: u64) {
    write_line(
        out,
        b"content-length",
        itoa::Buffer::new().format(n).as_bytes(),
    );
}

fn write_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(n) => write_length(out, n),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

/// Copies fields, neighbours in one go.
struct Runs<'a> {
    buf: &'a [u8],
    from: usize,
    to: usize,
}

impl<'a> Runs<'a> {
    const fn new(buf: &'a [u8]) -> Self {
        Self {
            buf,
            from: 0,
            to: 0,
        }
    }

    fn copy(&mut self, out: &mut Vec<u8>, field: &Field) {
        if !field.canonical {
            self.flush(out);
            return write_line(out, field.name.of(self.buf), field.value.of(self.buf));
        }
        let start = field.name.start as usize;
        if start != self.to {
            self.flush(out);
            self.from = start;
        }
        self.to = field.value.end() + b"\r\n".len();
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.buf[self.from..self.to]);
        self.from = self.to;
    }
}
