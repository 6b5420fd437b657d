//! Response heads: in pieces or at once, the same; what goes to the client is understood as what came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::http::h1::{
    Asked, ConnectionWord, Framing, Limits, ResponseHead, ResponseParser, write_response,
};

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    let asked = Asked {
        head: kind & 1 != 0,
        upgrade: kind & 2 != 0,
    };
    let (pieces, data) = fuzz::pieces(input);
    let limits = Limits::DEFAULT;
    let mut head = ResponseHead::default();
    let at_once = ResponseParser::default().parse(data, &limits, asked, &mut head);

    let mut in_pieces = Ok(false);
    let mut parser = ResponseParser::default();
    let mut other = ResponseHead::default();
    for len in pieces {
        in_pieces = parser.parse(&data[..len], &limits, asked, &mut other);
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
    assert_eq!(
        (head.len, head.status, head.framing),
        (other.len, other.status, other.framing)
    );
    if head.status != 101 {
        written_means_the_same(data, &head, asked);
    }
});

fn written_means_the_same(data: &[u8], head: &ResponseHead, asked: Asked) {
    let mut out = Vec::new();
    let (word, framing) = (ConnectionWord::None, head.framing);
    write_response(&mut out, data, head, framing, word, |_| false, |_| {});
    let mut again = ResponseHead::default();
    let roomy = Limits {
        head: usize::MAX / 2,
        ..Limits::DEFAULT
    };
    let parsed = ResponseParser::default().parse(&out, &roomy, asked, &mut again);
    let shown = String::from_utf8_lossy(&out);
    assert!(matches!(parsed, Ok(true)), "{parsed:?}: {shown}");
    assert_eq!(again.len, out.len(), "{shown}");
    assert_eq!(again.status, head.status, "{shown}");
    // A response without a body says so, or is one that never has any.
    let same =
        again.framing == framing || (framing == Framing::None && again.framing == Framing::None);
    assert!(same, "{:?} became {:?}: {shown}", framing, again.framing);
}
