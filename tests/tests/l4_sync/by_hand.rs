//! What is told beside plain TCP, and nodes that hear each other by a multicast group. The test itself moves the addresses.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use e2e::{Site, Talk, needs_root, wait_for};
use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};

use super::directors::{Directors, SERVERS, Wanted, all_go_on, stored, sync, wait_for_sync};

/// Connections.
const MANY: usize = 200;
/// Clients of UDP, and clients that persistence remembers.
const SOME: usize = 12;

/// Servers of UDP that say who they are.
fn answer_with_names(directors: &Directors) {
    let any = directors.any();
    for host in SERVERS {
        let socket = directors
            .site
            .inside(host, move || UdpSocket::bind(any).unwrap());
        drop(thread::spawn(move || {
            let mut buffer = [0; 100];
            // A port that refuses what is sent to it is told here; it is no end.
            loop {
                if let Ok((_, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(host.as_bytes(), from);
                }
            }
        }));
    }
}

/// A client of UDP.
fn datagrams(site: &Site, to: SocketAddr) -> UdpSocket {
    site.inside("client", move || {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(to).unwrap();
        let patience = Duration::from_secs(1);
        socket.set_read_timeout(Some(patience)).unwrap();
        socket
    })
}

/// Who answers a datagram. It is sent again if it is lost.
fn who(socket: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    for _ in 0..20 {
        let _ = socket.send(b"who?");
        if let Ok(length) = socket.recv(&mut buffer) {
            return String::from_utf8_lossy(&buffer[..length]).into_owned();
        }
    }
    panic!("nobody answers");
}

/// Connections that cookies opened and flows of datagrams go on, through the second and through the first again.
fn cookies_and_datagrams(family: u8) {
    let wanted = Wanted {
        service: "syn-cookies = true",
        datagrams: true,
        ..Wanted::default()
    };
    let directors = Directors::new("nat", family, wanted);
    let site = &directors.site;
    for host in SERVERS {
        // TCP alone: UDP's are others.
        let any = directors.any();
        let listener = site.inside(host, move || std::net::TcpListener::bind(any).unwrap());
        e2e::echo_on(listener, host);
    }
    answer_with_names(&directors);
    let first = directors.start(0);
    let standby = directors.start(1);
    let to = directors.service();
    let mut talks = Talk::begin_many(site, to, MANY).unwrap();
    let clients: Vec<_> = (0..SOME).map(|_| datagrams(site, to)).collect();
    let answers = |_: &str| -> Vec<String> { clients.iter().map(who).collect() };
    let _ = answers("the first packet begins a flow");
    let before = answers("the second establishes it");
    wait_for_sync(&standby, MANY + SOME);
    let cookies = first.status().unwrap();
    let cookies = cookies["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["name"] == "echo");
    let accepted = &cookies.unwrap()["kernel"]["cookies"]["accepted"];
    assert!(accepted.as_u64().unwrap() >= MANY as u64, "{accepted}");

    directors.first_fails(&first);
    directors.give_addresses(1);
    let _ = all_go_on(&mut talks, "through the second", Instant::now());
    assert_eq!(answers("through the second"), before, "the same servers");

    let first = directors.first_returns(first);
    wait_for_sync(&first, MANY + SOME);
    directors.second_fails(&standby);
    directors.give_addresses(0);
    let _ = all_go_on(&mut talks, "through the first again", Instant::now());
    assert_eq!(answers("through the first again"), before);
}

#[test]
fn cookies_and_datagrams_over_ipv4() {
    if needs_root("cookies_and_datagrams_over_ipv4") {
        cookies_and_datagrams(4);
    }
}

#[test]
fn cookies_and_datagrams_over_ipv6() {
    if needs_root("cookies_and_datagrams_over_ipv6") {
        cookies_and_datagrams(6);
    }
}

/// One of many clients: an address of its own.
fn client(v6: bool, number: usize) -> IpAddr {
    let last = 60 + u8::try_from(number).unwrap();
    match v6 {
        false => Ipv4Addr::new(192, 168, 1, last).into(),
        true => Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 1, last.into()).into(),
    }
}

/// A connection from that address.
fn connection(site: &Site, from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    site.inside("client", move || {
        let family = match from {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
        bind(&socket, &SocketAddr::new(from, 0))?;
        connect(&socket, &to)?;
        Ok(TcpStream::from(socket))
    })
}

/// Nodes that hear each other by a group; the clients that persistence remembers come back to their servers.
fn group_and_persistence(family: u8) {
    let wanted = Wanted {
        group: true,
        service: "persistence = \"5min\"",
        ..Wanted::default()
    };
    let directors = Directors::new("direct", family, wanted);
    let site = &directors.site;
    for host in SERVERS {
        site.echo(host, directors.any());
    }
    let clients: Vec<IpAddr> = (0..SOME).map(|n| client(family == 6, n)).collect();
    let first = directors.start(0);
    let standby = directors.start(1);
    let to = directors.service();
    let served = || -> Vec<String> {
        let who = |from: &IpAddr| {
            let stream = connection(site, *from, to).unwrap();
            Talk::on(stream).unwrap().who
        };
        clients.iter().map(who).collect()
    };
    // From one client, before there are others.
    let mut talks = Talk::begin_many(site, to, MANY).unwrap();
    for ip in &clients {
        let more = if family == 6 {
            "/64 dev eth0 nodad"
        } else {
            "/24 dev eth0"
        };
        site.expect("client", &format!("ip addr add {ip}{more}"));
    }
    let before = served();
    assert!(
        SERVERS.iter().all(|s| before.iter().any(|b| b == s)),
        "{before:?}"
    );
    // Each connection, and each client's template with it, that of the many included.
    wait_for_sync(&standby, MANY + SOME + SOME + 1);
    let status = sync(&standby);
    assert_eq!(status["peers"].as_array().unwrap().len(), 1, "{status}");
    let listed = standby.expect_cli(&["ipvsadm", "-L", "-n", "--daemon"]);
    let group = if family == 6 {
        "ff12::77"
    } else {
        "239.77.0.1"
    };
    assert!(
        listed.contains(&format!(
            "mcast=eth0, syncid=0, maxlen=1400, group={group}, port=8849"
        )),
        "{listed}"
    );

    directors.first_fails(&first);
    directors.give_addresses(1);
    let _ = all_go_on(&mut talks, "through the second", Instant::now());
    assert_eq!(served(), before, "each client's own server");

    let first = directors.first_returns(first);
    wait_for_sync(&first, MANY + SOME + 1);
    wait_for("all clients to be told", || {
        let listed = first.expect_cli(&["ipvsadm", "-L", "-n", "-c"]);
        listed
            .lines()
            .filter(|line| line.contains("ASSURED"))
            .count()
            > SOME
    });
    directors.second_fails(&standby);
    directors.give_addresses(0);
    let _ = all_go_on(&mut talks, "through the first again", Instant::now());
    assert_eq!(served(), before);
    assert_eq!(stored(&sync(&first), "malformed"), 0);
}

#[test]
fn group_and_persistence_over_ipv4() {
    if needs_root("group_and_persistence_over_ipv4") {
        group_and_persistence(4);
    }
}

#[test]
fn group_and_persistence_over_ipv6() {
    if needs_root("group_and_persistence_over_ipv6") {
        group_and_persistence(6);
    }
}
