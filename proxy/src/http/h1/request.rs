//! Request heads: from bytes to a [`RequestHead`], or to the reason why not.

use std::mem::MaybeUninit;

use super::fields::{ConnectionOptions, Field, Span, Version, collect, tokens};
use super::framing::{self, Framing};
use super::limits::{LINE_EXTRA, Limits, MAX_FIELDS, MAX_METHOD};
use super::reject::{Reason, Reject};
use super::search::{Bounds, Found, Search, Section};
use super::{host, syntax};

/// Request methods the proxy treats in their own way; the name itself is kept as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD: its response has no body.
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// Any other token.
    Other,
}

impl Method {
    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        matches!(
            self,
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace
        )
    }

    fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

/// A request head, understood. Spans count from the start of the buffer given to the parser.
///
/// Kept and filled again for the next request, so that a warm connection allocates nothing.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// The method, told apart.
    pub method: Method,
    /// The method as sent.
    pub method_name: Span,
    /// The whole request target as sent.
    pub target: Span,
    /// Path of the target; empty for `*` and for an absolute target without one.
    pub path: Span,
    /// What follows `?` in the target.
    pub query: Option<Span>,
    /// Host and port the request is for; empty if HTTP/1.0 named none.
    pub authority: Span,
    /// The host alone.
    pub host: Span,
    /// Whether the target is `*` (or an absolute one that means the same).
    pub asterisk: bool,
    /// Version of the request.
    pub version: Version,
    /// Header fields in the order sent.
    pub fields: Vec<Field>,
    /// How long the body is.
    pub framing: Framing,
    /// The options of `Connection`.
    pub connection: ConnectionOptions,
    /// Protocols offered by `Upgrade`, if `Connection` says so too.
    pub upgrade: Option<Span>,
    /// Whether the client waits for 100 (Continue) before it sends the body.
    pub expect_continue: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub te_trailers: bool,
    /// Bytes up to the end of the head, leading empty line included.
    pub len: usize,
}

impl RequestHead {
    /// Whether the client means to send another request on this connection (RFC 9112 §9.3).
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        match self.version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }
}

/// Parses one request head, resuming as bytes arrive. `Default` begins a new one.
#[derive(Debug, Default)]
pub struct RequestParser {
    search: Search,
}

