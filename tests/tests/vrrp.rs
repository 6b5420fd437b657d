//! Virtual addresses between two aplombs: who has them when one is killed, stopped, cut off, released or returns.

#![expect(clippy::unwrap_used, reason = "tests")]

use e2e::{Daemon, Net, Pair, needs_root, wait_for};
use rustix::process::Signal;

/// The nodes of a test, with one virtual router: `one` has the greater priority.
fn pair(more: &str) -> (Pair, Daemon, Daemon) {
    let pair = Pair::new();
    let one = pair.start("one", &config(150, more));
    let two = pair.start("two", &config(100, more));
    (pair, one, two)
}

fn config(priority: u8, more: &str) -> String {
    format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\"]\ninterface = \"eth0\"\n\
         vrrp = {{ id = 51, priority = {priority}, interval = \"100ms\"{more} }}\n"
    )
}

#[test]
fn the_better_node_has_the_address_and_the_other_takes_over_when_it_is_killed() {
    if !needs_root("the_better_node_has_the_address") {
        return;
    }
    let (pair, one, two) = pair("");
    pair.wait_master("one");
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    // What the client knows of the link leads to the new master by its announcement.
    assert!(pair.client_reaches());
    one.signal(Signal::KILL);
    wait_for("the other to take over", || pair.has("two"));
    wait_for("the client to follow", || {
        pair.client_mac() == pair.mac("two")
    });
    assert!(pair.client_reaches());
    let log = two.log();
    assert!(
        log.contains("vip edge (ipv4) is master: no master was heard for"),
        "{log}"
    );
}

#[test]
fn an_orderly_end_releases_at_once_and_the_address_is_gone() {
    if !needs_root("an_orderly_end_releases") {
        return;
    }
    let (pair, one, two) = pair("");
    pair.wait_master("one");
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    one.signal(Signal::TERM);
    wait_for("the other to take over", || pair.has("two"));
    wait_for("the address to be gone", || !pair.has("one"));
    assert_eq!(vip(&two)["releases_received"], 1);
    assert!(two.log().contains("is master: the master left"));
}

#[test]
fn a_cut_cable_is_a_fault_and_the_address_comes_back_with_it() {
    if !needs_root("a_cut_cable_is_a_fault") {
        return;
    }
    let (pair, one, two) = pair("");
    pair.wait_master("one");
    pair.net.cable("one", false);
    wait_for("a fault", || vip(&one)["state"] == "fault");
    wait_for("the other to take over", || {
        pair.has("two") && !pair.has("one")
    });
    pair.net.cable("one", true);
    wait_for("the better one to preempt", || {
        pair.has("one") && !pair.has("two")
    });
    assert_eq!(vip(&two)["state"], "backup");
}

#[test]
fn without_preemption_a_node_that_returns_waits() {
    if !needs_root("without_preemption") {
        return;
    }
    let (pair, one, two) = pair(", preempt = false");
    // Who comes first stays: whoever that is, the other does not take it away.
    wait_for("a master", || pair.has("one") || pair.has("two"));
    one.signal(Signal::KILL);
    wait_for("the other to take over", || pair.has("two"));
    let back = pair.start("one", &config(150, ", preempt = false"));
    wait_for("it to hear the master", || {
        vip(&back)["master"] == "10.77.0.2"
    });
    // What a process that crashed left is taken off: it is the other's by now.
    wait_for("the left address to be gone", || !pair.has("one"));
    // Ten adverts more, of a master that it would preempt.
    let heard = adverts(&back);
    wait_for("adverts", || adverts(&back) > heard + 10);
    assert_eq!(vip(&back)["state"], "backup");
    assert_eq!(vip(&two)["state"], "master");
}

fn adverts(daemon: &Daemon) -> u64 {
    vip(daemon)["adverts_received"].as_u64().unwrap()
}

