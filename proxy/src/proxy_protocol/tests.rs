//! Tables of good and hostile headers.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn forwarded(source: &str, destination: &str) -> Header {
    Header::Forwarded {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn v2(command: u8, family: u8, length: u16, body: &[u8]) -> Vec<u8> {
    let fixed = [
        SIGNATURE.as_slice(),
        &[command, family],
        &length.to_be_bytes(),
    ];
    [fixed.concat(), body.to_vec()].concat()
}

const BODY4: [u8; 12] = [10, 0, 0, 1, 192, 0, 2, 1, 0x1F, 0x90, 0, 80];

fn good() -> Vec<(Vec<u8>, Header)> {
    let v4 = forwarded("10.0.0.1:8080", "192.0.2.1:80");
    let mut body6 = [0; 36];
    (body6[15], body6[31], body6[33], body6[35]) = (1, 2, 3, 4);
    let with_tlvs = [&BODY4[..], &[0x01, 0, 2, b'h', b'2'], &[0; 300]].concat();
    vec![
        (b"PROXY TCP4 10.0.0.1 192.0.2.1 8080 80\r\n".to_vec(), v4),
        (
            b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(),
            forwarded("[2001:db8::1]:65535", "[::1]:0"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::Local),
        (
            b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n".to_vec(),
            Header::Local,
        ),
        (v2(0x21, 0x11, 12, &BODY4), v4),
        (v2(0x21, 0x12, 12, &BODY4), v4),
        (v2(0x21, 0x11, 317, &with_tlvs), v4),
        (v2(0x21, 0x21, 36, &body6), forwarded("[::1]:3", "[::2]:4")),
        (v2(0x20, 0x00, 0, &[]), Header::Local),
        (v2(0x20, 0x11, 12, &BODY4), Header::Local),
        (v2(0x20, 0xFF, 3, &[1, 2, 3]), Header::Local),
        (v2(0x21, 0x00, 5, &[0; 5]), Header::Local),
        (v2(0x21, 0x31, 216, &[b'a'; 216]), Header::Local),
    ]
}

#[test]
fn good_headers_are_taken_however_they_are_cut() {
    for (bytes, header) in good() {
        let more = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(
            parse(&more),
            Ok(Parsed::Complete(header, bytes.len())),
            "{bytes:?}"
        );
        for cut in 0..bytes.len() {
            assert_eq!(
                parse(&bytes[..cut]),
                Ok(Parsed::Partial),
                "{bytes:?} up to {cut}"
            );
        }
    }
}

#[test]
fn hostile_headers_are_refused() {
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 100]].concat();
    let lines: [(&[u8], Invalid); 17] = [
        (b"GET / HTTP/1.1\r\n", Invalid::Signature),
        (b"proxy TCP4 10.0.0.1 10.0.0.2 1 2\r\n", Invalid::Signature),
        (b"\r\n\r\n\0\r\nQUIT\r", Invalid::Signature),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n", Invalid::Line),
        (b"PROXY  TCP4 10.0.0.1 10.0.0.2 1 2\r\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 \r\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 +1 2\r\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n", Invalid::Line),
        (b"PROXY TCP4 10.0.0.256 10.0.0.2 1 2\r\n", Invalid::Line),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", Invalid::Line),
        (b"PROXY TCP6 10.0.0.1 10.0.0.2 1 2\r\n", Invalid::Line),
        (b"PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n", Invalid::Line),
        (b"PROXY \xff\r\n", Invalid::Line),
        (&long, Invalid::Line),
    ];
    for (bytes, invalid) in lines {
        assert_eq!(parse(bytes), Err(invalid), "{}", bytes.escape_ascii());
    }
    let blocks = [
        (v2(0x11, 0x11, 12, &BODY4), Invalid::Command),
        (v2(0x22, 0x11, 12, &BODY4), Invalid::Command),
        (v2(0x00, 0x00, 0, &[]), Invalid::Command),
        (v2(0x21, 0x13, 12, &BODY4), Invalid::Family),
        (v2(0x21, 0x41, 12, &BODY4), Invalid::Family),
        (v2(0x21, 0x01, 12, &BODY4), Invalid::Family),
        (v2(0x21, 0x11, 11, &BODY4), Invalid::Length),
        (v2(0x21, 0x21, 35, &[0; 35]), Invalid::Length),
        (v2(0x21, 0x31, 215, &[0; 215]), Invalid::Length),
        (v2(0x21, 0x11, 4081, &BODY4), Invalid::Length),
        (v2(0x20, 0x00, u16::MAX, &[]), Invalid::Length),
    ];
    for (bytes, invalid) in blocks {
        assert_eq!(parse(&bytes), Err(invalid), "{bytes:02x?}");
    }
}

#[test]
fn what_is_sent_is_what_is_understood() {
    let cases = [
        ("10.0.0.1:1", "10.0.0.2:2"),
        ("[2001:db8::1]:65535", "[::1]:1"),
        ("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:2"),
        ("10.0.0.1:1", "[2001:db8::1]:2"),
    ];
    for (source, destination) in cases {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            let (source, destination): (SocketAddr, SocketAddr) =
                (source.parse().unwrap(), destination.parse().unwrap());
            let mut out = Vec::new();
            encode(&mut out, version, source, destination);
            let Ok(Parsed::Complete(
                Header::Forwarded {
                    source: s,
                    destination: d,
                },
                length,
            )) = parse(&out)
            else {
                panic!("{version:?} {source}: {}", out.escape_ascii());
            };
            assert_eq!(length, out.len());
            assert_eq!((s.port(), d.port()), (source.port(), destination.port()));
            assert_eq!(s.ip().to_canonical(), source.ip().to_canonical());
            assert_eq!(d.ip().to_canonical(), destination.ip().to_canonical());
        }
    }
}
