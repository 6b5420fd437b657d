//! Virtual addresses between aplomb and keepalived: both roles, both versions, both families, multicast and unicast.

#![expect(clippy::unwrap_used, reason = "tests")]

use e2e::{Daemon, Keepalived, Pair, needs_root, wait_for};
use rustix::process::Signal;

/// How the two are set, beside their priorities.
struct Case {
    name: &'static str,
    /// keys of `vrrp`, after id and priority.
    ours: &'static str,
    globals: &'static str,
    theirs: &'static str,
    v6: bool,
}

const CASES: [Case; 7] = [
    Case {
        name: "version 2",
        ours: "version = 2, interval = \"1s\"",
        globals: "",
        theirs: "version 2\n advert_int 1",
        v6: false,
    },
    Case {
        name: "version 2 with a password",
        ours: "version = 2, interval = \"1s\", auth = { password = { file = \"PASSWORD\" } }",
        globals: "",
        theirs: "version 2\n advert_int 1\n authentication {\n auth_type PASS\n auth_pass hunter2\n }",
        v6: false,
    },
    Case {
        name: "version 3",
        ours: "interval = \"100ms\"",
        globals: "",
        theirs: "version 3\n advert_int 0.1",
        v6: false,
    },
    Case {
        name: "version 3, unicast",
        ours: "interval = \"100ms\", peers = \"10.77.0.2\"",
        globals: "",
        theirs: "version 3\n advert_int 0.1\n unicast_src_ip 10.77.0.2\n unicast_peer {\n 10.77.0.1\n }",
        v6: false,
    },
    Case {
        name: "IPv6",
        ours: "interval = \"100ms\"",
        globals: "",
        theirs: "version 3\n advert_int 0.1",
        v6: true,
    },
    Case {
        name: "IPv6, unicast",
        ours: "interval = \"100ms\", peers = \"fd77::2\", source = \"fd77::1\"",
        globals: "",
        theirs: "version 3\n advert_int 0.1\n unicast_src_ip fd77::2\n unicast_peer {\n fd77::1\n }",
        v6: true,
    },
    Case {
        name: "virtual MAC addresses",
        ours: "interval = \"100ms\", virtual-mac = true",
        globals: "",
        theirs: "version 3\n advert_int 0.1\n use_vmac vrrp.51",
        v6: false,
    },
];

impl Case {
    fn address(&self) -> &'static str {
        if self.v6 { "fe80::100" } else { Pair::ADDRESS }
    }

    fn prefix(&self) -> u8 {
        if self.v6 { 64 } else { 24 }
    }

    fn aplomb(&self, pair: &Pair, priority: u8, more: &str) -> Daemon {
        let password = pair.dir().join("password");
        std::fs::write(&password, "hunter2\n").unwrap();
        let ours = self.ours.replace("PASSWORD", password.to_str().unwrap());
        let config = format!(
            "[[vip]]\nname = \"edge\"\naddresses = [\"{}/{}\"]\ninterface = \"eth0\"\n\
             vrrp = {{ id = 51, priority = {priority}, {ours}{more} }}\n",
            self.address(),
            self.prefix()
        );
        pair.start("one", &config)
    }

    fn keepalived(&self, pair: &Pair, priority: u8, more: &str) -> Keepalived {
        let instance = format!(
            "virtual_router_id 51\n state BACKUP\n priority {priority}\n {}\n {more}\n virtual_ipaddress {{\n {}/{}\n }}",
            self.theirs,
            self.address(),
            self.prefix()
        );
        Keepalived::start(&pair.net, "two", self.globals, &instance)
    }

    fn is_at(&self, pair: &Pair, host: &str) -> bool {
        let other = if host == "one" { "two" } else { "one" };
        pair.holds(host, self.address()) && !pair.holds(other, self.address())
    }
}

fn vip(daemon: &Daemon) -> serde_json::Value {
    daemon.status().unwrap_or_default()["vips"][0].clone()
}

/// Nothing that the other sent was refused.
fn assert_understood(case: &Case, daemon: &Daemon) {
    let vip = vip(daemon);
    assert_eq!(
        vip["refused"],
        serde_json::json!({}),
        "{}: {vip}",
        case.name
    );
    assert_eq!(vip["send_errors"], 0, "{}", case.name);
}

