//! PROXY headers: every prefix of one may still become one, and what is written is read back.
#![no_main]

use control::spec::pool::ProxyProtocol;
use libfuzzer_sys::fuzz_target;
use proxy::proxy_protocol::{Header, Parsed, encode, parse};
use std::net::SocketAddr;

fuzz_target!(|data: &[u8]| {
    let Ok(Parsed::Complete(header, len)) = parse(data) else {
        return;
    };
    assert!(len <= data.len());
    for end in 0..len {
        assert_eq!(parse(&data[..end]), Ok(Parsed::Partial), "{end} of {len}");
    }
    if let Header::Forwarded {
        source,
        destination,
    } = header
    {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            round(version, source, destination);
        }
    }
});

fn round(version: ProxyProtocol, source: SocketAddr, destination: SocketAddr) {
    let mut out = Vec::new();
    encode(&mut out, version, source, destination);
    let Ok(Parsed::Complete(
        Header::Forwarded {
            source: from,
            destination: to,
        },
        len,
    )) = parse(&out)
    else {
        panic!("what was written is not read: {out:?}");
    };
    // An IPv4 address may come back in its IPv6 form, where the other one is of IPv6.
    let plain = |a: SocketAddr| (a.ip().to_canonical(), a.port());
    assert_eq!(
        (plain(from), plain(to), len),
        (plain(source), plain(destination), out.len())
    );
}
