//! `accept = false`: the host's own stack takes no packets to an address, the link knows it all the same, and what the kernel
//! forwards goes on.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Output;

use e2e::{Daemon, Pair, Site, needs_root, wait_for, wait_for_up, without_packet_filter};
use rustix::process::Signal;

fn config(priority: u8, vrrp: &str) -> String {
    format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\", \"fd77::100/64\"]\n\
         interface = \"eth0\"\n[vip.vrrp]\nid = 51\npriority = {priority}\ninterval = \"100ms\"\n{vrrp}\n"
    )
}

const REFUSES: &str = "accept = false\npreempt = false";

fn ping(pair: &Pair, from: &str, to: &str) -> bool {
    let line = format!("ping -c 1 -W 1 {to}");
    pair.net.run(from, &line).status.success()
}

/// Where the client has an address.
fn client_mac(pair: &Pair, address: &str) -> String {
    let shown = pair.net.run("client", &format!("ip neigh show {address}"));
    let shown = String::from_utf8(shown.stdout).unwrap();
    let mut words = shown
        .split_whitespace()
        .skip_while(|word| *word != "lladdr");
    words.nth(1).unwrap_or_default().to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn table(pair: &Pair, host: &str) -> String {
    said(&pair.net.run(host, "nft list ruleset"))
}

fn vip(daemon: &Daemon) -> serde_json::Value {
    daemon.status().unwrap_or_default()["vips"][0].clone()
}

#[test]
fn an_address_that_takes_nothing_is_on_the_link() {
    if !needs_root("an_address_that_takes_nothing") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(150, REFUSES));
    wait_for("both addresses", || {
        pair.has("one") && pair.holds("one", "fd77::100")
    });
    for address in ["10.77.0.100", "fd77::100"] {
        assert!(!ping(&pair, "client", address), "{address} answers");
        // Neighbours learn it all the same, by asking: what was announced is forgotten.
        let _ = pair
            .net
            .run("client", &format!("ip neigh del {address} dev eth0"));
        let _ = ping(&pair, "client", address);
        assert_eq!(client_mac(&pair, address), pair.mac("one"), "{address}");
    }
    // A solicitation to the address itself is answered too: whoever knows it makes sure of it that way.
    let line = "ip -6 neigh change fd77::100 dev eth0 nud probe";
    assert!(pair.net.run("client", line).status.success());
    wait_for("it to be reachable", || {
        said(&pair.net.run("client", "ip -6 neigh show fd77::100")).contains("REACHABLE")
    });
    // Its other addresses take what they took.
    assert!(ping(&pair, "client", "10.77.0.1") && ping(&pair, "client", "fd77::1"));
    let shown = one.expect_cli(&["vrrp", "status"]);
    assert!(
        shown.contains("accept = false") && !shown.contains("error:"),
        "{shown}"
    );

    // And with it, as without the key.
    one.apply(&config(150, ""));
    wait_for("it to take packets", || {
        ping(&pair, "client", "10.77.0.100") && ping(&pair, "client", "fd77::100")
    });
    assert_eq!(table(&pair, "one"), "");
    assert!(pair.has("one"));
}

#[test]
fn it_outlives_a_crash_and_goes_with_the_vip() {
    if !needs_root("it_outlives_a_crash") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(150, REFUSES));
    let two = pair.start("two", &config(100, REFUSES));
    pair.wait_master("one");
    // Armed on the backup too.
    assert!(table(&pair, "two").contains("10.77.0.100"));
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    one.signal(Signal::KILL);
    wait_for("the other to take over", || pair.has("two"));
    assert!(!ping(&pair, "client", "10.77.0.100"));
    // The address stays on the dead node, and takes nothing there either.
    assert!(pair.has("one") && !ping(&pair, "one", "10.77.0.100"));

    // Back with another configuration: nothing is refused any more that is not to be.
    let back = pair.start("one", &config(150, "preempt = false"));
    wait_for("what was left to go", || {
        !pair.has("one") && table(&pair, "one").is_empty()
    });
    two.signal(Signal::TERM);
    wait_for("the first to have it", || pair.has("one"));
    wait_for("it to answer", || ping(&pair, "client", "10.77.0.100"));
    assert_eq!(table(&pair, "two"), "");
    assert_eq!(vip(&back)["refuses"], false);
}

