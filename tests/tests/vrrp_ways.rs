//! What comes and goes with virtual addresses: routes and rules, on the node that has them and on no other.

#![expect(clippy::unwrap_used, reason = "tests")]

use e2e::{Daemon, Pair, needs_root, wait_for};
use rustix::process::Signal;

const WAYS: &str = r#"
routes = [
  { to = "default", via = "10.77.0.3", src = "10.77.0.100", table = 100, mtu = 1400 },
  { to = "192.0.2.0/24", dev = "eth0", metric = 7 },
  { to = "198.51.100.0/24", kind = "blackhole" },
  { to = "203.0.113.0/24", hops = [{ via = "10.77.0.3", weight = 3 }, { via = "10.77.0.200" }] },
  { to = "10.200.0.0/16", via = "fd77::3" },
  { to = "10.201.0.0/16", via = "172.31.0.1", onlink = true },
  { to = "2001:db8::/32", via = "fd77::3" },
  { to = "2001:db8:1::/48", kind = "prohibit", table = 1000 },
  { to = "::/0", via = "fe80::3", metric = 3, table = 1000 },
]
rules = [
  { priority = 1000, from = "10.77.0.100", table = 100 },
  { priority = 1001, fwmark = "0x10/0xff", iif = "lo", table = 1000 },
  { priority = 1002, to = "198.51.100.0/24", oif = "eth0", action = "prohibit" },
  { priority = 1003, from = "2001:db8::/32", to = "2001:db8:2::/48", action = "blackhole" },
  { priority = 1004, not = true, from = "10.77.0.0/24", uidrange = "1000-1999", table = 1000 },
  { priority = 1005, ipproto = "tcp", sport = 80, dport = "1024-65534", to = "198.51.100.0/24", table = 100 },
  { priority = 1005, to = "198.51.100.0/24", table = 100 },
]
"#;

fn config(priority: u8, ways: &str, vrrp: &str) -> String {
    format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\"]\ninterface = \"eth0\"\n{ways}\n\
         [vip.vrrp]\nid = 51\npriority = {priority}\ninterval = \"100ms\"\n{vrrp}\n"
    )
}

/// The routes that a node has from vips, and its rules but for the kernel's own, one a line with single spaces.
fn ways(pair: &Pair, host: &str) -> Vec<String> {
    let line = "ip -4 route show table all proto 97; ip -6 route show table all proto 97; \
                ip -4 rule show; ip -6 rule show";
    let said = pair.net.run(host, line);
    let said = String::from_utf8(said.stdout).unwrap();
    let lines = said.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ")
    });
    let kernel = |line: &String| line.ends_with("lookup local") || line.ends_with("lookup main");
    let own = lines.filter(|line| !kernel(line) && !line.ends_with("lookup default"));
    // Hops of a route have lines of their own.
    let mut all: Vec<String> = Vec::new();
    for line in own {
        match all.last_mut().filter(|_| line.starts_with("nexthop")) {
            Some(last) => *last = format!("{last} {line}"),
            None => all.push(line),
        }
    }
    all
}

fn vip(daemon: &Daemon) -> serde_json::Value {
    daemon.status().unwrap_or_default()["vips"][0].clone()
}

fn expected() -> Vec<&'static str> {
    vec![
        "default via 10.77.0.3 dev eth0 table 100 src 10.77.0.100 mtu 1400",
        "10.200.0.0/16 via inet6 fd77::3 dev eth0",
        "10.201.0.0/16 via 172.31.0.1 dev eth0 onlink",
        "192.0.2.0/24 dev eth0 scope link metric 7",
        "blackhole 198.51.100.0/24",
        "203.0.113.0/24 nexthop via 10.77.0.3 dev eth0 weight 3 nexthop via 10.77.0.200 dev eth0 weight 1",
        "prohibit 2001:db8:1::/48 dev lo table 1000 metric 1024 pref medium",
        "default via fe80::3 dev eth0 table 1000 metric 3 pref medium",
        "2001:db8::/32 via fd77::3 dev eth0 metric 1024 pref medium",
        "1000: from 10.77.0.100 lookup 100 proto 97",
        "1001: from all fwmark 0x10/0xff iif lo lookup 1000 proto 97",
        "1002: from all to 198.51.100.0/24 oif eth0 prohibit proto 97",
        "1003: from 2001:db8::/32 to 2001:db8:2::/48 blackhole proto 97",
        "1004: not from 10.77.0.0/24 uidrange 1000-1999 lookup 1000 proto 97",
        "1005: from all to 198.51.100.0/24 ipproto tcp sport 80 dport 1024-65534 lookup 100 proto 97",
        "1005: from all to 198.51.100.0/24 lookup 100 proto 97",
    ]
}

