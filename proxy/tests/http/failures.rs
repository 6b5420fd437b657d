//! What goes wrong, whose fault it is, and what the client is told.

use std::{net::SocketAddr, time::Duration};

use control::spec::HttpSpec;
use proxy::stats::{Fault, Reason, Side};

use crate::{
    peers::*,
    rig::{self, Rig},
};

/// Whether the service has counted this, and nothing else.
fn counted(rig: &Rig, side: Side, reason: Reason) {
    let fault = Fault::new(side, reason);
    rig.until(|stats| stats.services.values().next().unwrap().errors[fault.index()] == 1);
    let all = rig
        .plane
        .stats()
        .services
        .into_values()
        .next()
        .unwrap()
        .errors;
    assert_eq!(all.iter().sum::<u64>(), 1);
}

/// What a client that sends `request` is answered; the connection must end after it.
fn refused(
    backends: &[SocketAddr],
    edit: impl FnOnce(&mut HttpSpec),
    request: &str,
    (status, side, reason): (u16, Side, Reason),
) {
    let rig = site(backends, |http, _| edit(http));
    let mut client = Peer::to(&rig);
    let response = client.ask(request);
    assert_eq!(response.status(), status, "{request:.80}");
    assert!(
        response.text().contains(&format!("fault: {side}\n")),
        "{}",
        response.text()
    );
    assert!(
        !response.text().contains("example"),
        "nothing of the request is echoed"
    );
    counted(&rig, side, reason);
    if response.header("connection") == Some("close") {
        client.finish();
        assert!(client.ends());
    } else {
        assert!(client.is_open());
    }
}

#[test]
fn requests_that_are_none() {
    use Reason::{Malformed, NoRoute, TooLarge};
    let long = "a".repeat(20_000);
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n".into(), 400, Malformed),
        ("GET / HTTP/1.1\r\nHost: a.example\r\nX : y\r\n\r\n".into(), 400, Malformed),
        ("GET /../x HTTP/1.1\r\nHost: a.example\r\n\r\n".into(), 400, Malformed),
        ("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400, Malformed),
        ("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n".into(), 400, Malformed),
        (format!("GET /{long} HTTP/1.1\r\nHost: a.example\r\n\r\n"), 414, TooLarge),
        (format!("GET / HTTP/1.1\r\nHost: a.example\r\nX: {long}\r\n\r\n"), 431, TooLarge),
        ("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 101\r\n\r\n".into(), 413, TooLarge),
        ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n".into(), 405, Malformed),
        ("GET / HTTP/2.0\r\nHost: a.example\r\n\r\n".into(), 505, Malformed),
        ("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n".into(), 404, NoRoute),
    ];
    let silent = scripted(|peer| drop(peer.rest()));
    for (request, status, reason) in cases {
        let edit = |http: &mut HttpSpec| {
            http.limits.body = Some(control::spec::Bytes(100));
            http.routes[0].matches.hosts =
                vec![control::spec::http::HostMatch::Exact("a.example".into())];
        };
        refused(&[silent], edit, &request, (status, Side::Client, reason));
    }
}

#[test]
fn a_chunked_body_that_is_too_large() {
    let silent = scripted(|peer| drop(peer.rest()));
    let chunk = format!("40\r\n{}\r\n", "x".repeat(64));
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let edit = |http: &mut HttpSpec| http.limits.body = Some(control::spec::Bytes(100));
    refused(
        &[silent],
        edit,
        &request,
        (413, Side::Client, Reason::TooLarge),
    );
}

#[test]
fn a_request_that_does_not_come() {
    let silent = scripted(|peer| drop(peer.rest()));
    let soon = |http: &mut HttpSpec| {
        http.timeouts.header = Duration::from_millis(100);
        http.timeouts.body = Duration::from_millis(100);
    };
    for request in [
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhe",
    ] {
        refused(
            &[silent],
            soon,
            request,
            (408, Side::Client, Reason::Timeout),
        );
    }
}

#[test]
fn backends_that_fail() {
    let closing = scripted(|peer| drop(peer.head()));
    let silent = scripted(|peer| drop(peer.rest()));
    let says = |text: &'static str| {
        scripted(move |peer| {
            peer.head().unwrap();
            peer.send(text);
            let _ = peer.rest();
        })
    };
    let soon = |http: &mut HttpSpec| http.timeouts.response = Duration::from_millis(100);
    let cases = [
        (rig::refusing(), 502, Reason::Connect),
        (closing, 502, Reason::Closed),
        (silent, 504, Reason::Timeout),
        (says("HTTP/1.1 200 OK\r\nContent-Le"), 504, Reason::Timeout),
        (says("SSH-2.0-OpenSSH\r\n"), 502, Reason::Malformed),
        (
            says("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
            502,
            Reason::Malformed,
        ),
        (
            says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            502,
            Reason::Malformed,
        ),
    ];
    for (backend, status, reason) in cases {
        refused(&[backend], soon, GET, (status, Side::Backend, reason));
    }
}

#[test]
fn no_backend_at_all() {
    refused(&[], |_| {}, GET, (503, Side::Proxy, Reason::NoBackend));
}

#[test]
fn an_error_leaves_a_connection_usable_where_it_can() {
    let rig = site(&[], |_, _| {});
    let mut client = Peer::to(&rig);
    for _ in 0..3 {
        assert_eq!(client.ask(GET).status(), 503);
    }
}

#[test]
fn a_response_that_breaks_off_is_not_ended_in_order() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let address = scripted(move |peer| {
            peer.head().unwrap();
            peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello"));
        });
        let rig = plain(&[address]);
        let mut client = Peer::to(&rig);
        client.send(GET);
        assert_eq!(client.head().unwrap().status(), 200);
        let rest = client.rest();
        assert!(rest.starts_with(b"5\r\nhello") && !rest.ends_with(b"0\r\n\r\n"));
        counted(&rig, Side::Backend, Reason::Closed);
    }
}

#[test]
fn a_response_that_stops_is_cut() {
    let address = scripted(|peer| {
        peer.head().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        let _ = peer.rest();
    });
    let rig = site(&[address], |http, _| {
        http.timeouts.response_body = Duration::from_millis(100)
    });
    let mut client = Peer::to(&rig);
    client.send(GET);
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.rest(), b"hello");
    counted(&rig, Side::Backend, Reason::Timeout);
}

#[test]
fn an_answer_is_not_lost_although_the_client_still_sends() {
    let rig = plain(&[]);
    for _ in 0..20 {
        let mut client = Peer::to(&rig);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
        // Fails only if the connection was reset, and then the answer might have been lost.
        client.send(vec![b'x'; 500_000]);
        assert_eq!(client.response().status(), 503);
    }
}

#[test]
fn failures_and_successes_are_told_of_backends() {
    let failing = scripted(|peer| drop(peer.head()));
    let rig = plain(&[failing]);
    for _ in 0..3 {
        assert_eq!(Peer::to(&rig).ask(GET).status(), 502);
    }
    rig::wait_for(|| {
        rig::tally(&rig.told)
            .get(&failing)
            .is_some_and(|(_, failed)| *failed == 3)
    });
}
