//! HTTP probes.

use control::spec::check::{Expect, HttpProbe};

use super::*;

fn http() -> HttpProbe {
    HttpProbe {
        method: "GET".into(),
        path: "/healthz?deep=1".into(),
        host: None,
        headers: vec![("X-Probe".into(), "yes".into())],
        statuses: vec![(200, 299)],
        body: None,
        header: None,
        latency: None,
        tls: None,
    }
}

fn ask(probe: HttpProbe, target: SocketAddr) -> Result<(), ProbeFailure> {
    check(ProbeKind::Http(probe), target, PATIENCE)
}

fn with_body(text: &str) -> HttpProbe {
    HttpProbe {
        body: Some(Expect::Contains(text.into())),
        ..http()
    }
}

#[test]
fn the_request_is_as_asked() {
    let (tell, told) = std::sync::mpsc::channel();
    let here = serve(move |mut s| {
        let mut bytes = [0; 1024];
        let n = s.read(&mut bytes).unwrap();
        tell.send(String::from_utf8_lossy(&bytes[..n]).into_owned())
            .unwrap();
        let _ = s.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    });
    assert_eq!(ask(http(), here), Ok(()));
    let text = told.recv().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        text,
        format!(
            "GET /healthz?deep=1 HTTP/1.1\r\nHost: {here}\r\nUser-Agent: aplomb/{version}\r\n\
             Connection: close\r\nX-Probe: yes\r\n\r\n"
        )
    );
}

#[test]
fn statuses_are_told_apart() {
    let here = answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let (kind, detail) = failure(ask(http(), here));
    assert_eq!((kind, detail.as_str()), (Failure::Unexpected, "status 503"));
    let mut busy_is_fine = http();
    busy_is_fine.statuses = vec![(200, 200), (503, 503)];
    assert_eq!(ask(busy_is_fine, here), Ok(()));
}

#[test]
fn bodies_are_matched_in_every_framing() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall ok"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nall ok",
    ] {
        let here = answer(bytes);
        assert_eq!(ask(with_body("all ok"), here), Ok(()));
        let (kind, detail) = failure(ask(with_body("no"), here));
        assert_eq!(kind, Failure::Unexpected);
        assert!(detail.contains("all ok"), "{detail}");
    }
}

#[test]
fn a_body_cut_short_is_no_body() {
    let here = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nall o");
    assert_eq!(failure(ask(with_body("ok"), here)).0, Failure::Protocol);
}

#[test]
fn headers_are_matched() {
    let here = answer(b"HTTP/1.1 200 OK\r\nX-Role: replica\r\nX-Role: primary\r\n\r\n");
    let role = |expect: Option<&str>| HttpProbe {
        header: Some((
            "x-role".into(),
            expect.map(|text| Expect::Matches(text.into())),
        )),
        ..http()
    };
    assert_eq!(ask(role(Some("^primary$")), here), Ok(()));
    assert_eq!(ask(role(None), here), Ok(()));
    let detail = failure(ask(role(Some("witness")), here)).1;
    assert_eq!(detail, "header x-role is replica");
}

#[test]
fn a_late_answer_is_slow() {
    let here = serve(|mut s| {
        let _ = s.read(&mut [0; 1024]);
        thread::sleep(Duration::from_millis(30));
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    });
    let mut probe = http();
    probe.latency = Some(Duration::from_millis(5));
    assert_eq!(failure(ask(probe, here)).0, Failure::Slow);
}

#[test]
fn hostile_answers_are_refused() {
    let cases: [(&str, SocketAddr); 5] = [
        ("garbage", answer(b"\0\xff\0\xff\r\n\r\n\r\n")),
        ("another protocol", answer(b"220 mx ESMTP\r\n")),
        ("nothing", serve(|mut s| drop(s.read(&mut [0; 1024])))),
        (
            "an endless header",
            serve(|mut s| {
                let _ = s.write_all(b"HTTP/1.1 200 OK\r\nX: ");
                while s.write_all(&[b'x'; 8192]).is_ok() {}
            }),
        ),
        (
            "endless headers",
            serve(|mut s| {
                let _ = s.write_all(b"HTTP/1.1 200 OK\r\n");
                while s.write_all(b"a: b\r\n").is_ok() {}
            }),
        ),
    ];
    for (what, here) in cases {
        assert_eq!(failure(ask(http(), here)).0, Failure::Protocol, "{what}");
    }
}

#[test]
fn a_dripped_head_ends_with_the_timeout() {
    let here = serve(|s| drip(s, b"HTTP/1.1 200 OK\r\nX: ", b'x'));
    let kind = failure(check(ProbeKind::Http(http()), here, SHORT)).0;
    assert_eq!(kind, Failure::Timeout);
}
