//! Request heads: in pieces or at once, the same; what is forwarded is understood as what came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::http::h1::{Limits, RequestEdit, RequestHead, RequestParser, write_request};

fuzz_target!(|input: &[u8]| {
    let (pieces, data) = fuzz::pieces(input);
    let limits = Limits::DEFAULT;
    let mut head = RequestHead::default();
    let at_once = RequestParser::default().parse(data, &limits, &mut head);

    let mut in_pieces = Ok(false);
    let mut parser = RequestParser::default();
    let mut other = RequestHead::default();
    for len in pieces {
        in_pieces = parser.parse(&data[..len], &limits, &mut other);
        if !matches!(in_pieces, Ok(false)) {
            break;
        }
    }
    assert_eq!(
        at_once.is_err(),
        in_pieces.is_err(),
        "{at_once:?} {in_pieces:?}"
    );
    let Ok(true) = at_once else {
        return;
    };
    assert!(matches!(in_pieces, Ok(true)));
    assert_eq!((head.len, head.framing), (other.len, other.framing));
    forwarded_means_the_same(data, &head);
});

fn forwarded_means_the_same(data: &[u8], head: &RequestHead) {
    let mut out = Vec::new();
    // An old client may leave the host open; it is forwarded empty, which a client may not send.
    let host = (head.authority.len == 0).then_some(&b"fuzz.example"[..]);
    let edit = RequestEdit {
        host,
        ..RequestEdit::default()
    };
    write_request(&mut out, data, head, edit, |_| false, |_| {});
    let mut again = RequestHead::default();
    let roomy = Limits {
        head: usize::MAX / 2,
        target: usize::MAX / 4,
        ..Limits::DEFAULT
    };
    let parsed = RequestParser::default().parse(&out, &roomy, &mut again);
    let shown = String::from_utf8_lossy(&out);
    assert!(matches!(parsed, Ok(true)), "{parsed:?}: {shown}");
    // Nothing is left over that could be taken for another request.
    assert_eq!(again.len, out.len(), "{shown}");
    assert_eq!(again.framing, head.framing, "{shown}");
    assert_eq!(
        again.method_name.of(&out),
        head.method_name.of(data),
        "{shown}"
    );
    assert_eq!(
        again.host.of(&out),
        host.unwrap_or(head.host.of(data)),
        "{shown}"
    );
    assert_eq!(again.asterisk, head.asterisk, "{shown}");
    assert_eq!(
        again.query.map(|q| q.of(&out).to_vec()),
        head.query.map(|q| q.of(data).to_vec()),
        "{shown}"
    );
    let end_to_end = |buf: &[u8], head: &RequestHead| -> Vec<(Vec<u8>, Vec<u8>)> {
        let fields = head.fields.iter().filter(|field| !field.hop);
        let pair = |f: &proxy::http::h1::Field| {
            (
                f.name.of(buf).to_ascii_lowercase(),
                f.value.of(buf).to_vec(),
            )
        };
        fields
            .map(pair)
            .filter(|(name, _)| name != b"host" && name != b"content-length")
            .collect()
    };
    assert_eq!(end_to_end(&out, &again), end_to_end(data, head), "{shown}");
}
