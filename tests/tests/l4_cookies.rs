//! SYN cookies: connections that the director begins with the client before a backend knows of them. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{ErrorKind, Read},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use e2e::{Daemon, Flood, Site, Talk, needs_root, wait_for, wait_for_up};

/// Length of a download, bytes.
const LONG: usize = 20 << 20;

/// The site's own configuration with cookies.
fn config(site: &Site, cookies: &str) -> String {
    let forward = "forward = \"nat\"";
    assert!(site.config().contains(forward), "{}", site.config());
    site.config()
        .replace(forward, &format!("{forward}\nsyn-cookies = {cookies}"))
}

/// What the first service says of its cookies.
fn cookies(daemon: &Daemon) -> serde_json::Value {
    let status = daemon.status().unwrap();
    let services = status["services"].as_array().unwrap();
    let kernel = services.iter().find(|s| s["kernel"].is_object());
    kernel.unwrap()["kernel"]["cookies"].clone()
}

fn count(daemon: &Daemon, what: &str) -> u64 {
    cookies(daemon)[what].as_u64().unwrap()
}

/// How often a host had to send a SYN or SYN-ACK again.
fn resent(site: &Site, host: &str) -> u64 {
    let told = site.expect(host, "cat /proc/net/netstat");
    let mut lines = told.lines().filter(|l| l.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split_whitespace().zip(values.split_whitespace());
    let found = both.find(|(name, _)| *name == "TCPSynRetrans");
    found.unwrap().1.parse().unwrap()
}

fn downloads(shape: &str) {
    let site = Site::new(shape);
    let daemon = site.daemon(&config(&site, "true"));
    wait_for_up(&daemon, 3);
    let file = daemon.dir().join("download");
    let url = format!("http://{}/bytes/{LONG}", site.service());
    for _ in 0..3 {
        let curl = format!("curl -sS --max-time 60 -o '{}' '{url}'", file.display());
        let _ = site.expect("client", &curl);
        let got = std::fs::read(&file).unwrap();
        assert_eq!(got.len(), LONG);
        let mut words = got.chunks(4).zip(0_u32..);
        let wrong = words.find(|(word, at)| *word != at.wrapping_mul(0x9e37_79b1).to_le_bytes());
        assert_eq!(wrong, None);
    }
    assert_eq!((count(&daemon, "sent"), count(&daemon, "accepted")), (3, 3));
    assert_eq!(count(&daemon, "bad"), 0);
}

#[test]
fn downloads_come_whole_over_ipv4() {
    if needs_root("downloads_come_whole_over_ipv4") {
        downloads("--mode nat --family 4");
    }
}

#[test]
fn downloads_come_whole_over_ipv6() {
    if needs_root("downloads_come_whole_over_ipv6") {
        downloads("--mode nat --family 6 --one-arm");
    }
}

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
const PORT: u16 = 7000;
/// Nobody listens there.
const CLOSED: u16 = 7001;

/// A site whose servers echo, with these cookies on all services, and another service that nobody serves.
fn echoes(cookies: &str, more: &str) -> (Daemon, Site) {
    let site = Site::new("--mode nat");
    for host in ["server1", "server2", "server3"] {
        site.echo(host, SocketAddr::from(([0; 4], PORT)));
    }
    let pin = site.config().lines().find(|l| l.starts_with("pin"));
    let backends: Vec<_> = (1..4)
        .map(|n| format!("{{ address = \"10.0.0.1{n}\" }}"))
        .collect();
    let service = |name: &str, port: u16| {
        format!(
            "[[service]]\nname = \"{name}\"\nlisten = \"tcp://{VIP}:{port}\"\nforward = \"nat\"\n\
             syn-cookies = {cookies}\npool = \"echo\"\n"
        )
    };
    let daemon = site.daemon(&format!(
        "[l4]\n{}\n{more}\n[[pool]]\nname = \"echo\"\nbalance = \"rr\"\nbackends = [{}]\n{}{}",
        pin.unwrap(),
        backends.join(", "),
        service("echo", PORT),
        service("closed", CLOSED),
    ));
    (daemon, site)
}

/// The server speaks first, and the client not at all: what the client sends to complete the server's handshake is what
/// we have it send.
#[test]
fn the_server_may_speak_first() {
    if !needs_root("the_server_may_speak_first") {
        return;
    }
    let (daemon, site) = echoes("true", "");
    let service = SocketAddr::from((VIP, PORT));
    // The ways to all three are found by the first that go there.
    for _ in 0..3 {
        let _ = Talk::begin(&site, service).unwrap();
    }
    let hosts = ["client", "server1", "server2", "server3"];
    let before = hosts.map(|host| resent(&site, host));
    for _ in 0..30 {
        let mut stream = site.connect(service).unwrap();
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting[..6], b"server");
    }
    assert_eq!(hosts.map(|host| resent(&site, host)), before);
    assert_eq!(count(&daemon, "accepted"), 33);
}