fn all_there(pair: &Pair, host: &str) -> bool {
    let (mut there, mut expected) = (ways(pair, host), expected());
    there.sort();
    expected.sort_unstable();
    there == expected
}

#[test]
fn routes_and_rules_are_where_the_address_is() {
    if !needs_root("routes_and_rules_are_where_the_address_is") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(150, WAYS, "preempt = false"));
    pair.wait_master("one");
    wait_for("routes and rules", || all_there(&pair, "one"));
    assert_eq!(ways(&pair, "one").len(), expected().len());
    let two = pair.start("two", &config(100, WAYS, "preempt = false"));
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    assert_eq!(ways(&pair, "two"), Vec::<String>::new());

    // Killed: what it had stays, until it comes back as a backup.
    one.signal(Signal::KILL);
    wait_for("the other to take over", || all_there(&pair, "two"));
    assert!(all_there(&pair, "one"));
    let one = pair.start("one", &config(150, WAYS, "preempt = false"));
    wait_for("what was left to go", || {
        ways(&pair, "one").is_empty() && !pair.has("one")
    });
    assert_eq!(vip(&one)["state"], "backup");

    // An orderly end takes all with it, and the other has it.
    two.signal(Signal::TERM);
    wait_for("the first to have it again", || all_there(&pair, "one"));
    wait_for("nothing to be left", || {
        ways(&pair, "two").is_empty() && !pair.has("two")
    });
}

#[test]
fn what_a_crash_left_goes_though_the_configuration_forgot_it() {
    if !needs_root("what_a_crash_left_goes") {
        return;
    }
    let pair = Pair::new();
    let own = "routes = [{ to = \"192.0.2.0/24\", kind = \"throw\", proto = 50 }]";
    let one = pair.start("one", &config(150, WAYS, ""));
    wait_for("routes and rules", || all_there(&pair, "one"));
    one.signal(Signal::KILL);
    // An operator's own are not ours to take.
    let line = "ip route add blackhole 198.18.0.0/15 && ip rule add pref 999 table 9 && \
                ip route add throw 192.0.2.0/24 proto 50";
    assert!(pair.net.run("one", line).status.success());
    let _one = pair.start("one", &config(150, own, ""));
    wait_for("what was left to go", || {
        ways(&pair, "one") == ["999: from all lookup 9"]
    });
    let left = pair.net.run("one", "ip route");
    let left = String::from_utf8(left.stdout).unwrap();
    assert!(left.contains("blackhole 198.18.0.0/15"), "{left}");
    // What another number is said to have made is known by its name.
    wait_for("the route that is configured now", || {
        let routes = pair.net.run("one", "ip route show proto 50");
        pair.has("one") && String::from_utf8_lossy(&routes.stdout).contains("throw 192.0.2.0/24")
    });
}