#[test]
fn an_operator_hands_over_and_takes_back() {
    if !needs_root("an_operator_hands_over") {
        return;
    }
    let (pair, one, two) = pair("");
    pair.wait_master("one");
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    let refused = two.cli(&["vrrp", "release", "edge"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it is not master"));
    let _ = one.expect_cli(&["vrrp", "release", "edge"]);
    wait_for("the other to have it", || {
        pair.has("two") && !pair.has("one")
    });
    let shown = one.expect_cli(&["vrrp", "status"]);
    assert!(shown.contains("handed over by an operator"), "{shown}");
    let _ = one.expect_cli(&["vrrp", "resume", "edge"]);
    wait_for("it to preempt again", || {
        pair.has("one") && !pair.has("two")
    });
    let _ = two.expect_cli(&["vrrp", "promote", "edge"]);
    wait_for("the lesser one to have it", || {
        pair.has("two") && !pair.has("one")
    });
    let missing = two.cli(&["vrrp", "promote", "nil"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no group"));
}

#[test]
fn configurations_add_change_and_remove_vips() {
    if !needs_root("configurations_add_change_and_remove") {
        return;
    }
    let (pair, one, two) = pair("");
    pair.wait_master("one");
    let second = config(150, "").replace(
        "\"10.77.0.100/24\"]",
        "\"10.77.0.100/24\"]\nexcluded = [\"fd77::100/64\", \"10.77.0.101/24\"]",
    );
    one.apply(&second);
    wait_for("the address that was added", || {
        pair.holds("one", "10.77.0.101")
    });
    assert!(pair.holds("one", "fd77::100") && pair.has("one"));
    one.apply(&config(150, ""));
    wait_for("it to go again", || !pair.holds("one", "10.77.0.101"));
    assert!(pair.has("one"));
    // Less than the other: that one preempts.
    one.apply(&config(50, ""));
    wait_for("the other to preempt", || {
        pair.has("two") && !pair.has("one")
    });
    two.apply("");
    wait_for("the vip to be gone", || !pair.has("two"));
    wait_for("the first to have it again", || pair.has("one"));
    assert!(two.status().unwrap().get("vips").is_none());
}

#[test]
fn both_families_move_together_by_unicast_with_keys() {
    if !needs_root("both_families_move_together") {
        return;
    }
    let pair = Pair::new();
    let key = pair.dir().join("key");
    std::fs::write(&key, "a5".repeat(32)).unwrap();
    let config = |priority: u8, peer: u8, group: &str| {
        format!(
            "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\", \"fd77::100/64\"]\ninterface = \"eth0\"\n\
             vrrp = {{ id = 51, priority = {priority}, interval = \"100ms\", group = \"{group}\", peers = [\"10.77.0.{peer}\", \
             \"fd77::{peer}\"], source = [\"10.77.0.{own}\", \"fd77::{own}\"], auth = {{ keys = [{{ id = 1, key = {{ file = \
             \"{key}\" }} }}] }} }}\n",
            own = 3 - peer,
            key = key.display()
        )
    };
    let one = pair.start("one", &config(150, 2, "site"));
    let two = pair.start("two", &config(100, 1, "site"));
    wait_for("both to be the first's", || {
        pair.has("one") && pair.holds("one", "fd77::100")
    });
    wait_for("the other to hear both", || {
        let status = two.status().unwrap();
        let vips = status["vips"].as_array().unwrap();
        vips.len() == 2
            && vips
                .iter()
                .all(|vip| vip["state"] == "backup" && vip["master_priority"] == 150)
    });
    let _ = one.expect_cli(&["vrrp", "release", "site"]);
    wait_for("both to be the other's", || {
        pair.has("two") && pair.holds("two", "fd77::100") && !pair.holds("one", "fd77::100")
    });
}

#[test]
fn what_is_tracked_takes_priority_or_makes_a_fault_and_hooks_are_told() {
    if !needs_root("what_is_tracked") {
        return;
    }
    let pair = Pair::new();
    let (flag, told) = (pair.dir().join("flag"), pair.dir().join("told"));
    std::fs::write(&flag, "").unwrap();
    let more = format!(
        ", track = [{{ exec = [\"/usr/bin/test\", \"-e\", \"{flag}\"], interval = \"100ms\", weight = -100 }}, {{ interface = \"lo\" }}, \
         {{ process = \"no-such-thing\", weight = -1, interval = \"100ms\" }}], notify = [\"/bin/sh\", \"-c\", \"echo $APLOMB_VIP $APLOMB_STATE >> {told}\"]",
        flag = flag.display(),
        told = told.display()
    );
    let one = pair.start("one", &config(150, &more));
    let _two = pair.start("two", &config(100, ""));
    pair.wait_master("one");
    wait_for("what does not run to cost", || vip(&one)["priority"] == 149);
    std::fs::remove_file(&flag).unwrap();
    wait_for("the other to preempt", || {
        pair.has("two") && !pair.has("one")
    });
    assert_eq!(vip(&one)["priority"], 49);
    std::fs::write(&flag, "").unwrap();
    wait_for("it to come back", || pair.has("one") && !pair.has("two"));
    assert!(pair.net.run("one", "ip link set lo down").status.success());
    wait_for("a fault", || vip(&one)["state"] == "fault");
    wait_for("the other to have it", || {
        pair.has("two") && !pair.has("one")
    });
    let all = "edge backup\nedge master\nedge backup\nedge master\nedge fault\n";
    wait_for("hooks", || {
        std::fs::read_to_string(&told).unwrap_or_default() == all
    });
}

#[test]
fn a_service_without_backends_hands_over_and_listens_without_the_address() {
    if !needs_root("a_service_without_backends") {
        return;
    }
    let pair = Pair::new();
    // Nothing listens on the backend's port: the service has none, as soon as that is known.
    let site = |check: &str| {
        format!(
            "[[pool]]\nname = \"web\"\n{check}backends = [\"127.0.0.1:9\"]\n[[service]]\nname = \"shop\"\n\
             listen = \"tcp://10.77.0.100:80\"\npool = \"web\"\n"
        )
    };
    let track = ", track = [{ service = \"shop\" }]";
    let one = pair.start("one", &format!("{}{}", site(""), config(150, track)));
    let two = pair.start("two", &format!("{}{}", site(""), config(100, track)));
    pair.wait_master("one");
    // Bound on both, though only one has the address.
    for daemon in [&one, &two] {
        assert_eq!(
            daemon.status().unwrap()["services"][0]["listen"][0],
            "tcp://10.77.0.100:80"
        );
    }
    let check = "check = { tcp = true, interval = \"100ms\", timeout = \"1s\", fall = 1 }\n";
    one.apply(&format!("{}{}", site(check), config(150, track)));
    wait_for("the other to have it", || {
        pair.has("two") && !pair.has("one")
    });
    let fault = vip(&one)["faults"][0].to_string();
    assert!(fault.contains("0 of its backends are up"), "{fault}");
}

#[test]
fn an_upgrade_keeps_the_address_and_the_role() {
    if !needs_root("an_upgrade_keeps_the_address") {
        return;
    }
    let (pair, one, two) = pair("");
    pair.wait_master("one");
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    let before = one.pid();
    let _ = one.expect_cli(&["upgrade"]);
    wait_for("the successor", || {
        one.status().is_some() && one.pid() != before
    });
    wait_for("it to be master", || vip(&one)["state"] == "master");
    assert!(pair.has("one"));
    assert_eq!(vip(&two)["became_master"], 0);
}

#[test]
fn a_virtual_mac_is_where_the_address_is_on_whichever_node() {
    if !needs_root("a_virtual_mac") {
        return;
    }
    let (pair, one, two) = pair(", virtual-mac = true");
    wait_for("the first to have it", || vip(&one)["state"] == "master");
    // Though its adverts come from the MAC address that the other has a device for.
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    assert_eq!(vip(&two)["state"], "backup");
    wait_for("the client to reach it", || pair.client_reaches());
    assert_eq!(pair.client_mac(), "00:00:5e:00:01:33");
    one.signal(Signal::KILL);
    // The link of the dead node would still answer: it is another machine that died.
    pair.net.cable("one", false);
    wait_for("the other to be reached", || pair.client_reaches());
    assert_eq!(pair.client_mac(), "00:00:5e:00:01:33");
}

/// The vip as a node shows it.
fn vip(daemon: &Daemon) -> serde_json::Value {
    let status = daemon.status().unwrap_or_default();
    status["vips"][0].clone()
}

#[test]
fn a_node_without_rights_says_so() {
    if !needs_root("a_node_without_rights") {
        return;
    }
    let net = Net::new(&["alone"]);
    let daemon = Daemon::start_by(
        &mut net.command("alone", e2e::program().to_str().unwrap()),
        "",
    );
    daemon.write(&config(100, ""));
    let refused = daemon.cli(&["apply", "-c", daemon.config().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("CAP_NET_RAW"),
        "{said}"
    );
}
