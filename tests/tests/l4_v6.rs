//! Services of the kernel's over IPv6: datagrams in fragments, errors of ICMPv6, what is too big for a tunnel. Root
//! only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv6Addr, SocketAddr};

use e2e::{Daemon, Site, Talk, needs_root};

const VIP: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x100);
const PORT: u16 = 7000;

/// A site whose servers echo, by TCP and UDP.
fn start(mode: &str) -> (Daemon, Site) {
    let site = Site::new(&format!("--mode {mode} --family 6"));
    site.echo_at_servers(mode, &[PORT]);
    let daemon = site.daemon(&format!(
        "{}[[pool]]\nname = \"echo\"\nbalance = \"rr\"\n\
         backends = [{{ address = \"[fd00:2::11]\" }}, {{ address = \"[fd00:2::12]\" }}, {{ address = \"[fd00:2::13]\" }}]\n\
         [[service]]\nname = \"tcp\"\nlisten = \"tcp://[{VIP}]:{PORT}\"\nforward = \"{mode}\"\npool = \"echo\"\n\
         [[service]]\nname = \"udp\"\nlisten = \"udp://[{VIP}]:7000-7001\"\nforward = \"{mode}\"\npool = \"echo\"\n",
        site.l4(),
    ));
    (daemon, site)
}

fn datagrams(mode: &str) {
    let (_daemon, site) = start(mode);
    site.assert_datagrams(SocketAddr::from((VIP, PORT)), 7001);
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
    let (_daemon, site) = start("tunnel");
    let to = SocketAddr::from((VIP, PORT));
    let mut talk = Talk::begin(&site, to).unwrap();
    talk.push(1 << 20).unwrap();
    let route = site.expect("client", &format!("ip route get {VIP}"));
    assert!(route.contains("mtu 1460"), "{route}");
}

/// The client's link has less room than the server's: the router on the way says so to the service's address, and the
/// server is the one who must hear it.
#[test]
fn too_big_for_the_client() {
    if !needs_root("too_big_for_the_client") {
        return;
    }
    let (_daemon, site) = start("nat");
    let to = SocketAddr::from((VIP, PORT));
    let mut talk = Talk::begin(&site, to).unwrap();
    talk.push(100_000).unwrap();
    let _ = site.expect("director", "ip link set eth0 mtu 1400");
    let _ = site.expect("client", "ip link set eth0 mtu 1400");
    talk.push(1 << 20).unwrap();
}
