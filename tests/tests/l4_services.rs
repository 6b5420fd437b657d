//! Services of the kernel's in several shapes, on one site: several on one address, several listens, ranges, all
//! ports, datagrams in fragments, errors of ICMP, what is too big for a tunnel, checks, and a local backend. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use e2e::{Daemon, Site, Talk, needs_root, states, wait_for, wait_for_up};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);

/// A site where all servers echo at these ports.
fn site(mode: &str, ports: &[u16]) -> Site {
    let site = Site::new(&format!("--mode {mode}"));
    site.echo_at_servers(mode, ports);
    site
}

/// A pool of these servers; port 0: the one that was asked for.
fn pool(name: &str, servers: &[u8], port: u16, check: bool) -> String {
    let port = if port == 0 {
        String::new()
    } else {
        format!(":{port}")
    };
    let backends: String = servers
        .iter()
        .map(|n| format!("{{ address = \"10.0.0.1{n}{port}\" }}, "))
        .collect();
    let check = if check {
        "check = { tcp = true, interval = \"300ms\", timeout = \"300ms\", rise = 1, fall = 2 }\n"
    } else {
        ""
    };
    format!("[[pool]]\nname = \"{name}\"\nbalance = \"rr\"\n{check}backends = [{backends}]\n")
}

fn service(name: &str, listen: &str, forward: &str, pool: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nlisten = {listen}\nforward = \"{forward}\"\npool = \"{pool}\"\n"
    )
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((VIP, port))
}

fn who(site: &Site, port: u16) -> io::Result<String> {
    let mut talk = Talk::begin(site, at(port))?;
    talk.say("hello")?;
    Ok(talk.who)
}

#[test]
fn several_shapes() {
    if !needs_root("several_shapes") {
        return;
    }
    let site = site("nat", &[7001, 7002, 7005, 7100]);
    let config = [
        site.l4(),
        pool("one", &[1], 7001, true),
        pool("two", &[2], 7002, false),
        pool("asked", &[3], 0, false),
        service(
            "one",
            "[\"tcp://192.168.1.100:81\", \"tcp://192.168.1.100:82\"]",
            "nat",
            "one",
        ),
        service("two", "\"tcp://192.168.1.100:83\"", "nat", "two"),
        service("range", "\"tcp://192.168.1.100:7000-7005\"", "nat", "asked"),
        service("udp", "\"udp://192.168.1.100:7100\"", "nat", "asked"),
    ]
    .concat();
    let daemon = site.daemon(&config);
    wait_for_up(&daemon, 3);
    for (port, server) in [
        (81, "server1"),
        (82, "server1"),
        (83, "server2"),
        (7001, "server3"),
        (7005, "server3"),
    ] {
        assert_eq!(who(&site, port).unwrap(), server, "port {port}");
    }
    let refused = |port| who(&site, port).unwrap_err().kind();
    assert_eq!(refused(84), io::ErrorKind::ConnectionRefused);
    // In the range, but nobody is there: the server's own refusal comes back.
    assert_eq!(refused(7003), io::ErrorKind::ConnectionRefused);
    assert_eq!(refused(7006), io::ErrorKind::ConnectionRefused);
    site.datagram(at(7100), 100).unwrap();

    // All ports of the address, but for those that a service has of its own.
    let all = config.replace("tcp://192.168.1.100:7000-7005", "tcp://192.168.1.100:*");
    daemon.apply(&all);
    wait_for("all ports", || {
        who(&site, 7100).is_ok_and(|who| who == "server3")
    });
    assert_eq!(who(&site, 7002).unwrap(), "server3");
    assert_eq!(who(&site, 82).unwrap(), "server1");
    site.datagram(at(7100), 100).unwrap();

    // A service that goes leaves its port to the host; the others stay.
    let mut stays = Talk::begin(&site, at(83)).unwrap();
    let less = config.replace(
        "[\"tcp://192.168.1.100:81\", \"tcp://192.168.1.100:82\"]",
        "\"tcp://192.168.1.100:82\"",
    );
    daemon.apply(&less);
    wait_for("the listen to go", || refused_at(&site, 81));
    assert_eq!(who(&site, 82).unwrap(), "server1");
    stays.say("as before").unwrap();
    assert!(refused_at(&site, 7006));
}