#[test]
fn aplomb_is_backup_of_keepalived_and_takes_over_when_it_crashes_or_leaves() {
    if !needs_root("aplomb_is_backup_of_keepalived") {
        return;
    }
    for case in &CASES {
        let pair = Pair::new();
        let mut peer = case.keepalived(&pair, 150, "");
        wait_for(case.name, || case.is_at(&pair, "two"));
        let daemon = case.aplomb(&pair, 100, "");
        wait_for("the master to be heard", || {
            vip(&daemon)["master_priority"] == 150
        });
        assert_eq!(vip(&daemon)["state"], "backup", "{}", case.name);
        peer.stop();
        wait_for("a takeover", || case.is_at(&pair, "one"));
        assert!(
            daemon.log().contains("the master left"),
            "{}: {}",
            case.name,
            daemon.log()
        );
        assert_understood(case, &daemon);
        // It returns, preempts, and crashes: its address stays on its interface, and moves all the same.
        let mut peer = case.keepalived(&pair, 150, "");
        wait_for("a preemption", || case.is_at(&pair, "two"));
        peer.crash();
        wait_for("a takeover", || pair.holds("one", case.address()));
        assert!(
            daemon.log().contains("no master was heard"),
            "{}",
            case.name
        );
        assert_understood(case, &daemon);
    }
}

#[test]
fn keepalived_is_backup_of_aplomb_and_takes_over_when_it_is_killed_or_leaves() {
    if !needs_root("keepalived_is_backup_of_aplomb") {
        return;
    }
    for case in &CASES {
        let pair = Pair::new();
        let daemon = case.aplomb(&pair, 150, "");
        wait_for(case.name, || case.is_at(&pair, "one"));
        let peer = case.keepalived(&pair, 100, "");
        wait_for("it to be backup", || {
            peer.log().contains("Entering BACKUP STATE")
        });
        daemon.signal(Signal::TERM);
        wait_for("a takeover", || case.is_at(&pair, "two"));
        let daemon = case.aplomb(&pair, 150, "");
        wait_for("a preemption", || case.is_at(&pair, "one"));
        assert_understood(case, &daemon);
        daemon.signal(Signal::KILL);
        wait_for("a takeover", || pair.holds("two", case.address()));
    }
}

#[test]
fn who_shall_not_preempt_does_not() {
    if !needs_root("who_shall_not_preempt") {
        return;
    }
    let case = &CASES[2];
    let pair = Pair::new();
    let _peer = case.keepalived(&pair, 100, "");
    wait_for("keepalived to be master", || case.is_at(&pair, "two"));
    let daemon = case.aplomb(&pair, 150, ", preempt = false");
    let adverts = || {
        vip(&daemon)["adverts_received"]
            .as_u64()
            .unwrap_or_default()
    };
    wait_for("adverts that it would preempt", || adverts() > 20);
    assert_eq!(vip(&daemon)["state"], "backup");
    assert!(case.is_at(&pair, "two"));
}

#[test]
fn settings_that_do_not_match_are_counted_and_explained() {
    if !needs_root("settings_that_do_not_match") {
        return;
    }
    for (ours, theirs, cause, words) in [
        (2, 1, "auth-type", "authentication type"),
        (0, 2, "version", "version 3, ours is 2"),
        (3, 2, "cast", "by multicast, ours is unicast"),
    ] {
        let pair = Pair::new();
        let _peer = CASES[theirs].keepalived(&pair, 150, "");
        wait_for("keepalived to be master", || pair.has("two"));
        let mut ours = Case { ..CASES[ours] };
        if cause == "auth-type" {
            ours.ours = "version = 2, interval = \"1s\"";
        }
        let daemon = ours.aplomb(&pair, 100, "");
        wait_for("refusals", || {
            vip(&daemon)["refused"][cause].as_u64() > Some(1)
        });
        assert!(daemon.log().contains(words), "{}", daemon.log());
        // Not obeyed: it has no master that it knows of.
        wait_for("mastery", || vip(&daemon)["state"] == "master");
    }
}
