//! UDP carried in user space.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use control::{
    plan::Duty,
    spec::{ServiceKind, ServiceSpec, service::UdpSpec},
};

use crate::rig::{Kind, PATIENCE, Rig, member, pool_spec, tally, wait_for};

fn udp(spec: &mut ServiceSpec) -> &mut UdpSpec {
    match &mut spec.kind {
        ServiceKind::Udp(udp) => udp,
        _ => panic!("not a UDP service"),
    }
}

/// A backend that answers each datagram with `mark`, the sender's port, and what it got.
fn echo(mark: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let head = format!("{mark}/{}/", from.port());
            let _ = socket.send_to(&[head.as_bytes(), &buffer[..n]].concat(), from);
        }
    });
    address
}

fn client(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((to.ip(), 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The mark and port that came back with what was sent.
fn ask(socket: &UdpSocket, text: &str) -> (String, u16) {
    socket.send(text.as_bytes()).unwrap();
    let mut buffer = [0; 65536];
    let n = socket.recv(&mut buffer).unwrap();
    let answer = String::from_utf8_lossy(&buffer[..n]).into_owned();
    let mut parts = answer.splitn(3, '/');
    let (mark, port) = (parts.next().unwrap().to_owned(), parts.next().unwrap());
    assert_eq!(parts.next(), Some(text));
    (mark, port.parse().unwrap())
}

#[test]
fn a_flow_stays_with_its_backend_and_another_gets_the_next() {
    let mut rig = Rig::new(2);
    rig.pool(&[echo("a")], |_| {})
        .service(Kind::Udp, |_| {})
        .apply();
    let (one, two) = (
        client(rig.address(Kind::Udp)),
        client(rig.address(Kind::Udp)),
    );
    let first = ask(&one, "1");
    let second = ask(&two, "2");
    assert_ne!(first.1, second.1, "each flow has a socket of its own");
    for _ in 0..20 {
        assert_eq!(ask(&one, "x"), first);
        assert_eq!(ask(&two, &"y".repeat(1400)), second);
    }
    let stats = rig.plane.stats();
    let service = stats.services.values().next().unwrap();
    assert_eq!((service.connections, service.connections_open), (2, 2));
    assert!(service.bytes_out > service.bytes_in && service.bytes_in > 20 * 1400);
}

#[test]
fn idle_flows_end_and_begin_anew() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("a")], |_| {})
        .service(Kind::Udp, |s| {
            udp(s).idle_timeout = Duration::from_millis(60)
        })
        .apply();
    let client = client(rig.address(Kind::Udp));
    let first = ask(&client, "1");
    rig.until(|s| s.workers.connections_open == 0);
    let again = ask(&client, "2");
    assert_ne!(first.1, again.1);
    assert_eq!(
        rig.plane
            .stats()
            .backends
            .values()
            .next()
            .unwrap()
            .counted
            .connections,
        2
    );
}

#[test]
fn a_flow_ends_with_as_many_answers_as_were_wanted() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("a")], |_| {})
        .service(Kind::Udp, |s| udp(s).responses = Some(1))
        .apply();
    let client = client(rig.address(Kind::Udp));
    for n in 1..=3 {
        ask(&client, "x");
        rig.until(|s| s.workers.connections_open == 0);
        let stats = rig.plane.stats();
        assert_eq!(stats.services.values().next().unwrap().connections, n);
    }
}

#[test]
fn past_the_limit_the_longest_silent_flow_gives_way() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("a")], |_| {})
        .service(Kind::Udp, |s| udp(s).max_flows = 2)
        .apply();
    let clients: Vec<UdpSocket> = (0..3).map(|_| client(rig.address(Kind::Udp))).collect();
    let first = ask(&clients[0], "0");
    let second = ask(&clients[1], "1");
    assert_eq!(ask(&clients[0], "0"), first);
    ask(&clients[2], "2");
    rig.until(|s| s.workers.connections_open == 2);
    assert_eq!(ask(&clients[0], "0"), first, "spoke last of the two");
    assert_ne!(ask(&clients[1], "1"), second, "had to begin anew");
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("a")], |_| {})
        .service(Kind::Udp, |s| {
            s.listen[0].address = "0.0.0.0:0".parse().unwrap()
        })
        .apply();
    let port = rig.address(Kind::Udp).port();
    // A connected socket takes answers from nowhere else.
    let one = client(SocketAddr::from(([127, 0, 0, 5], port)));
    let two = client(SocketAddr::from(([127, 0, 0, 6], port)));
    for _ in 0..3 {
        ask(&one, "1");
        ask(&two, "2");
    }
}

#[test]
fn a_backend_that_refuses_is_left_for_another() {
    let dead = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let alive = echo("alive");
    let mut rig = Rig::new(1);
    rig.pool(&[dead, alive], |_| {})
        .service(Kind::Udp, |_| {})
        .apply();
    let client = client(rig.address(Kind::Udp));
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let buffer = [0; 100];
    // The first is lost (nothing says so before it comes back refused), a further one finds the other.
    wait_for(|| {
        client.send(b"x").unwrap();
        client.recv(&mut { buffer }).is_ok()
    });
    wait_for(|| tally(&rig.told).get(&dead).is_some_and(|t| t.1 >= 1));
}

#[test]
fn a_flow_leaves_a_backend_that_is_down() {
    let (a, b) = (echo("a"), echo("b"));
    let mut rig = Rig::new(1);
    rig.pool(&[a, b], |_| {}).service(Kind::Udp, |_| {}).apply();
    let client = client(rig.address(Kind::Udp));
    let (mark, _) = ask(&client, "x");
    let down = if mark == "a" { a } else { b };
    let mut members = vec![member(a), member(b)];
    members
        .iter_mut()
        .find(|m| m.key.address == down)
        .unwrap()
        .duty = Duty::Avoid;
    rig.members(pool_spec(&[a, b]), members).apply();
    assert_ne!(ask(&client, "y").0, mark);
}