#[test]
fn configurations_change_them_and_what_vanishes_comes_back() {
    if !needs_root("configurations_change_them") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(150, WAYS, ""));
    wait_for("routes and rules", || all_there(&pair, "one"));
    for gone in [
        "ip route del 192.0.2.0/24 metric 7",
        "ip rule del pref 1001",
        "ip -6 route del 2001:db8::/32",
        "ip route flush table 100",
    ] {
        assert!(pair.net.run("one", gone).status.success(), "{gone}");
        wait_for(gone, || all_there(&pair, "one"));
    }
    // Of two that the kernel takes one for the other, the right one goes.
    let without = WAYS.replace(
        "  { priority = 1005, to = \"198.51.100.0/24\", table = 100 },\n",
        "",
    );
    one.apply(&config(150, &without, ""));
    wait_for("one rule less", || {
        let there = ways(&pair, "one");
        there.len() == expected().len() - 1 && there.iter().any(|line| line.contains("sport 80"))
    });
    let fewer = "routes = [{ to = \"192.0.2.0/24\", via = \"10.77.0.3\", metric = 7 }]\n\
                 rules = [{ priority = 1000, from = \"10.77.0.100\", table = 101 }]";
    one.apply(&config(150, fewer, ""));
    let left = [
        "192.0.2.0/24 via 10.77.0.3 dev eth0 metric 7",
        "1000: from 10.77.0.100 lookup 101 proto 97",
    ];
    wait_for("what is configured now", || ways(&pair, "one") == left);
    let shown = one.expect_cli(&["vrrp", "status"]);
    assert!(
        shown.contains("route 192.0.2.0/24 via 10.77.0.3 metric 7"),
        "{shown}"
    );
    assert!(
        shown.contains("rule 1000: from 10.77.0.100 lookup 101"),
        "{shown}"
    );
    one.apply(&config(150, "", ""));
    wait_for("all to go", || ways(&pair, "one").is_empty());
    assert!(pair.has("one"));
    // And the address itself.
    one.apply(&config(150, fewer, "").replace("10.77.0.100/24", "10.77.0.102/24"));
    wait_for("the other address", || {
        pair.holds("one", "10.77.0.102") && !pair.has("one")
    });
    wait_for("what goes with it", || ways(&pair, "one") == left);
}

#[test]
fn what_somebody_else_made_is_not_replaced() {
    if !needs_root("what_somebody_else_made") {
        return;
    }
    let pair = Pair::new();
    let rule = "ip rule add pref 1000 from 10.77.0.100 lookup 101";
    assert!(pair.net.run("one", rule).status.success());
    let theirs = "ip route add 192.0.2.0/24 via 10.77.0.2 metric 7";
    assert!(pair.net.run("one", theirs).status.success());
    let routes = "routes = [{ to = \"192.0.2.0/24\", via = \"10.77.0.3\", metric = 7 }, \
                  { to = \"198.51.100.0/24\", dev = \"late0\" }]\n\
                  rules = [{ priority = 1000, from = \"10.77.0.100\", table = 101 }]";
    let one = pair.start("one", &config(150, routes, ""));
    pair.wait_master("one");
    // The address is there, and it is said what is not.
    wait_for("it to be said", || {
        let error = vip(&one)["error"].to_string();
        error.contains("192.0.2.0/24") && error.contains("another route to it is there")
    });
    assert!(pair.client_reaches());
    let delete = theirs.replace("add", "del");
    assert!(pair.net.run("one", &delete).status.success());
    wait_for("the other route to be told of", || {
        vip(&one)["error"]
            .to_string()
            .contains("there is no device late0")
    });
    let late = "ip link add late0 type veth peer name late1 && ip link set late0 up && \
                ip link set late1 up";
    assert!(pair.net.run("one", late).status.success());
    wait_for("both to be there", || {
        ways(&pair, "one")
            == [
                "192.0.2.0/24 via 10.77.0.3 dev eth0 metric 7",
                "198.51.100.0/24 dev late0 scope link",
                "1000: from 10.77.0.100 lookup 101",
                "1000: from 10.77.0.100 lookup 101 proto 97",
            ]
    });
    wait_for("nothing to be wrong", || vip(&one)["error"].is_null());

    // A device that goes down takes its routes along, without a word over IPv4.
    assert!(
        pair.net
            .run("one", "ip link set late0 down")
            .status
            .success()
    );
    wait_for("its route to be missed", || {
        vip(&one)["error"].to_string().contains("198.51.100.0/24")
    });
    assert!(pair.net.run("one", "ip link set late0 up").status.success());
    wait_for("it to come back", || {
        ways(&pair, "one").len() == 4 && vip(&one)["error"].is_null()
    });
    // Their rule says what ours does, and is theirs.
    one.signal(Signal::TERM);
    wait_for("nothing to be left but theirs", || {
        ways(&pair, "one") == ["1000: from 10.77.0.100 lookup 101"]
    });
}