#[test]
fn an_upgrade_goes_on_refusing() {
    if !needs_root("an_upgrade_goes_on_refusing") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(150, REFUSES));
    wait_for("the address", || pair.has("one"));
    let before = one.pid();
    let _ = one.expect_cli(&["upgrade"]);
    wait_for("the successor", || {
        one.status().is_some() && one.pid() != before
    });
    wait_for("it to be master", || vip(&one)["state"] == "master");
    assert!(!ping(&pair, "client", "10.77.0.100"));
    let refused = table(&pair, "one");
    assert!(
        refused.contains("10.77.0.100") && refused.contains("fd77::100"),
        "{refused}"
    );
}

#[test]
fn without_nf_tables_the_address_is_held_and_it_is_said_that_it_takes_packets() {
    if !needs_root("without_nf_tables_the_address_is_held") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start_with("one", &config(150, REFUSES), without_packet_filter);
    wait_for("both addresses", || {
        pair.has("one") && pair.holds("one", "fd77::100")
    });
    let complains = |vip: &serde_json::Value| {
        let error = vip["error"].as_str().unwrap_or_default();
        error.contains("packets to it are taken all the same") && error.contains("not supported")
    };
    wait_for("it to be said", || complains(&vip(&one)));
    assert_eq!(vip(&one)["state"], "master");
    let shown = one.expect_cli(&["vrrp", "status"]);
    assert!(shown.contains("taken all the same"), "{shown}");
    let log = one.log();
    assert!(log.contains("`accept = false` does not hold"), "{log}");
    assert_eq!(table(&pair, "one"), "");
    for address in ["10.77.0.100", "fd77::100"] {
        wait_for("it to answer", || ping(&pair, "client", address));
    }

    // It hands over as ever, and the other, whose kernel has them, refuses.
    let two = pair.start("two", &config(100, REFUSES));
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    let _ = one.expect_cli(&["vrrp", "release", "edge"]);
    pair.wait_master("two");
    assert!(vip(&two)["error"].is_null(), "{}", vip(&two));
    assert!(!ping(&pair, "client", "10.77.0.100"));
    // Without the key nothing is missing.
    one.apply(&config(150, "preempt = false"));
    wait_for("nothing to be wrong", || vip(&one)["error"].is_null());
}

/// The program takes what it forwards before the filter sees it.
#[test]
fn services_of_the_kernel_go_on() {
    if !needs_root("services_of_the_kernel_go_on") {
        return;
    }
    let site = Site::new("--mode nat");
    let address = site.service_address().ip();
    let vip = format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"{address}/24\"]\ninterface = \"eth0\"\n\
         vrrp = {{ id = 51, interval = \"100ms\", accept = false }}\n"
    );
    let small = "[l4]\nmax-flows = 20000\nmax-handshakes = 8192\n";
    let config = site.config().replacen("[l4]\n", small, 1);
    let daemon = site.daemon(&format!("{config}{vip}"));
    wait_for_up(&daemon, 3);
    wait_for("the address", || {
        let status = daemon.status().unwrap_or_default();
        status["vips"][0]["held"] == true
    });
    let ping = format!("ping -c 1 -W 1 {address}");
    assert!(!site.run("client", &ping).status.success());
    let curl = format!("curl -sS --max-time 20 'http://{}/'", site.service());
    for _ in 0..6 {
        assert!(site.expect("client", &curl).starts_with("backend "));
    }
    // What the program does not forward is for the host, which does not take it: nobody even refuses.
    let elsewhere = format!("curl -sS --connect-timeout 1 'http://{address}:81/'");
    let said = site.run("client", &elsewhere);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("timed out") || said.contains("Timeout"),
        "{said}"
    );
    let filtered = site.expect("director", "nft list ruleset");
    let rule = filtered.lines().find(|line| line.contains("ip daddr"));
    let counted = rule.is_some_and(|rule| rule.contains("counter") && !rule.contains("packets 0 "));
    assert!(counted, "{filtered}");
}
