//! Trying again: on a connection that had gone stale, and on another backend.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use control::spec::{Share, http::RetryOn};

use crate::{peers::*, rig};

/// A backend that serves one request on each connection, and then closes it without a word.
fn once() -> (SocketAddr, Arc<AtomicUsize>) {
    let served = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&served);
    let address = scripted(move |peer| {
        if let Some(request) = peer.request() {
            let _ = count.fetch_add(1, SeqCst);
            peer.send(ok(&request.body));
        }
    });
    (address, served)
}

#[test]
fn a_kept_connection_that_has_gone_is_no_error() {
    let (address, served) = once();
    let rig = site(&[address], |http, _| http.retry.attempts = 0);
    let mut client = Peer::to(&rig);
    for i in 0..50 {
        // At once, and after the balancer has learned of the closing.
        if i % 5 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(client.ask(GET).status(), 200);
    }
    assert_eq!(served.load(SeqCst), 50);
}

#[test]
fn a_post_on_a_connection_that_has_gone_is_sent_once() {
    let (address, served) = once();
    let rig = site(&[address], |http, _| http.retry.attempts = 0);
    let mut client = Peer::to(&rig);
    for i in 0..20 {
        std::thread::sleep(Duration::from_millis(2));
        let body = format!("body {i}");
        assert_eq!(client.ask(post(&body)).text(), body);
    }
    assert_eq!(served.load(SeqCst), 20);
}

#[test]
fn a_backend_that_refuses_is_passed_over() {
    let rig = plain(&[rig::refusing(), saying("hello")]);
    let mut client = Peer::to(&rig);
    for _ in 0..10 {
        assert_eq!(client.ask(GET).text(), "hello");
        // Nothing was sent to the one that refused, so this may be tried again as well.
        assert_eq!(client.ask(post("x")).text(), "hello");
    }
    rig.until(|stats| stats.services.values().next().unwrap().retries >= 5);
}

#[test]
fn a_backend_that_closes_is_passed_over_for_what_may_be_repeated() {
    let closing = scripted(|peer| drop(peer.request()));
    let rig = plain(&[closing, saying("hello")]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        assert_eq!(Peer::to(&rig).ask(GET).text(), "hello");
        statuses.push(Peer::to(&rig).ask(post("x")).status());
    }
    assert!(statuses.contains(&502), "{statuses:?}");
}

#[test]
fn a_body_is_sent_again_in_whole() {
    let closing = scripted(|peer| drop(peer.request()));
    let (address, asked) = mirror();
    let rig = site(&[closing, address], |http, _| {
        http.retry.non_idempotent = true
    });
    for len in [10, 10_000] {
        let body = noise(len);
        for _ in 0..2 {
            assert!(Peer::to(&rig).ask(post(&body)).body == body);
        }
        let chunks = format!("3\r\nabc\r\n{:x}\r\n{}\r\n0\r\n\r\n", len, "x".repeat(len));
        for _ in 0..2 {
            let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            assert_eq!(
                Peer::to(&rig).ask([head, &chunks].concat()).body.len(),
                len + 3
            );
        }
    }
    assert_eq!(asked.lock().unwrap().len(), 8);
}

#[test]
fn a_body_that_is_too_large_to_keep_is_not_sent_again() {
    let closing = scripted(|peer| drop(peer.request()));
    let rig = site(&[closing, mirror().0], |http, _| {
        http.retry.non_idempotent = true;
        http.retry.body = control::spec::Bytes(1000);
    });
    let statuses: Vec<u16> = (0..4)
        .map(|_| Peer::to(&rig).ask(post(noise(2000))).status())
        .collect();
    assert_eq!(
        statuses.iter().filter(|s| **s == 502).count(),
        2,
        "{statuses:?}"
    );
}

#[test]
fn statuses_and_silence_are_retried_where_asked() {
    let (busy, asked) = backend(|_| b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec());
    let silent = scripted(|peer| drop(peer.rest()));
    let rig = site(&[busy, silent, saying("hello")], |http, _| {
        http.retry.on = vec![RetryOn::Status(503), RetryOn::Timeout];
        http.timeouts.response = Duration::from_millis(100);
    });
    for _ in 0..4 {
        assert_eq!(Peer::to(&rig).ask(GET).text(), "hello");
    }
    assert!(!asked.lock().unwrap().is_empty());
}

#[test]
fn the_last_answer_stands_when_all_were_tried() {
    let busy = || backend(|_| b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno".to_vec()).0;
    let rig = site(&[busy(), busy()], |http, _| {
        http.retry.attempts = 1;
        http.retry.on = vec![RetryOn::Status(503)];
    });
    let response = Peer::to(&rig).ask(GET);
    assert_eq!((response.status(), response.text()), (503, "no"));
    let one = site(&[busy()], |http, _| {
        http.retry.on = vec![RetryOn::Status(503)]
    });
    let response = Peer::to(&one).ask(GET);
    assert_eq!((response.status(), response.text()), (503, "no"));
}

#[test]
fn retries_keep_to_their_budget() {
    let closing = || scripted(|peer| drop(peer.request()));
    let rig = site(&[closing(), closing()], |http, _| {
        http.retry.attempts = 1;
        http.retry.budget = Share::percent(10);
    });
    let mut client = Peer::to(&rig);
    for _ in 0..200 {
        assert_eq!(client.ask(GET).status(), 502);
    }
    let service = rig.plane.stats().services.into_values().next().unwrap();
    assert_eq!(service.retries + service.retries_over_budget, 200);
    assert_eq!(service.retries, 50);
}
