//! SYN cookies: connections that the director begins with the client before a backend knows of them. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr};

use e2e::{Daemon, Site, needs_root, wait_for_up};

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

/// How often a host had to send TCP segments again.
fn resent(site: &Site, host: &str) -> u64 {
    let line = "awk '$1 == \"Tcp:\" && $13 != \"RetransSegs\" { print $13 }' /proc/net/snmp";
    site.expect(host, line).trim().parse().unwrap()
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
