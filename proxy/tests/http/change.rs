//! Change without loss: other rules, other backends, and the end.

use std::{sync::mpsc, time::Duration};

use control::spec::http::RouteAction;
use proxy::plane::Stop;

use crate::{
    peers::*,
    rig::{self, Kind, Rig},
};

/// A backend that begins to answer when told to.
fn held() -> (std::net::SocketAddr, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let (address, _) = backend(move |_| {
        wait.lock().unwrap().recv_timeout(rig::PATIENCE).unwrap();
        ok("held")
    });
    (address, go)
}

fn busy(rig: &Rig) {
    rig.until(|stats| stats.services.values().next().unwrap().requests_open == 1);
}

fn respond_instead(rig: &mut Rig) {
    rig.service(Kind::Http, |service| {
        http(service).routes[0].action = RouteAction::Respond {
            status: 200,
            content_type: None,
            body: "new".into(),
        };
    })
    .apply();
}

#[test]
fn a_request_ends_by_the_rules_it_began_with_and_the_next_connection_has_the_new() {
    let (address, go) = held();
    let mut rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send(GET);
    busy(&rig);
    respond_instead(&mut rig);
    go.send(()).unwrap();
    let response = client.response();
    assert_eq!(
        (response.text(), response.header("connection")),
        ("held", Some("close"))
    );
    assert!(client.ends());
    assert_eq!(Peer::to(&rig).ask(GET).text(), "new");
}

#[test]
fn a_client_between_two_requests_is_answered_once_more_and_then_closed() {
    let mut rig = plain(&[saying("old")]);
    let mut client = Peer::to(&rig);
    assert_eq!(client.ask(GET).header("connection"), None);
    respond_instead(&mut rig);
    let response = client.ask(GET);
    assert_eq!(
        (response.text(), response.header("connection")),
        ("old", Some("close"))
    );
    assert!(client.ends());
}

#[test]
fn an_idle_client_of_rules_that_are_gone_is_let_go() {
    let mut rig = plain(&[saying("old")]);
    let mut client = Peer::to(&rig);
    assert_eq!(client.ask(GET).text(), "old");
    respond_instead(&mut rig);
    assert!(client.ends());
}

#[test]
fn a_kept_connection_sees_the_present_backends() {
    let (one, two) = (saying("one"), saying("two"));
    let mut rig = plain(&[one]);
    let mut client = Peer::to(&rig);
    assert_eq!(client.ask(GET).text(), "one");
    rig.pool(&[two], |_| {}).apply();
    let response = client.ask(GET);
    assert_eq!(
        (response.text(), response.header("connection")),
        ("two", None)
    );
    rig.until(|stats| {
        let open = |b: &proxy::stats::BackendSummary| b.counted.connections_open;
        stats.backends.values().map(open).sum::<u64>() == 1
    });
}

#[test]
fn a_drain_lets_requests_finish() {
    let (address, go) = held();
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send(GET);
    busy(&rig);
    rig.plane.stop_accepting(Stop::Final).wait_blocking();
    let drained = rig.plane.drain(rig::PATIENCE);
    go.send(()).unwrap();
    let response = client.response();
    assert_eq!(
        (response.text(), response.header("connection")),
        ("held", Some("close"))
    );
    drained.wait_blocking();
    assert_eq!(rig.plane.stats().workers.cut, 0);
}

#[test]
fn a_drain_has_an_end() {
    let (address, _go) = held();
    let rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send(GET);
    busy(&rig);
    rig.plane.drain(Duration::from_millis(100)).wait_blocking();
    assert_eq!(client.response().status(), 503);
    assert_eq!(rig.plane.stats().workers.cut, 1);
}

#[test]
fn a_service_that_is_removed_finishes_what_it_does() {
    let (address, go) = held();
    let mut rig = plain(&[address]);
    let mut client = Peer::to(&rig);
    client.send(GET);
    busy(&rig);
    rig.remove_service(Kind::Http).apply();
    go.send(()).unwrap();
    assert_eq!(client.response().text(), "held");
    assert!(client.ends());
}
