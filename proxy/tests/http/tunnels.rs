//! Upgraded connections.

use std::time::Duration;

use crate::peers::*;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

fn echoing(peer: &mut Peer) {
    let head = peer.head().unwrap();
    assert_eq!(
        (head.header("upgrade"), head.header("connection")),
        (Some("echo"), Some("upgrade"))
    );
    peer.send(SWITCH);
    while let Some(byte) = peer.exactly(1) {
        peer.send(byte);
    }
    peer.send("bye");
}

#[test]
fn bytes_go_both_ways_and_one_side_may_end_first() {
    let rig = plain(&[scripted(echoing)]);
    let mut client = Peer::to(&rig);
    // What is sent ahead belongs to the tunnel.
    client.send([UPGRADE, "early "].concat());
    let head = client.head().unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(
        (head.header("upgrade"), head.header("connection")),
        (Some("echo"), Some("upgrade"))
    );
    client.send("late");
    assert_eq!(client.exactly(10).unwrap(), b"early late");
    client.finish();
    assert_eq!(client.rest(), b"bye");
    rig.until(|stats| stats.workers.connections_open == 0);
}

#[test]
fn a_backend_that_declines_answers_as_usual() {
    let rig = plain(&[saying("no")]);
    let mut client = Peer::to(&rig);
    assert_eq!(client.ask(UPGRADE).text(), "no");
    assert_eq!(client.ask(GET).text(), "no");
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_the_backends_fault() {
    let (address, _) = backend(|_| SWITCH.into());
    let rig = plain(&[address]);
    let response = Peer::to(&rig).ask(GET);
    assert_eq!(response.status(), 502);
    assert!(
        response.text().contains("fault: backend"),
        "{}",
        response.text()
    );
}

#[test]
fn an_idle_tunnel_is_closed() {
    let rig = site(&[scripted(echoing)], |http, _| {
        http.timeouts.tunnel = Duration::from_millis(100)
    });
    let mut client = Peer::to(&rig);
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().status(), 101);
    let _ = client.rest();
    rig.until(|stats| stats.workers.connections_open == 0);
}