fn refused_at(site: &Site, port: u16) -> bool {
    who(site, port).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// Datagrams longer than a packet, and a port that nobody listens on: its error comes to the client.
fn datagrams(mode: &str) {
    let site = site(mode, &[7100]);
    let daemon = site.daemon(
        &[
            site.l4(),
            pool("echo", &[1, 2, 3], 0, false),
            service("echo", "\"udp://192.168.1.100:7100-7101\"", mode, "echo"),
        ]
        .concat(),
    );
    site.assert_datagrams(at(7100), 7101);
    drop(daemon);
}

#[test]
fn datagrams_by_nat() {
    if needs_root("datagrams_by_nat") {
        datagrams("nat");
    }
}

#[test]
fn datagrams_by_direct() {
    if needs_root("datagrams_by_direct") {
        datagrams("direct");
    }
}

/// What a client sends is too big once it is wrapped; it is told so, and sends less.
#[test]
fn too_big_for_the_tunnel() {
    if !needs_root("too_big_for_the_tunnel") {
        return;
    }
    let site = site("tunnel", &[7000]);
    let daemon = site.daemon(
        &[
            site.l4(),
            pool("echo", &[1], 7000, false),
            service("echo", "\"tcp://192.168.1.100:7000\"", "tunnel", "echo"),
        ]
        .concat(),
    );
    let mut talk = Talk::begin(&site, at(7000)).unwrap();
    talk.push(1 << 20).unwrap();
    let route = site.expect("client", "ip route get 192.168.1.100");
    assert!(route.contains("mtu 1480"), "{route}");
    drop(daemon);
}

/// A link behind the director has less room than the client's: the director's own word of it reaches the client.
#[test]
fn too_big_for_a_link() {
    if !needs_root("too_big_for_a_link") {
        return;
    }
    let site = site("nat", &[7000]);
    let daemon = site.daemon(
        &[
            site.l4(),
            pool("echo", &[1], 7000, false),
            service("echo", "\"tcp://192.168.1.100:7000\"", "nat", "echo"),
        ]
        .concat(),
    );
    let mut talk = Talk::begin(&site, at(7000)).unwrap();
    talk.push(100_000).unwrap();
    // The server's end too, or its packets do not come in.
    let _ = site.expect("server1", "ip link set eth0 mtu 1300");
    let _ = site.expect("director", "ip link set eth1 mtu 1300");
    talk.push(1 << 20).unwrap();
    // And on the client's side: the server is told by the director, in the service's name.
    let _ = site.expect("client", "ip link set eth0 mtu 1200");
    let _ = site.expect("director", "ip link set eth0 mtu 1200");
    talk.push(1 << 20).unwrap();
    drop(daemon);
}

/// Checks from the director reach servers while the same ports are forwarded, and a backend may be on the director.
#[test]
fn a_local_backend() {
    if !needs_root("a_local_backend") {
        return;
    }
    for mode in ["nat", "direct"] {
        let site = site(mode, &[]);
        let port = 7000;
        for number in 1..3 {
            site.echo(&format!("server{number}"), SocketAddr::from(([0; 4], port)));
        }
        // It must take what comes to the service's address: packets to it are not changed.
        site.echo("director", SocketAddr::from(([0; 4], port)));
        let config = [
            site.l4(),
            pool("echo", &[1, 2], port, true).replace(
                "[{",
                &format!("[{{ address = \"192.168.1.1:{port}\" }}, {{"),
            ),
            service("echo", "\"tcp://192.168.1.100:7000\"", mode, "echo"),
        ]
        .concat();
        let daemon = site.daemon(&config);
        wait_for_up(&daemon, 3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..9 {
            let _ = seen
                .insert(who(&site, 7000).unwrap_or_else(|e| panic!("{mode}: {e}, after {seen:?}")));
        }
        assert_eq!(seen.len(), 3, "{mode}: {seen:?}");
        still_up(&daemon);
    }
}

fn still_up(daemon: &Daemon) {
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        states(daemon).iter().all(|state| state == "up"),
        "{}",
        daemon.log()
    );
}
