//! The kernel's forwarding given other tables, and taken off. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use e2e::{Download, Site, needs_root, wait_for, wait_for_up};
use rustix::process::Signal;

/// Length of a download, bytes.
const LONG: usize = 20 << 20;

fn ask(site: &Site) -> bool {
    let url = format!("http://{}/", site.service());
    let curl = format!("curl -sS --max-time 20 '{url}'");
    (0..6).all(|_| site.expect("client", &curl).starts_with("backend "))
}

/// Tables of other sizes, from `apply` and from a start: flows are carried over.
#[test]
fn tables_of_other_sizes() {
    if !needs_root("tables_of_other_sizes") {
        return;
    }
    let site = Site::new("--mode nat");
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    let download = Download::begin(&site, LONG);
    let sized = |flows: u32| {
        let sizes = format!("[l4]\nmax-flows = {flows}\nmax-handshakes = 8192\n");
        site.config().replacen("[l4]\n", &sizes, 1)
    };
    daemon.apply(&sized(20_000));
    download.goes_on("the tables have another size");
    daemon.signal(Signal::KILL);
    drop(daemon);
    let daemon = site.daemon(&sized(40_000));
    download.goes_on("they had another size at the start");
    wait_for("the tables to be counted", || {
        let status = daemon.expect_cli(&["status", "--json"]);
        status.contains("40000")
    });
    download.finish();
}

/// `detach` leaves nothing, and packets to the service are the host's own.
#[test]
fn detached() {
    if !needs_root("detached") {
        return;
    }
    let site = Site::new("--mode nat");
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    assert!(ask(&site));
    let pins = pins(&site);
    assert!(pins.exists());
    let detach = ["detach", "--pin", pins.to_str().unwrap()];
    let _ = daemon.expect_cli(&["stop"]);
    wait_for("the daemon to end", || daemon.status().is_none());
    assert!(ask(&site));
    let said = daemon.expect_cli(&detach);
    assert!(!pins.exists(), "{said}");
    for device in ["eth0", "eth1"] {
        let link = site.expect("director", &format!("ip -o link show {device}"));
        assert!(!link.contains("xdp"), "{link}");
    }
    // Nobody listens there, and the host says so.
    let refused = site.connect(site.service_address());
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    under_a_daemon(&site, &pins, &detach);
    let again = daemon.cli(&detach);
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
    drop(daemon);
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    assert!(ask(&site));
}

/// The same while a daemon runs: it says so, and does not put it on again by itself.
fn under_a_daemon(site: &Site, pins: &std::path::Path, detach: &[&str]) {
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    assert!(ask(site));
    let _ = daemon.expect_cli(detach);
    assert!(!pins.exists());
    wait_for("the status to tell", || {
        daemon.expect_cli(&["status"]).contains("taken off")
    });
    assert!(site.connect(site.service_address()).is_err());
    let _ = daemon.expect_cli(&["stop"]);
    wait_for("the daemon to end", || daemon.status().is_none());
}

fn pins(site: &Site) -> std::path::PathBuf {
    let line = site.config().lines().find(|l| l.starts_with("pin = "));
    line.unwrap().split('"').nth(1).unwrap().into()
}
