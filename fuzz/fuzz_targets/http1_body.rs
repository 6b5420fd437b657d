//! Chunked bodies: in pieces or at once, the same data; written anew, the same data again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::http::h1::{Body, Framing, Piece, write_chunk, write_last_chunk};

fuzz_target!(|input: &[u8]| {
    let (pieces, data) = fuzz::pieces(input);
    let at_once = decode(std::iter::once(data.len()), data);
    let in_pieces = decode(pieces, data);
    match (&at_once, &in_pieces) {
        (
            End::Over { body, consumed },
            End::Over {
                body: other,
                consumed: also,
            },
        ) => {
            assert_eq!((body, consumed), (other, also));
            written_decodes_to_the_same(body);
        }
        (End::Open, End::Open) | (End::Broken, End::Broken) => {}
        _ => panic!("at once {at_once:?}, in pieces {in_pieces:?}"),
    }
});

#[derive(Debug, PartialEq)]
enum End {
    Over { body: Vec<u8>, consumed: usize },
    Open,
    Broken,
}

/// Decodes `data`, of which first so many bytes are there, then so many.
fn decode(lengths: impl Iterator<Item = usize>, data: &[u8]) -> End {
    let mut decoder = Body::new(Framing::Chunked);
    let mut body = Vec::new();
    let mut at = 0;
    for len in lengths {
        loop {
            match decoder.decode(&data[at..len]) {
                Ok(Piece::Data(range)) => {
                    assert!(!range.is_empty() || at == len, "no progress");
                    body.extend_from_slice(&data[at..len][range.clone()]);
                    at += range.end;
                }
                Ok(Piece::More(consumed)) => {
                    at += consumed;
                    break;
                }
                Ok(Piece::End { consumed, trailers }) => {
                    assert!(trailers.end <= consumed);
                    return End::Over {
                        body,
                        consumed: at + consumed,
                    };
                }
                Err(_) => return End::Broken,
            }
        }
    }
    End::Open
}

fn written_decodes_to_the_same(body: &[u8]) {
    let mut out = Vec::new();
    for chunk in body.chunks(7) {
        write_chunk(&mut out, chunk);
    }
    write_last_chunk(&mut out, b"");
    let expected = End::Over {
        body: body.to_vec(),
        consumed: out.len(),
    };
    assert_eq!(decode(std::iter::once(out.len()), &out), expected);
}
