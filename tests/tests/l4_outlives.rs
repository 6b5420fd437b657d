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
