//! The codec against itself: feeding, round trips, arbitrary bytes; and responses.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::hostile::read;
use super::*;

fn response(bytes: &[u8], asked: Asked) -> Result<ResponseHead, Reject> {
    let mut head = ResponseHead::default();
    let done = ResponseParser::default().parse(bytes, &Limits::DEFAULT, asked, &mut head)?;
    assert!(done, "incomplete");
    Ok(head)
}

fn rewritten(bytes: &[u8], edit: RequestEdit<'_>) -> String {
    let mut head = RequestHead::default();
    assert!(
        RequestParser::default()
            .parse(bytes, &Limits::DEFAULT, &mut head)
            .unwrap()
    );
    let mut out = Vec::new();
    write_request(&mut out, bytes, &head, edit, |_| false, |_| {});
    String::from_utf8(out).unwrap()
}

#[test]
fn hop_by_hop_fields_end_here() {
    let sent =
        b"GET http://A.example/x?y HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Mine\r\n\
        X-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers, deflate\r\n\
        Upgrade: h2c\r\nAccept:  */*  \r\nB: c\r\n\r\n";
    assert_eq!(
        rewritten(sent, RequestEdit::default()),
        "GET /x?y HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nB: c\r\nte: trailers\r\nconnection: te\r\n\r\n"
    );
}

#[test]
fn expectations_of_http_1_0_end_here() {
    for expectation in ["100-continue", "something-else"] {
        let sent = format!("POST / HTTP/1.0\r\nHost: a\r\nExpect: {expectation}\r\n\r\n");
        let want = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(rewritten(sent.as_bytes(), RequestEdit::default()), want);
    }
}

#[test]
fn tunnels_keep_their_upgrade() {
    let sent = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let edit = RequestEdit {
        upgrade: true,
        ..RequestEdit::default()
    };
    let want = "GET / HTTP/1.1\r\nHost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(rewritten(sent, edit), want);
    let want = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(rewritten(sent, RequestEdit::default()), want);
}

#[test]
fn upgrades_that_would_lead_around_us_are_left_out() {
    let edit = RequestEdit {
        upgrade: true,
        ..RequestEdit::default()
    };
    for protocol in ["h2c", "websocket, H2C", "HTTP/2.0", "TLS/1.2"] {
        let sent = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        );
        let want = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(rewritten(sent.as_bytes(), edit), want, "{protocol}");
    }
    let body = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n";
    assert!(!rewritten(body, edit).contains("upgrade"));
}

#[test]
fn target_and_host_are_replaced() {
    let sent = b"POST /a?b HTTP/1.1\r\nX: y\r\nHost: a\r\nContent-Length: 007\r\n\r\n";
    let edit = RequestEdit {
        target: Some(b"/z"),
        host: Some(b"h:1"),
        upgrade: false,
    };
    let want = "POST /z HTTP/1.1\r\nhost: h:1\r\nX: y\r\ncontent-length: 7\r\n\r\n";
    assert_eq!(rewritten(sent, edit), want);
    let old = b"GET / HTTP/1.0\r\n\r\n";
    assert_eq!(
        rewritten(old, RequestEdit::default()),
        "GET / HTTP/1.1\r\nhost: \r\n\r\n"
    );
    let whole = b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(
        rewritten(whole, RequestEdit::default()),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    let query = b"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(
        rewritten(query, RequestEdit::default()),
        "GET /?b HTTP/1.1\r\nHost: a\r\n\r\n"
    );
}

#[test]
fn keep_alive_by_version_and_option() {
    let cases: [(&[u8], bool); 6] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            false,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: x, CLOSE\r\n\r\n",
            false,
        ),
        (b"GET / HTTP/1.0\r\n\r\n", false),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        (
            b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            false,
        ),
    ];
    for (bytes, want) in cases {
        let (head, _) = read(bytes, 1).unwrap().unwrap();
        assert_eq!(head.keep_alive(), want, "{}", bytes.escape_ascii());
    }
}

