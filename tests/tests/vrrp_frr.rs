//! Virtual addresses between aplomb and FRR's vrrpd, in both roles. FRR keeps the address on its macvlan device and takes the
//! device down while it is backup, so its state is asked of it.

#![expect(clippy::unwrap_used, reason = "tests")]

use e2e::{Daemon, Frr, Pair, needs_root, wait_for};
use rustix::process::Signal;

const SETUP: &str = "ip link add vrrp4-2-1 link eth0 type macvlan mode bridge && \
    ip link set dev vrrp4-2-1 address 00:00:5e:00:01:33 && ip addr add 10.77.0.100/24 dev vrrp4-2-1 && \
    ip link set dev vrrp4-2-1 up";

fn frr(pair: &Pair, version: u8, interval: u32, priority: u8) -> Frr {
    let config = format!(
        "interface eth0\n vrrp 51 version {version}\n vrrp 51 priority {priority}\n \
         vrrp 51 advertisement-interval {interval}\n vrrp 51 ip 10.77.0.100\n"
    );
    Frr::start(&pair.net, "two", SETUP, &config)
}

fn aplomb(pair: &Pair, keys: &str, priority: u8) -> Daemon {
    pair.start(
        "one",
        &format!(
            "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\"]\ninterface = \"eth0\"\n\
             vrrp = {{ id = 51, priority = {priority}, {keys} }}\n"
        ),
    )
}

fn vip(daemon: &Daemon) -> serde_json::Value {
    daemon.status().unwrap_or_default()["vips"][0].clone()
}

#[test]
fn aplomb_and_frr_are_each_others_backup() {
    if !needs_root("aplomb_and_frr") {
        return;
    }
    for (version, interval, keys) in [
        (3, 100, "interval = \"100ms\", virtual-mac = true"),
        (
            2,
            1000,
            "version = 2, interval = \"1s\", virtual-mac = true",
        ),
    ] {
        let pair = Pair::new();
        let peer = frr(&pair, version, interval, 150);
        wait_for("FRR to be master", || peer.is("Master"));
        let daemon = aplomb(&pair, keys, 100);
        wait_for("the master to be heard", || {
            vip(&daemon)["master_priority"] == 150
        });
        assert_eq!(vip(&daemon)["state"], "backup");
        drop(peer);
        wait_for("a takeover", || vip(&daemon)["state"] == "master");
        assert_eq!(vip(&daemon)["refused"], serde_json::json!({}));
    }
    for (version, interval, keys) in [
        (3, 100, "interval = \"100ms\", virtual-mac = true"),
        (
            2,
            1000,
            "version = 2, interval = \"1s\", virtual-mac = true",
        ),
    ] {
        let pair = Pair::new();
        let daemon = aplomb(&pair, keys, 150);
        wait_for("aplomb to be master", || vip(&daemon)["state"] == "master");
        let peer = frr(&pair, version, interval, 100);
        wait_for("FRR to be backup", || peer.is("Backup"));
        // It stays so while it hears adverts.
        let sent = || vip(&daemon)["adverts_sent"].as_u64().unwrap();
        let before = sent();
        wait_for("adverts", || sent() > before + 5);
        assert!(peer.is("Backup"), "{}", peer.show());
        daemon.signal(Signal::TERM);
        wait_for("a takeover", || peer.is("Master"));
    }
}