#[test]
fn an_upgrade_keeps_them() {
    if !needs_root("an_upgrade_keeps_them") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(150, WAYS, ""));
    wait_for("routes and rules", || all_there(&pair, "one"));
    // Listens to what happens to routes and rules meanwhile.
    let log = pair.dir().join("monitor");
    let line = format!("exec ip monitor route rule > {}", log.display());
    let mut monitor = pair
        .net
        .command("one", "sh")
        .args(["-c", &line])
        .spawn()
        .unwrap();
    wait_for("it to listen", || {
        let _ = pair.net.run(
            "one",
            "ip route add blackhole 100.64.0.0/10; ip route del blackhole 100.64.0.0/10",
        );
        std::fs::read_to_string(&log).is_ok_and(|said| said.contains("100.64.0.0/10"))
    });
    let before = one.pid();
    let _ = one.expect_cli(&["upgrade"]);
    wait_for("the successor", || {
        one.status().is_some() && one.pid() != before
    });
    wait_for("it to be master", || vip(&one)["state"] == "master");
    // It takes what is there for its own: a change of configuration takes it away.
    assert!(all_there(&pair, "one"));
    let said = std::fs::read_to_string(&log).unwrap();
    let lost: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("Deleted") && !line.contains("100.64.0.0/10"))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    one.apply(&config(150, "", ""));
    wait_for("all to go", || ways(&pair, "one").is_empty());
    monitor.kill().unwrap();
    let _ = monitor.wait();
}

#[test]
fn they_go_by_the_device_that_has_the_address() {
    if !needs_root("they_go_by_the_device_that_has_the_address") {
        return;
    }
    let pair = Pair::new();
    let ways_of = "routes = [{ to = \"192.0.2.0/24\", src = \"10.77.0.100\", table = 7 }]\n\
                   rules = [{ priority = 9, from = \"10.77.0.100\", table = 7 }]";
    let one = pair.start("one", &config(150, ways_of, "virtual-mac = true"));
    wait_for("a route by the macvlan device", || {
        let all = ways(&pair, "one");
        all.len() == 2 && all[0].starts_with("192.0.2.0/24 dev vrrp4-")
    });
    one.signal(Signal::TERM);
    wait_for("nothing to be left", || ways(&pair, "one").is_empty());
}

#[test]
fn without_vrrp_they_are_there_while_the_interface_is() {
    if !needs_root("without_vrrp_they_are_there") {
        return;
    }
    let pair = Pair::new();
    let always = "[[vip]]\nname = \"a\"\naddresses = [\"10.77.0.100/24\"]\ninterface = \"eth0\"\n\
                  routes = [{ to = \"192.0.2.0/24\", kind = \"unreachable\" }]\n\
                  [[vip]]\nname = \"b\"\naddresses = [\"10.77.0.101/24\"]\ninterface = \"eth0\"\n\
                  routes = [{ to = \"192.0.2.0/24\", kind = \"unreachable\" }]\n";
    let one = pair.start("one", always);
    let route = ["unreachable 192.0.2.0/24"];
    wait_for("the route", || {
        pair.has("one") && ways(&pair, "one") == route
    });
    pair.net.cable("one", false);
    wait_for("it to go", || ways(&pair, "one").is_empty());
    pair.net.cable("one", true);
    wait_for("it to come back", || ways(&pair, "one") == route);
    // Two have it: it stays while one of them does.
    let second = always.find("[[vip]]\nname = \"b\"").unwrap();
    one.apply(&always[second..]);
    wait_for("the first to be gone", || !pair.has("one"));
    assert_eq!(ways(&pair, "one"), route);
    one.apply("");
    wait_for("it to go", || ways(&pair, "one").is_empty());
}