/// Both ways at once, over connections that last.
#[test]
fn much_goes_both_ways() {
    if !needs_root("much_goes_both_ways") {
        return;
    }
    let (daemon, site) = echoes("true", "");
    let mut talks = Talk::begin_many(&site, SocketAddr::from((VIP, PORT)), 6).unwrap();
    for talk in &mut talks {
        talk.push(4 << 20).unwrap();
    }
    // A smaller link behind us: the server hears of it in the numbers that it knows.
    let _ = site.expect("director", "ip link set eth0 mtu 1400");
    let _ = site.expect("client", "ip link set eth0 mtu 1400");
    for talk in &mut talks {
        talk.push(1 << 20).unwrap();
        talk.say("still here").unwrap();
    }
    drop(daemon);
}

/// A server that refuses is not known when the client's handshake ends; the client hears of it then.
#[test]
fn a_refusal_reaches_the_client() {
    if !needs_root("a_refusal_reaches_the_client") {
        return;
    }
    let (_daemon, site) = echoes("true", "");
    for _ in 0..6 {
        // It may come before the connection is even in our hands.
        let stream = site.connect(SocketAddr::from((VIP, CLOSED)));
        let refused = stream.and_then(|mut s| s.read(&mut [0])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionReset, "{refused}");
    }
}

/// SYNs of a flood.
const SYNS: u32 = 200_000;
/// Handshakes that the table holds, and of one service before cookies answer.
const HANDSHAKES: u64 = 65_536;
const OPEN: u64 = HANDSHAKES / 8;

/// Without need there are none; in a flood they keep the table of handshakes from filling, and clients get through.
#[test]
fn a_flood_brings_cookies_about() {
    if !needs_root("a_flood_brings_cookies_about") {
        return;
    }
    let more = format!("max-handshakes = {HANDSHAKES}\nmax-flows = 16384\n");
    let (daemon, site) = echoes("\"auto\"", &more);
    let service = SocketAddr::from((VIP, PORT));
    let mut talks = Talk::begin_many(&site, service, 100).unwrap();
    assert_eq!(count(&daemon, "sent"), 0);
    let flood = Flood::begin(&site, SocketAddrV4::new(VIP, PORT), SYNS);
    let mut rounds = 0;
    while !flood.is_finished() || rounds == 0 {
        let mut new = Talk::begin(&site, service).unwrap();
        new.say("new").unwrap();
        for talk in &mut talks {
            talk.say("established").unwrap();
        }
        rounds += 1;
    }
    assert_eq!(flood.end(), SYNS);
    let told = cookies(&daemon);
    assert_eq!(told["active"], true, "{told}");
    assert!(count(&daemon, "sent") > u64::from(SYNS) / 2, "{told}");
    // What came while it was being counted may be counted twice.
    assert!(count(&daemon, "open") <= 2 * OPEN, "{told}");
    let mut after = Talk::begin_many(&site, service, 20).unwrap();
    assert!(count(&daemon, "accepted") >= 20, "{told}");
    for talk in talks.iter_mut().chain(&mut after) {
        talk.say("after all").unwrap();
    }
    wait_for("a look at the table", || filled(&daemon) > 0);
    assert!(filled(&daemon) <= 4 * OPEN, "of {HANDSHAKES}");
}

/// Entries of the table of handshakes.
fn filled(daemon: &Daemon) -> u64 {
    let status = daemon.status().unwrap();
    let tables = status["l4"]["tables"].as_array().unwrap();
    let table = tables.iter().find(|t| t["table"] == "PENDING4");
    table.map_or(0, |t| t["used"].as_u64().unwrap())
}
