//! UDP probes.

use std::net::UdpSocket;

use control::spec::check::Expect;

use super::*;

fn asking(expect: Option<&str>) -> ProbeKind {
    ProbeKind::Udp {
        send: b"status".to_vec(),
        expect: expect.map(|text| Expect::Contains(text.into())),
    }
}

fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..n], from);
        }
    }));
    address
}

#[test]
fn answers_are_looked_at() {
    let here = echo();
    assert_eq!(check(asking(Some("stat")), here, PATIENCE), Ok(()));
    assert_eq!(check(asking(None), here, PATIENCE), Ok(()));
    assert_eq!(
        failure(check(asking(Some("ok")), here, PATIENCE)).0,
        Failure::Unexpected
    );
}

#[test]
fn silence_passes_only_where_nothing_is_expected() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = silent.local_addr().unwrap();
    assert_eq!(check(asking(None), here, SHORT), Ok(()));
    assert_eq!(
        failure(check(asking(Some("x")), here, SHORT)).0,
        Failure::Timeout
    );
}

#[test]
fn a_refusal_fails_even_where_nothing_is_expected() {
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (kind, detail) = failure(check(asking(None), free, PATIENCE));
    assert_eq!(kind, Failure::Connect);
    assert!(detail.ends_with("connection refused"), "{detail}");
}