#[test]
fn response_framing() {
    let get = Asked::default();
    let head = Asked { head: true, ..get };
    let ws = Asked {
        upgrade: true,
        ..get
    };
    let cases: [(&[u8], Asked, Framing, bool); 12] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            get,
            Framing::Length(3),
            true,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            head,
            Framing::None,
            true,
        ),
        (
            b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            get,
            Framing::None,
            true,
        ),
        (
            b"HTTP/1.1 200 \xe4\r\nTransfer-Encoding: chunked\r\n\r\n",
            get,
            Framing::Chunked,
            true,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n", get, Framing::UntilClose, false),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
            get,
            Framing::Length(3),
            false,
        ),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n",
            get,
            Framing::Length(3),
            true,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", get, Framing::None, true),
        (
            b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
            get,
            Framing::None,
            false,
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
            get,
            Framing::None,
            true,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n", get, Framing::None, true),
        (
            b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            ws,
            Framing::None,
            true,
        ),
    ];
    for (bytes, asked, framing, keep) in cases {
        let got = response(bytes, asked).unwrap();
        assert_eq!(
            (got.framing, got.keep_alive),
            (framing, keep),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn bad_responses_are_the_backends_fault() {
    let cases: [&[u8]; 16] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for bytes in cases {
        let reject = response(bytes, Asked::default()).unwrap_err();
        assert_eq!(
            (reject.status(), reject.side),
            (502, Side::Backend),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn responses_are_written_for_their_client() {
    let buf = b"HTTP/1.0 200 Fine\r\nServer: s\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\n\r\n";
    let head = response(buf, Asked::default()).unwrap();
    let write = |framing, word| {
        let mut out = Vec::new();
        write_response(
            &mut out,
            buf,
            &head,
            framing,
            word,
            |_| false,
            |out| write_line(out, b"a", b"b"),
        );
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        write(Framing::Chunked, ConnectionWord::None),
        "HTTP/1.1 200 Fine\r\nServer: s\r\ntransfer-encoding: chunked\r\na: b\r\n\r\n"
    );
    assert_eq!(
        write(Framing::UntilClose, ConnectionWord::Close),
        "HTTP/1.1 200 Fine\r\nServer: s\r\nconnection: close\r\na: b\r\n\r\n"
    );
}

#[test]
fn trailers_are_passed_on_unless_they_could_mean_something_else() {
    let mut body = Body::new(Framing::Chunked);
    let input = b"0;ext\r\nX-Sum: 1\r\nContent-Length: 9\r\nSet-Cookie: a\r\n\r\nNEXT";
    let Piece::End { consumed, trailers } = body.decode(input).unwrap() else {
        panic!("no end")
    };
    assert_eq!(&input[consumed..], b"NEXT");
    let mut out = Vec::new();
    write_last_chunk(&mut out, &input[trailers]);
    assert_eq!(out, b"0\r\nX-Sum: 1\r\n\r\n");
}

#[test]
fn closing_ends_only_what_it_may() {
    assert_eq!(Body::new(Framing::UntilClose).closed(), Ok(()));
    assert_eq!(
        Body::new(Framing::Length(1)).closed(),
        Err(Reason::Truncated)
    );
    assert_eq!(Body::new(Framing::Chunked).closed(), Err(Reason::Truncated));
}

prop_compose! {
    fn request()(
        method in "[A-Z]{1,10}".prop_filter("connect", |m| m != "CONNECT" && m != "TRACE"),
        path in "/[a-z0-9/%=&.]{0,20}(\\?[a-z=&]{0,10})?",
        headers in prop::collection::vec(("[a-z][a-z0-9-]{3,8}x", "[ -~]{0,12}"), 0..8),
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        chunk in 0usize..50,
    ) -> (Vec<u8>, String, Vec<u8>) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: a.example:80\r\n");
        for (name, value) in headers {
            text += &format!("{name}:{value}\r\n");
        }
        let data = body.clone().unwrap_or_default();
        let mut bytes = text.into_bytes();
        match (body, chunk) {
            (None, _) => bytes.extend_from_slice(b"\r\n"),
            (Some(_), 0) => {
                write_length(&mut bytes, data.len() as u64);
                bytes.extend_from_slice(b"\r\n");
                bytes.extend_from_slice(&data);
            }
            (Some(_), chunk) => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                data.chunks(chunk).for_each(|part| write_chunk(&mut bytes, part));
                write_last_chunk(&mut bytes, b"");
            }
        }
        (bytes, path, data)
    }
}

fn describe(result: &Result<Option<(RequestHead, Vec<u8>)>, Reject>) -> String {
    format!("{result:?}")
}

proptest! {
    #[test]
    fn a_request_survives_being_passed_on((bytes, path, data) in request()) {
        let (head, got) = read(&bytes, bytes.len()).unwrap().unwrap();
        prop_assert_eq!(&got, &data);
        let mut out = Vec::new();
        write_request(&mut out, &bytes, &head, RequestEdit::default(), |_| false, |_| {});
        out.extend_from_slice(&bytes[head.len..]);
        let (again, got) = read(&out, out.len()).unwrap().unwrap();
        prop_assert_eq!(&got, &data);
        prop_assert_eq!(again.target.of(&out), path.as_bytes());
        prop_assert_eq!(again.framing, head.framing);
        let fields = |head: &RequestHead, buf: &[u8]| head.fields.iter().filter(|f| !f.hop)
            .map(|f| (f.name.of(buf).to_vec(), f.value.of(buf).to_vec())).collect::<Vec<_>>();
        prop_assert_eq!(fields(&head, &bytes), fields(&again, &out));
        // What was written once is written the same again: nothing drifts from hop to hop.
        let mut twice = Vec::new();
        write_request(&mut twice, &out, &again, RequestEdit::default(), |_| false, |_| {});
        prop_assert_eq!(&twice[..], &out[..again.len]);
    }

    #[test]
    fn steps_do_not_matter((bytes, _, _) in request(), step in 1usize..20) {
        prop_assert_eq!(describe(&read(&bytes, step)), describe(&read(&bytes, bytes.len())));
    }

    #[test]
    fn steps_do_not_matter_for_damaged_requests(
        (mut bytes, _, _) in request(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        step in 1usize..20,
    ) {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(describe(&read(&bytes, step)), describe(&read(&bytes, bytes.len())));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, bytes.len().max(1));
        let mut head = ResponseHead::default();
        let _ = ResponseParser::default().parse(&bytes, &Limits::DEFAULT, Asked::default(), &mut head);
        let mut body = Body::new(Framing::Chunked);
        let mut at = 0;
        while let Ok(Piece::Data(range)) = body.decode(&bytes[at..]) {
            at += range.end;
        }
    }

    #[test]
    fn chunk_sizes_read_back(len in 1usize..1_000_000_000) {
        let mut out = Vec::new();
        write_chunk_size(&mut out, len);
        let text = std::str::from_utf8(&out).unwrap().trim_end();
        prop_assert_eq!(usize::from_str_radix(text, 16).unwrap(), len);
    }
}
