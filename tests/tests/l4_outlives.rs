//! The kernel's forwarding outlives its daemon: downloads go on, byte for byte, while it is killed, upgraded, told
//! many things, stopped and started. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use e2e::{Daemon, Download, Knocks, Site, needs_root, wait_for, wait_for_up};
use rustix::process::Signal;

/// Length of a download, bytes.
const LONG: usize = 20 << 20;

fn outlives(shape: &str) {
    let site = Site::new(shape);
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    let downloads: Vec<Download> = (0..3).map(|_| Download::begin(&site, LONG)).collect();
    let knocks = Knocks::begin(&site);
    let go_on = |when: &str| downloads.iter().for_each(|d| d.goes_on(when));
    daemon.signal(Signal::KILL);
    go_on("the daemon is killed");
    let answers = ask(&site);
    assert!(answers, "{shape}: new connections without a daemon");
    drop(daemon);
    let daemon = site.daemon(site.config());
    go_on("the daemon is back");
    wait_for_up(&daemon, 3);

    let pid = daemon.pid();
    let _ = daemon.expect_cli(&["upgrade"]);
    wait_for("the new process", || {
        daemon.status().is_some_and(|s| s["pid"] != pid)
    });
    go_on("the program is upgraded");

    changes(&daemon, &site, &downloads);

    let _ = daemon.expect_cli(&["stop"]);
    wait_for("the daemon to end", || daemon.status().is_none());
    go_on("the daemon has stopped");
    assert!(ask(&site), "{shape}: new connections after a stop");
    drop(daemon);
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    go_on("the daemon was started again");
    downloads.into_iter().for_each(Download::finish);
    assert!(knocks.end() > 100);
}

/// Twenty changes of other things than the backends that the downloads come from.
fn changes(daemon: &Daemon, site: &Site, downloads: &[Download]) {
    let plain = site.config();
    let first = format!("{{ address = \"{}\" }}", site.backends()[0]);
    let port = site.backends()[0].rsplit(':').next().unwrap();
    for turn in 0..20 {
        let weighted = first.replace(" }", &format!(", weight = {} }}", turn % 7 + 1));
        let net = if site.service().starts_with('[') {
            "[fd00:2::77]"
        } else {
            "10.0.0.77"
        };
        let other = format!("  {{ address = \"{net}:{port}\" }},\n");
        let added = if turn % 2 == 0 { other.as_str() } else { "" };
        let config = plain.replacen(&first, &weighted, 1);
        let config = config.replacen("]\n\n[[service]]", &format!("{added}]\n\n[[service]]"), 1);
        daemon.apply(&config);
    }
    for download in downloads {
        download.goes_on("much has changed");
    }
    daemon.apply(plain);
}

fn ask(site: &Site) -> bool {
    let url = format!("http://{}/", site.service());
    let curl = format!("curl -sS --max-time 20 '{url}'");
    (0..6).all(|_| site.expect("client", &curl).starts_with("backend "))
}

macro_rules! outlived {
    ($($name:ident: $shape:literal),* $(,)?) => { $(
        #[test]
        fn $name() {
            if needs_root(stringify!($name)) {
                outlives($shape);
            }
        }
    )* };
}

outlived! {
    nat_over_ipv4: "--mode nat --family 4",
    nat_over_ipv6: "--mode nat --family 6",
    direct_over_ipv4: "--mode direct --family 4",
    direct_over_ipv6: "--mode direct --family 6",
    tunnel_over_ipv4: "--mode tunnel --family 4",
    tunnel_over_ipv6: "--mode tunnel --family 6",
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
