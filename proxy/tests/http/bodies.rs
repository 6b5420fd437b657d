//! Bodies both ways, however they are framed and however slowly they come.

use std::time::Duration;

use crate::peers::*;

#[test]
fn large_bodies_go_both_ways_unchanged() {
    let (address, _) = mirror();
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    for len in [1, 5_000, 16_384, 70_000, 3_000_000] {
        let body = noise(len);
        let mut sender = Peer::new(client.stream.try_clone().unwrap());
        let request = post(&body);
        let sending = std::thread::spawn(move || sender.send(request));
        assert!(client.response().body == body, "{len}");
        sending.join().unwrap();
    }
}

#[test]
fn chunks_are_made_anew_and_trailers_passed_on() {
    let (address, asked) = backend(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n".to_vec()
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;secret\r\nhi\r\n0\r\nX-Mine: 2\r\n\r\n";
    for _ in 0..2 {
        let response = client.ask(request);
        assert_eq!(
            (response.text(), &*response.trailers),
            ("abcde", "X-Sum: 1\r\n")
        );
        assert_eq!(response.header("content-length"), None);
    }
    let asked = asked.lock().unwrap();
    assert_eq!(
        (asked[0].text(), &*asked[0].trailers),
        ("hi", "X-Mine: 2\r\n")
    );
}

#[test]
fn a_body_that_ends_with_its_connection_becomes_chunked() {
    let address = scripted(|peer| {
        peer.request().unwrap();
        peer.send("HTTP/1.0 200 OK\r\n\r\nhello ");
        peer.send("world");
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    for _ in 0..2 {
        let response = client.ask(GET);
        assert_eq!(
            (response.text(), response.header("transfer-encoding")),
            ("hello world", Some("chunked"))
        );
    }
    let mut old = Peer::to(&rig);
    let response = old.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(
        (response.text(), response.header("transfer-encoding")),
        ("hello world", None)
    );
}

#[test]
fn responses_without_body() {
    let (address, _) = backend(|request| match request.head.split(' ').nth(1).unwrap() {
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n".to_vec(),
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec(),
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().unwrap().header("content-length"), Some("9"));
    client.send("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().unwrap().header("etag"), Some("x"));
    client.send("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n");
    let none = client.head().unwrap();
    assert_eq!((none.status(), none.header("content-length")), (204, None));
    assert!(client.is_open());
    rig.until(|stats| stats.backends.values().next().unwrap().counted.connections == 1);
}

#[test]
fn what_arrives_slowly_is_passed_on_as_it_arrives() {
    let address = scripted(|peer| {
        peer.head().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        // Each half of the answer waits for a half of the request: nothing may be held back for more.
        for _ in 0..2 {
            let half = peer.exactly(4).unwrap();
            peer.send(half);
        }
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nabcd");
    let head = client.head().unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(client.exactly(4).unwrap(), b"abcd");
    client.send("efgh");
    assert_eq!(client.exactly(4).unwrap(), b"efgh");
}

#[test]
fn the_backend_says_continue() {
    let address = scripted(|peer| {
        while let Some(head) = peer.head() {
            assert_eq!(head.header("expect"), Some("100-continue"));
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = peer.exactly(5).unwrap();
            peer.send(ok(body));
        }
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    for _ in 0..2 {
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        );
        assert_eq!(client.head().unwrap().status(), 100);
        client.send("hello");
        assert_eq!(client.response().text(), "hello");
    }
}

#[test]
fn the_backend_refuses_without_waiting_for_the_body() {
    let address = scripted(|peer| {
        peer.head().unwrap();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        // It keeps its connection, but never takes the body.
        let _ = peer.rest();
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n",
    );
    let response = client.response();
    assert_eq!((response.status(), response.text()), (403, "no"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.ends());
}

#[test]
fn interim_responses_are_passed_on_but_not_to_http_1_0() {
    let (address, _) = backend(|_| {
        [
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_vec(),
            ok("hello"),
        ]
        .concat()
    });
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send(GET);
    let hints = client.head().unwrap();
    assert_eq!((hints.status(), hints.header("link")), (103, Some("</x>")));
    assert_eq!(client.response().text(), "hello");
    assert_eq!(Peer::to(&rig).ask("GET / HTTP/1.0\r\n\r\n").text(), "hello");
}

#[test]
fn a_client_that_does_not_read_holds_the_backend_back() {
    const LEN: usize = 64 << 20;
    let address = scripted(|peer| {
        peer.request().unwrap();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
        // Fails once the balancer gives up on the client.
        let _ = std::io::Write::write_all(&mut peer.stream, &vec![7; LEN]);
    });
    let rig = site(&[address], |http, _| {
        http.timeouts.send = Duration::from_millis(300)
    });
    let mut client = Peer::to(&rig);
    client.send(GET);
    rig.until(|stats| {
        stats
            .services
            .values()
            .next()
            .unwrap()
            .errors
            .iter()
            .sum::<u64>()
            == 1
    });
    let service = rig.plane.stats().services.into_values().next().unwrap();
    assert!(service.bytes_out < LEN as u64 / 2, "{}", service.bytes_out);
}
