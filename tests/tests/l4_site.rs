//! The site of layer 4 itself, before anything is balanced in it: what the other tests of the kernel's forwarding rest
//! on. Root only.

use e2e::{Site, needs_root, wait_for};

const SHAPES: [&str; 8] = [
    "--mode nat",
    "--mode nat --one-arm",
    "--mode direct",
    "--mode direct --one-arm --family 6",
    "--mode tunnel",
    "--mode tunnel --one-arm",
    "--mode nat --family 6",
    "--mode direct --family 6",
];

/// Each server answers the director, whose checks it must pass, at its own address.
#[test]
fn servers_answer_their_director() {
    if !needs_root("servers_answer_their_director") {
        return;
    }
    for shape in SHAPES {
        let site = Site::new(shape);
        for backend in site.backends() {
            let url = format!("http://{backend}/healthz");
            let curl = format!("curl -sS --max-time 2 '{url}'");
            wait_for(&format!("{backend} of {shape}"), || {
                site.run("director", &curl).stdout == b"ok\n"
            });
        }
    }
}

/// A server that has the service's address must not be found by it: the director alone is.
#[test]
fn servers_keep_silent_about_the_service() {
    if !needs_root("servers_keep_silent_about_the_service") {
        return;
    }
    for (shape, vip) in [
        ("--family 4", "192.168.1.100"),
        ("--family 6", "fd00:1::100"),
    ] {
        let site = Site::new(&format!("--mode direct --one-arm {shape}"));
        let link = site.expect("director", "ip -o link show eth0");
        let words: Vec<&str> = link.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "link/ether");
        let mac = at.and_then(|at| words.get(at + 1)).copied();
        let mac = mac.unwrap_or_else(|| panic!("no address in {link}"));
        for _ in 0..5 {
            let _ = site.run("client", &format!("ip neigh del {vip} dev eth0"));
            let _ = site.run("client", &format!("ping -c1 -W2 {vip}"));
            let found = site.expect("client", &format!("ip neigh show {vip}"));
            assert!(found.contains(mac), "{found}, not {mac}");
        }
        let addresses = site.expect("server2", "ip addr show dev lo");
        assert!(addresses.contains(vip), "{addresses}");
    }
}

/// A packet that was wrapped by hand comes out at the far end, and is answered with the service's address.
#[test]
fn tunnels_end_at_servers() {
    if !needs_root("tunnels_end_at_servers") {
        return;
    }
    let site = Site::new("--mode tunnel");
    // A datagram to port 9 of the service: refused by an ICMP error, which comes from the service's address.
    let inner = "45000020000040004011000a_c0a8010a_c0a80164_0929_0009_000c_0000_61706c62";
    let inner: String = inner.chars().filter(char::is_ascii_hexdigit).collect();
    let send = |protocol: u8, head: &str| {
        format!(
            "python3 -c 'import socket; p = bytearray.fromhex(\"{inner}\"); p[10:12] = b\"\\0\\0\"; \
             s = sum(int.from_bytes(p[i:i+2], \"big\") for i in range(0, 20, 2)); s = (s & 65535) + (s >> 16); \
             p[10:12] = (65535 - s).to_bytes(2, \"big\"); \
             socket.socket(socket.AF_INET, socket.SOCK_RAW, {protocol}).sendto(bytes.fromhex(\"{head}\") + p, (\"10.0.0.12\", 0))'"
        )
    };
    let refused = || {
        let text = site.expect("server2", "cat /proc/net/snmp");
        let mut udp = text.lines().filter(|line| line.starts_with("Udp:"));
        let (names, values) = (
            udp.next().unwrap_or_default(),
            udp.next().unwrap_or_default(),
        );
        let at = names.split(' ').position(|name| name == "NoPorts");
        let value = at.and_then(|at| values.split(' ').nth(at)?.parse::<u64>().ok());
        value.unwrap_or_else(|| panic!("no count in {text}"))
    };
    for (protocol, head) in [(4, ""), (47, "00000800"), (47, "80000800ffff0000")] {
        let before = refused();
        let _ = site.expect("director", &send(protocol, head));
        wait_for("the packet within", || refused() > before);
    }
}

/// Nothing stays when a site ends, however its holder does.
#[test]
fn sites_leave_nothing() {
    if !needs_root("sites_leave_nothing") {
        return;
    }
    let site = Site::new("--mode nat");
    let names = ["client", "director", "server3"].map(|host| site.namespace(host));
    assert!(names.iter().all(|name| name.exists()));
    drop(site);
    wait_for("the namespaces to go", || {
        names.iter().all(|name| !name.exists())
    });
}
