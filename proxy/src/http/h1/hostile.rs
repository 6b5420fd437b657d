//! Requests meant to confuse, with the status each is answered. One line, one attack.

use super::{Body, Limits, Piece, Reject, RequestHead, RequestParser};

/// 0: understood and passed on. Anything else: refused with that status.
const OK: u16 = 0;

const TABLE: &[(&str, &[u8], u16)] = &[
    // Two lengths
    ("CL and TE", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("TE and CL", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    ("CL twice, different", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    ("CL twice, same", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("CL list, same", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
    ("CL list, different", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello", 400),
    ("CL with plus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
    ("CL negative", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", 400),
    ("CL hexadecimal", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 400),
    ("CL empty", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello", 400),
    ("CL with inner space", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nhello", 400),
    ("CL overflows", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nhello", 400),
    ("CL wraps in 64 bits", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello", 400),
    ("CL in other case, twice", b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nCONTENT-LENGTH: 5\r\n\r\nhello", 400),
    ("CL of zeros", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n", OK),
    // Transfer codings
    ("TE unknown", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ("TE identity", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ("TE not final", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    ("TE stacked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("TE chunked twice in a list", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("TE chunked twice in fields", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("TE chunked then identity", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    ("TE prefixed", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("TE quoted", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("TE with parameter", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;x=1\r\n\r\n0\r\n\r\n", 400),
    ("TE with vertical tab", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("TE with trailing comma", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", 501),
    ("TE empty", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400),
    ("TE in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("TE with space before colon", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("TE with tab after colon", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", OK),
    ("TE in capitals", b"POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n", OK),
    ("TE with underscore is another header", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n", OK),
    ("Connection lists Content-Length", b"POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello", OK),
    // Lines
    ("bare LF after request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("bare LF after header", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("bare LF as the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("bare LF only", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare CR in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n", 400),
    ("bare CR after request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    ("CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    ("folded header", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    ("folded header with tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", 400),
    ("first header folded", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("folded TE", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    ("space before colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("tab before colon", b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400),
    ("header without colon", b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400),
    ("empty header name", b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400),
    ("NUL in name", b"GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n", 400),
    ("NUL in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n", 400),
    ("DEL in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n", 400),
    ("escape in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[2J\r\n\r\n", 400),
    ("non-ASCII name", b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: y\r\n\r\n", 400),
    ("one empty line first", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("two empty lines first", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("bare LF first", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space first", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ("NUL first", b"\0GET / HTTP/1.1\r\n\r\n", 400),
    // Hosts
    ("no Host", b"GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
    ("no Host in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", OK),
    ("Host twice", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("Host twice in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("Host empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("Host with path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("Host with user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("Host with list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("Host with bad port", b"GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400),
    ("Host with huge port", b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
    ("Host with broken literal", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("Connection lists Host", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", OK),
    // Targets
    ("absolute target agrees", b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("absolute target disagrees", b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("absolute target without Host", b"GET http://a/x HTTP/1.1\r\n\r\n", 400),
    ("absolute target with user", b"GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("absolute target of another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("absolute target without authority", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("relative target", b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("fragment", b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("raw bytes in target", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("bytes not UTF-8 in target", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("NUL in target", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("tab in request line", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("two spaces in request line", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space in target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("asterisk with GET", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("asterisk with OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    // Methods and versions
    ("method with brackets", b"G[]T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("method too long", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("unknown method", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("TRACE with body", b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("HTTP/0.9 by name", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("version too long", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    ("version with space after", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("other protocol", b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    ("unknown expectation", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 417),
    // Chunks
    ("chunk size not hexadecimal", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n", 400),
    ("chunk size empty", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", 400),
    ("chunk size with 0x", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
    ("chunk size with plus", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", 400),
    ("chunk size overflows", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", 400),
    ("chunk size with space", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 400),
    ("chunk size ended by LF", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 400),
    ("chunk size ended by CR CR", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\rhello\r\n0\r\n\r\n", 400),
    ("chunk extension hides LF", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    ("chunk extension is dropped", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n", OK),
    ("chunk data too long", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", 400),
    ("chunk data ended by LF", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", 400),
    ("trailer without colon", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n", 400),
    ("trailer ended by LF", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400),
    ("trailer folded", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", 400),
];

/// Parses a request with its body; `step` bytes more are shown to the codec at a time.
pub(super) fn read(bytes: &[u8], step: usize) -> Result<Option<(RequestHead, Vec<u8>)>, Reject> {
    let (mut parser, mut head) = (RequestParser::default(), RequestHead::default());
    let mut seen = 0;
    loop {
        if parser.parse(&bytes[..seen], &Limits::DEFAULT, &mut head)? {
            break;
        }
        if seen == bytes.len() {
            return Ok(None);
        }
        seen = (seen + step).min(bytes.len());
    }
    let (mut body, mut data, mut at) = (Body::new(head.framing), Vec::new(), head.len);
    loop {
        match body.decode(&bytes[at..seen]).map_err(Reject::client)? {
            Piece::Data(range) => {
                data.extend_from_slice(&bytes[at..][range.clone()]);
                at += range.end;
            }
            Piece::End { .. } => return Ok(Some((head, data))),
            Piece::More(_) if seen == bytes.len() => return Ok(None),
            Piece::More(n) => {
                at += n;
                seen = (seen + step).min(bytes.len());
            }
        }
    }
}

fn status(bytes: &[u8], step: usize) -> u16 {
    match read(bytes, step) {
        Ok(Some(_)) => OK,
        Ok(None) => u16::MAX,
        Err(reject) => reject.status(),
    }
}

#[test]
fn every_hostile_request_gets_its_status() {
    assert!(TABLE.len() >= 60);
    for (name, bytes, want) in TABLE {
        assert_eq!(status(bytes, bytes.len()), *want, "{name}, whole");
        assert_eq!(status(bytes, 1), *want, "{name}, byte by byte");
    }
}

#[test]
fn oversized_heads() {
    let long = |n: usize| "a".repeat(n);
    let cases = [
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(8_000)),
            OK,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(8_192)),
            414,
        ),
        (format!("GET /{}", long(20_000)), 414),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(16_000)),
            OK,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(16_384)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", long(20_000)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99)),
            OK,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: y\r\n".repeat(100)
            ),
            431,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;{}\r\n",
                long(300)
            ),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: {}\r\n",
                long(9_000)
            ),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                format!("1;{}\r\na\r\n", long(200)).repeat(100)
            ),
            400,
        ),
    ];
    for (text, want) in cases {
        assert_eq!(status(text.as_bytes(), text.len()), want, "{:.60}", text);
        assert_eq!(status(text.as_bytes(), 7), want, "{:.60}", text);
    }
}
