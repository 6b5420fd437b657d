//! Connections that stay, on both sides, and those that do not.

use crate::{peers::*, rig::Kind};

#[test]
fn one_connection_serves_many_requests_on_both_sides() {
    let (address, asked) = mirror();
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    for i in 0..5 {
        let text = format!("hello {i}");
        assert_eq!(client.ask(post(&text)).text(), text);
    }
    assert_eq!(asked.lock().unwrap().len(), 5);
    rig.until(|stats| {
        let backend = &stats.backends.values().next().unwrap().counted;
        let service = stats.services.values().next().unwrap();
        backend.connections == 1 && backend.connections_reused == 4 && service.responses[1] == 5
    });
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let (address, _) = backend(|request| ok(request.head.split(' ').nth(1).unwrap()));
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    let requests: String = (0..20)
        .map(|i| format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(requests);
    for i in 0..20 {
        assert_eq!(client.response().text(), format!("/{i}"));
    }
}

#[test]
fn bodies_sent_ahead_are_kept_apart() {
    let (address, _) = mirror();
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n";
    client.send(
        [
            chunked.as_bytes(),
            &post("two"),
            GET.as_bytes(),
            &post("four"),
        ]
        .concat(),
    );
    for want in ["one", "two", "", "four"] {
        assert_eq!(client.response().text(), want);
    }
}

#[test]
fn a_client_that_closes_is_answered_and_closed() {
    let rig = plain(&[saying("hello")]);
    let mut client = Peer::to(&rig);
    let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(
        (response.text(), response.header("connection")),
        ("hello", Some("close"))
    );
    assert!(client.ends());
}

#[test]
fn a_client_that_has_only_ended_its_side_is_answered() {
    let rig = plain(&[saying("hello")]);
    let mut client = Peer::to(&rig);
    client.send(GET);
    client.finish();
    assert_eq!(client.response().text(), "hello");
    assert!(client.ends());
}

#[test]
fn http_1_0_closes_unless_it_asks_not_to() {
    let rig = plain(&[saying("hello")]);
    let mut client = Peer::to(&rig);
    let response = client.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        (response.text(), response.header("connection")),
        ("hello", Some("close"))
    );
    assert!(client.ends());
    let mut client = Peer::to(&rig);
    for _ in 0..2 {
        let response = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(
            (response.text(), response.header("connection")),
            ("hello", Some("keep-alive"))
        );
    }
}

#[test]
fn a_backend_that_closes_does_not_close_the_client() {
    let address = scripted(|peer| {
        peer.request().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    for _ in 0..3 {
        let response = client.ask(GET);
        assert_eq!(
            (response.text(), response.header("connection")),
            ("ok", None)
        );
    }
    rig.until(|stats| stats.backends.values().next().unwrap().counted.connections == 3);
}

#[test]
fn an_idle_client_is_closed_in_time() {
    let rig = site(&[saying("hello")], |http, _| {
        http.timeouts.keep_alive = std::time::Duration::from_millis(100);
    });
    let mut fresh = Peer::to(&rig);
    let mut used = Peer::to(&rig);
    assert_eq!(used.ask(GET).text(), "hello");
    assert!(fresh.ends());
    assert!(used.ends());
    rig.until(|stats| stats.workers.connections_open == 0);
}

#[test]
fn idle_connections_to_backends_are_closed_in_time() {
    let rig = site(&[saying("hello")], |_, pool| {
        pool.connect.idle_timeout = std::time::Duration::from_millis(100);
    });
    assert_eq!(Peer::to(&rig).ask(GET).text(), "hello");
    rig.until(|stats| {
        let backend = &stats.backends.values().next().unwrap().counted;
        backend.connections == 1 && backend.connections_open == 0 && backend.connections_idle == 0
    });
}

#[test]
fn no_more_idle_connections_are_kept_than_allowed() {
    let rig = site(&[saying("hello")], |_, pool| pool.connect.keep_idle = 0);
    let mut client = Peer::to(&rig);
    for _ in 0..3 {
        assert_eq!(client.ask(GET).text(), "hello");
    }
    rig.until(|stats| {
        let backend = &stats.backends.values().next().unwrap().counted;
        backend.connections == 3 && backend.connections_open == 0
    });
    let _ = rig.address(Kind::Http);
}
