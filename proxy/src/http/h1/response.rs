//! Response heads of backends, as strict as requests: a backend that confuses us confuses clients.

use std::mem::MaybeUninit;

use super::fields::{ConnectionOptions, Field, Span, Version, collect};
use super::framing::{self, Framing};
use super::limits::{Limits, MAX_FIELDS};
use super::reject::{Reason, Reject};
use super::search::{Bounds, Found, Search, Section};
use super::syntax;

/// What must be known of the request to frame its response.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// It was HEAD: there is no body, whatever the head says.
    pub head: bool,
    /// It offered to switch protocols: 101 is an answer.
    pub upgrade: bool,
}

/// A response head, understood. Spans count from the start of the buffer given to the parser.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase as sent; may be empty.
    pub reason: Span,
    /// Version of the response.
    pub version: Version,
    /// Header fields in the order sent.
    pub fields: Vec<Field>,
    /// How long the body is.
    pub framing: Framing,
    /// The declared `Content-Length`, also where there is no body (HEAD, 304).
    pub content_length: Option<u64>,
    /// The options of `Connection`.
    pub connection: ConnectionOptions,
    /// Protocol switched to; only with 101.
    pub upgrade: Option<Span>,
    /// Whether the backend keeps the connection for another request.
    pub keep_alive: bool,
    /// Bytes up to the end of the head.
    pub len: usize,
}

impl ResponseHead {
    /// Whether another response follows to the same request (RFC 9110 §15.2); 101 is the last.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Parses one response head, resuming as bytes arrive. `Default` begins a new one.
#[derive(Debug, Default)]
pub struct ResponseParser {
    search: Search,
}

impl ResponseParser {
    /// Parses the head at the start of `buf`, which must extend what earlier calls for the same
    /// head were given. `Ok(false)`: more bytes are needed. `Ok(true)`: `head` is filled.
    ///
    /// # Errors
    /// The head breaks RFC 9112 or `limits`; the connection cannot be used any further.
    pub fn parse(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        asked: Asked,
        head: &mut ResponseHead,
    ) -> Result<bool, Reject> {
        self.parse_inner(buf, limits, asked, head)
            .map_err(Reject::backend)
    }

    fn parse_inner(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        asked: Asked,
        head: &mut ResponseHead,
    ) -> Result<bool, Reason> {
        if !buf.iter().zip(b"HTTP/").all(|(a, b)| a == b) {
            return Err(Reason::BadStartLine);
        }
        let bounds = Bounds {
            first_line: limits.head,
            total: limits.head,
            too_large: Reason::HeadTooLarge,
        };
        let Some(found) = self.search.find(buf, Section::Response, bounds)? else {
            return Ok(false);
        };
        self.search = Search::default();
        fill(buf, found, limits, asked, head)?;
        Ok(true)
    }
}

fn fill(
    buf: &[u8],
    found: Found,
    limits: &Limits,
    asked: Asked,
    head: &mut ResponseHead,
) -> Result<(), Reason> {
    let text = &buf[found.start..found.end];
    let mut scratch = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let allowed = limits.fields.min(MAX_FIELDS);
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, text, &mut scratch[..allowed]) {
        Ok(httparse::Status::Complete(n)) if n == text.len() => {}
        Ok(_) => return Err(Reason::BadStartLine),
        Err(error) => return Err(syntax::diagnose(error, text)),
    }
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Reason::BadStartLine);
    };
    if status < 100 {
        return Err(Reason::BadStatus);
    }
    head.len = found.end;
    head.status = status;
    head.reason = Span::within(buf, parsed.reason.unwrap_or_default().as_bytes(), 0);
    head.version = if version == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    let facts = collect(buf, parsed.headers, &mut head.fields)?;
    head.connection = facts.connection;
    head.content_length = framing::declared_length(buf, &facts)?;
    let declared = framing::of_response(buf, &facts, head.version)?;
    let bodyless = asked.head || status < 200 || status == 204 || status == 304;
    head.framing = if bodyless { Framing::None } else { declared };
    // A body where none may be would be read as the next response: give the connection up.
    let suspicious = (status < 200 || status == 204)
        && (facts.transfer_encoding.is_some() || head.content_length.is_some_and(|n| n > 0));
    head.keep_alive = !suspicious && keeps_alive(head);
    head.upgrade = None;
    if status == 101 {
        if !asked.upgrade || facts.upgrade.is_none() || head.version == Version::Http10 {
            return Err(Reason::UnwantedUpgrade);
        }
        head.upgrade = facts.upgrade;
    }
    Ok(())
}

fn keeps_alive(head: &ResponseHead) -> bool {
    let asked = match head.version {
        Version::Http11 => !head.connection.close,
        Version::Http10 => head.connection.keep_alive && !head.connection.close,
    };
    asked && head.framing != Framing::UntilClose
}