impl RequestParser {
    /// Parses the head at the start of `buf`, which must extend what earlier calls for the same
    /// head were given. `Ok(false)`: more bytes are needed. `Ok(true)`: `head` is filled.
    ///
    /// # Errors
    /// The head breaks RFC 9112 or `limits`; the connection cannot be used any further.
    pub fn parse(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<bool, Reject> {
        self.parse_inner(buf, limits, head).map_err(Reject::client)
    }

    fn parse_inner(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<bool, Reason> {
        // Refuses what cannot become HTTP (say, a TLS hello) at once instead of after a timeout.
        if buf
            .first()
            .is_some_and(|&b| !syntax::is_token_byte(b) && b != b'\r' && b != b'\n')
        {
            return Err(Reason::BadStartLine);
        }
        let bounds = Bounds {
            first_line: limits.target + LINE_EXTRA,
            total: limits.head,
            too_large: Reason::HeadTooLarge,
        };
        let Some(found) = self.search.find(buf, Section::Request, bounds)? else {
            return Ok(false);
        };
        self.search = Search::default();
        fill(buf, found, limits, head)?;
        Ok(true)
    }
}

/// Reads the complete head at `found` of `buf` into `head`.
fn fill(buf: &[u8], found: Found, limits: &Limits, head: &mut RequestHead) -> Result<(), Reason> {
    let text = &buf[found.start..found.end];
    let mut scratch = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let allowed = limits.fields.min(MAX_FIELDS);
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(text, &mut scratch[..allowed]) {
        Ok(httparse::Status::Complete(n)) if n == text.len() => {}
        // A head that ends elsewhere for httparse than for us is exactly what must not pass.
        Ok(_) => return Err(Reason::BadStartLine),
        Err(error) => return Err(syntax::diagnose(error, text)),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Reason::BadStartLine);
    };
    head.len = found.end;
    head.version = if version == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    head.method = Method::of(method.as_bytes());
    head.method_name = Span::within(buf, method.as_bytes(), 0);
    if method.len() > MAX_METHOD {
        return Err(Reason::BadMethod);
    }
    if target.len() > limits.target {
        return Err(Reason::TargetTooLong);
    }
    if method == "CONNECT" {
        return Err(Reason::Connect);
    }
    head.target = Span::within(buf, target.as_bytes(), 0);
    let facts = collect(buf, parsed.headers, &mut head.fields)?;
    let authority = read_target(buf, head)?;
    read_host(buf, head, facts.host, authority)?;
    head.framing = framing::of_request(buf, &facts, head.version)?;
    head.connection = facts.connection;
    head.te_trailers = facts.te_trailers;
    head.upgrade = facts.upgrade.filter(|protocols| {
        head.connection.upgrade
            && head.version == Version::Http11
            && head.framing == Framing::None
            && !leads_around_us(protocols.of(buf))
    });
    head.expect_continue = read_expectation(buf, facts.expect, head.version)?;
    if head.version == Version::Http10 {
        // Ignored here, and not for a backend either, which is spoken to in HTTP/1.1 and would answer 100 or 417.
        let expectations = head
            .fields
            .iter_mut()
            .filter(|f| f.known == super::Known::Expect);
        expectations.for_each(|field| field.hop = true);
    }
    if head.method == Method::Trace && head.framing != Framing::None {
        return Err(Reason::TraceWithBody);
    }
    Ok(())
}

/// Splits the target (RFC 9112 §3.2) and returns the authority of an absolute one.
fn read_target(buf: &[u8], head: &mut RequestHead) -> Result<Option<Span>, Reason> {
    let target = head.target.of(buf);
    if !target.iter().all(|&b| syntax::is_target_byte(b)) {
        return Err(Reason::BadTarget);
    }
    let start = head.target.start as usize;
    head.asterisk = false;
    if target == b"*" {
        head.asterisk = true;
        (head.path, head.query) = (Span::new(start, 0), None);
        let allowed = head.method == Method::Options;
        return if allowed {
            Ok(None)
        } else {
            Err(Reason::BadTarget)
        };
    }
    if target[0] == b'/' {
        (head.path, head.query) = split_query(buf, start, head.target.end());
        return Ok(None);
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(scheme.as_bytes()))
    });
    let rest = start + scheme.ok_or(Reason::BadTarget)?.len();
    let len = buf[rest..head.target.end()]
        .iter()
        .position(|&b| b == b'/' || b == b'?');
    let end = len.map_or(head.target.end(), |len| rest + len);
    (head.path, head.query) = split_query(buf, end, head.target.end());
    // RFC 9112 §3.2.4: OPTIONS for a whole server is `*` to the origin.
    head.asterisk = head.method == Method::Options && end == head.target.end();
    Ok(Some(Span::new(rest, end - rest)))
}

fn split_query(buf: &[u8], start: usize, end: usize) -> (Span, Option<Span>) {
    match memchr::memchr(b'?', &buf[start..end]) {
        None => (Span::new(start, end - start), None),
        Some(len) => {
            let query = start + len + 1;
            (Span::new(start, len), Some(Span::new(query, end - query)))
        }
    }
}

/// One valid `Host` (RFC 9112 §3.2), which an absolute target must agree with.
fn read_host(
    buf: &[u8],
    head: &mut RequestHead,
    field: Option<Span>,
    target: Option<Span>,
) -> Result<(), Reason> {
    let Some(authority) = field.or(target) else {
        (head.authority, head.host) = (Span::default(), Span::default());
        let allowed = head.version == Version::Http10;
        return if allowed {
            Ok(())
        } else {
            Err(Reason::MissingHost)
        };
    };
    if field.is_none() && head.version == Version::Http11 {
        return Err(Reason::MissingHost);
    }
    if let Some(target) = target
        && !target.of(buf).eq_ignore_ascii_case(authority.of(buf))
    {
        return Err(Reason::HostMismatch);
    }
    let len = host::host_len(authority.of(buf)).ok_or(Reason::BadHost)?;
    head.authority = authority;
    head.host = Span::new(authority.start as usize, len);
    Ok(())
}

/// Whether one of the protocols would carry further requests past routes and rules: HTTP/2 in clear text, HTTP in
/// TLS. Such an offer is left out, which a server may always take for none (RFC 9110 §7.8).
fn leads_around_us(protocols: &[u8]) -> bool {
    let begins = |token: &[u8], name: &[u8]| {
        token
            .get(..name.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(name))
    };
    tokens(protocols).any(|t| {
        [&b"h2"[..], b"http/", b"tls/"]
            .iter()
            .any(|name| begins(t, name))
    })
}

/// RFC 9110 §10.1.1: HTTP/1.0 expectations are ignored; there is only one other.
fn read_expectation(buf: &[u8], field: Option<Span>, version: Version) -> Result<bool, Reason> {
    match field {
        None => Ok(false),
        Some(_) if version == Version::Http10 => Ok(false),
        Some(value) if value.of(buf).eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Reason::UnknownExpectation),
    }
}
