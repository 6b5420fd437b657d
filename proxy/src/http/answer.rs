//! Answers of our own: error pages, redirects, fixed responses.

use std::io::Write;

use super::{
    failure::Failure,
    h1::{write_length, write_line, write_status_line},
};

/// What is common to all answers of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// It was HEAD: the body is left out.
    pub(crate) head: bool,
    /// The connection ends after it.
    pub(crate) close: bool,
    /// The client is of HTTP/1.0 and must be told that the connection stays.
    pub(crate) say_keep_alive: bool,
}

/// Appends an error page: the status, and whose fault it was. Nothing of the request is echoed.
pub(crate) fn error_page(out: &mut Vec<u8>, status: u16, failure: &Failure, manner: Manner) {
    let body = format!(
        "{status} {}\nfault: {}\nreason: {}\n",
        phrase(status),
        failure.fault.side,
        failure.detail
    );
    write(
        out,
        status,
        manner,
        "text/plain; charset=utf-8",
        body.as_bytes(),
        |out| {
            out.extend_from_slice(b"cache-control: no-store\r\n");
            if status == 405 {
                // RFC 9110 §15.5.6 wants the methods named; which a backend takes is not known here.
                out.extend_from_slice(b"allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
            }
        },
    );
}

/// Appends a whole response with its body; `extra` appends further lines.
pub(crate) fn write(
    out: &mut Vec<u8>,
    status: u16,
    manner: Manner,
    content_type: &str,
    body: &[u8],
    extra: impl FnOnce(&mut Vec<u8>),
) {
    write_status_line(out, status, phrase(status).as_bytes());
    if status != 204 && status != 304 {
        if !content_type.is_empty() {
            write_line(out, b"content-type", content_type.as_bytes());
        }
        write_length(out, body.len() as u64);
    }
    extra(out);
    if manner.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if manner.say_keep_alive {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !manner.head && status != 204 && status != 304 {
        // Writing to a vector cannot fail.
        let _ = out.write_all(body);
    }
}

/// The usual words for a status (RFC 9110 §15); none for those without.
pub(crate) const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_error_page_names_the_side_at_fault() {
        let mut out = Vec::new();
        let manner = Manner {
            head: false,
            close: true,
            say_keep_alive: false,
        };
        error_page(&mut out, 504, &Failure::RESPONSE_TIMEOUT, manner);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nconnection: close"), "{head}");
        assert!(
            head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(body.contains("fault: backend\n"), "{body}");
    }

    #[test]
    fn head_and_bodyless_statuses_have_no_body() {
        for (status, head) in [(200, true), (204, false), (304, false)] {
            let mut out = Vec::new();
            let manner = Manner {
                head,
                close: false,
                say_keep_alive: false,
            };
            write(&mut out, status, manner, "text/plain", b"hello", |_| {});
            assert!(out.ends_with(b"\r\n\r\n"), "{status}");
        }
    }
}
