//! TCP probes.

use control::spec::check::Expect;

use super::*;

fn connect() -> ProbeKind {
    ProbeKind::Tcp {
        send: None,
        expect: None,
    }
}

fn expecting(text: &str) -> ProbeKind {
    ProbeKind::Tcp {
        send: Some(b"PING\r\n".to_vec()),
        expect: Some(Expect::Contains(text.into())),
    }
}

#[test]
fn a_listener_passes_and_nobody_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    assert_eq!(check(connect(), here, PATIENCE), Ok(()));
    let (kind, detail) = failure(check(connect(), nobody(), PATIENCE));
    assert_eq!(kind, Failure::Connect);
    assert_eq!(detail, "connecting: connection refused");
}

#[test]
fn what_comes_back_is_looked_at() {
    let here = answer(b"+PONG\r\n");
    assert_eq!(check(expecting("+PONG"), here, PATIENCE), Ok(()));
    let (kind, detail) = failure(check(expecting("+OK"), here, PATIENCE));
    assert_eq!(kind, Failure::Unexpected);
    assert!(detail.contains("+PONG"), "{detail}");
    let pattern = ProbeKind::Tcp {
        send: None,
        expect: Some(Expect::Matches("^220 .*ESMTP".into())),
    };
    let smtp = serve(|mut s| s.write_all(b"220 mx ESMTP\r\n").unwrap());
    assert_eq!(check(pattern, smtp, PATIENCE), Ok(()));
}

#[test]
fn closing_at_once_is_unexpected() {
    let here = serve(drop);
    let kind = failure(check(expecting("x"), here, PATIENCE)).0;
    // A reset where the request was still unread, else an end.
    assert!(matches!(kind, Failure::Unexpected | Failure::Connect));
}

#[test]
fn an_endless_drip_ends_with_the_timeout() {
    let here = serve(|s| drip(s, b"", b'x'));
    let (kind, detail) = failure(check(expecting("never"), here, SHORT));
    assert_eq!(kind, Failure::Timeout);
    assert_eq!(detail, "waiting for the answer: nothing right within 60ms");
}

#[test]
fn a_flood_ends_at_64_kib() {
    let here = serve(|mut s| while s.write_all(&[b'x'; 65536]).is_ok() {});
    let kind = failure(check(expecting("never"), here, PATIENCE)).0;
    assert_eq!(kind, Failure::Unexpected);
}

#[test]
fn probes_come_from_the_source_that_is_asked_for() {
    let (tell, told) = std::sync::mpsc::channel();
    let here = serve(move |mut s| {
        tell.send(s.peer_addr().unwrap().ip()).unwrap();
        let _ = s.write_all(b"ok");
    });
    let mut spec = spec(expecting("ok"), PATIENCE);
    spec.source = Some("127.0.0.77".parse().unwrap());
    assert_eq!(run(spec.clone(), here), Ok(()));
    assert_eq!(told.recv().unwrap().to_string(), "127.0.0.77");

    // An address that this node does not have says nothing of the backend.
    spec.source = Some("192.0.2.1".parse().unwrap());
    assert_eq!(failure(run(spec, here)).0, Failure::Local);
}
