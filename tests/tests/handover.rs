//! Orderly handovers between two directors, with traffic that goes on: no connection may break, and nothing may fail that a
//! client does not try again by itself. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use e2e::{
    Download, Knocks, Load, Mix, Pair, Talk, Twins, needs_root, vip_state, wait_for, wait_for_role,
};
use rustix::process::Signal;

/// Connections that say something all the time.
const TALKS: usize = 20;
/// Bytes of a download: more than it gets before it is told to finish.
const LONG: usize = 64 << 20;

/// Connections of which each says something again and again.
struct Chatter {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<usize, String>>,
}

impl Chatter {
    fn begin(twins: &Twins) -> Self {
        let to = twins.address(Twins::ECHO);
        let mut talks = Talk::begin_many(&twins.site, to, TALKS).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut said = 0;
            while !until.load(Relaxed) {
                for (at, talk) in talks.iter_mut().enumerate() {
                    let text = format!("{said} of {at}");
                    talk.say(&text).map_err(|e| format!("{text}: {e}"))?;
                    said += 1;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(said)
        });
        Self { over, thread }
    }

    /// Ends; how much was said.
    fn end(self) -> usize {
        self.over.store(true, Relaxed);
        self.thread.join().unwrap().unwrap()
    }
}

fn is_handed_over(mode: &str) {
    let twins = Twins::new(mode, "");
    let one = twins.start(0);
    wait_for("the first to be master", || vip_state(&one) == "master");
    let two = twins.start(1);
    wait_for_role(&one, &two);
    let downloads: Vec<_> = (0..2).map(|_| Download::begin(&twins.site, LONG)).collect();
    let chatter = Chatter::begin(&twins);
    let knocks = Knocks::begin(&twins.site);
    let go_on = |when: &str| {
        for download in &downloads {
            download.goes_on(when);
        }
    };
    for _ in 0..2 {
        let _ = one.expect_cli(&["vrrp", "release", "edge"]);
        wait_for_role(&two, &one);
        go_on("the first has released it");
        // It has the greater priority, and preempts.
        let _ = one.expect_cli(&["vrrp", "resume", "edge"]);
        wait_for_role(&one, &two);
        go_on("the first has it again");
        let _ = two.expect_cli(&["vrrp", "promote", "edge"]);
        wait_for_role(&two, &one);
        go_on("the second was promoted");
        let _ = two.expect_cli(&["vrrp", "resume", "edge"]);
        wait_for_role(&one, &two);
        go_on("the second goes by priorities again");
    }
    one.signal(Signal::TERM);
    wait_for("the second to be master", || vip_state(&two) == "master");
    go_on("the first was ended");
    drop(one);
    let one = twins.start(0);
    wait_for_role(&one, &two);
    go_on("the first is back");
    assert!(knocks.end() > 100);
    assert!(chatter.end() > 1000);
    for download in downloads {
        download.finish();
    }
}

#[test]
fn nat_is_handed_over() {
    if needs_root("nat_is_handed_over") {
        is_handed_over("nat");
    }
}

#[test]
fn full_nat_is_handed_over() {
    if needs_root("full_nat_is_handed_over") {
        is_handed_over(Twins::FULL_NAT);
    }
}

#[test]
fn direct_is_handed_over() {
    if needs_root("direct_is_handed_over") {
        is_handed_over("direct");
    }
}

#[test]
fn connections_of_the_proxy_finish_before_their_address_goes() {
    if !needs_root("connections_of_the_proxy_finish") {
        return;
    }
    let twins = Twins::new("nat", ", preempt = false");
    let one = twins.start(0);
    wait_for("the first to be master", || vip_state(&one) == "master");
    let two = twins.start(1);
    wait_for_role(&one, &two);
    let pages = twins.address(Twins::PAGES);
    let clients = [Mix::KeepAlive, Mix::KeepAlive, Mix::KeepAlive, Mix::Once];
    let load = twins
        .site
        .inside("client", move || Load::start(pages, &clients));
    wait_for("requests", || load.passed() > 100);
    let download = Download::begin_from(&twins.site, pages, 24 << 20);
    std::thread::scope(|scope| {
        let release = scope.spawn(|| one.expect_cli(&["vrrp", "release", "edge"]));
        download.goes_on("it is to be handed over");
        assert_eq!(vip_state(&one), "master", "the download goes on");
        let passed = load.passed();
        wait_for("new requests too", || load.passed() > passed + 100);
        download.finish();
        let _ = release.join().unwrap();
    });
    wait_for_role(&two, &one);
    let _ = one.expect_cli(&["vrrp", "resume", "edge"]);
    let passed = load.passed();
    wait_for("requests at the second", || load.passed() > passed + 100);
    let _ = two.expect_cli(&["vrrp", "release", "edge"]);
    wait_for_role(&one, &two);
    let _ = two.expect_cli(&["vrrp", "resume", "edge"]);
    let passed = load.passed();
    wait_for("requests at the first", || load.passed() > passed + 100);
    one.signal(Signal::TERM);
    wait_for("the second to be master", || vip_state(&two) == "master");
    let passed = load.passed();
    wait_for("requests at the second", || load.passed() > passed + 100);
    let score = load.stop();
    assert!(score.failed.is_empty(), "{:#?}", score.failed);
}

#[test]
fn a_backup_that_was_kept_from_running_does_not_blame_the_master() {
    if !needs_root("a_backup_that_was_kept_from_running") {
        return;
    }
    let pair = Pair::new();
    let config = |priority: u8| {
        format!(
            "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\"]\ninterface = \"eth0\"\n\
             vrrp = {{ id = 51, priority = {priority}, interval = \"100ms\" }}\n"
        )
    };
    let one = pair.start("one", &config(150));
    let two = pair.start("two", &config(100));
    pair.wait_master("one");
    wait_for("the other to hear it", || {
        two.status().unwrap()["vips"][0]["master"] == "10.77.0.1"
    });
    let pids = [one.pid(), two.pid()].map(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    let tell = |which: usize, signal| rustix::process::kill_process(pids[which].unwrap(), signal);
    for _ in 0..3 {
        // Both stand still, as guests of one machine do, and the backup is the first that goes on.
        tell(0, Signal::STOP).unwrap();
        tell(1, Signal::STOP).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        tell(1, Signal::CONT).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        tell(0, Signal::CONT).unwrap();
        let heard = |status: serde_json::Value| status["vips"][0]["adverts_received"].as_u64();
        let before = heard(two.status().unwrap());
        wait_for("adverts again", || heard(two.status().unwrap()) > before);
    }
    assert_eq!(two.status().unwrap()["vips"][0]["became_master"], 0);
    // Whoever is gone is not waited for.
    one.signal(Signal::KILL);
    wait_for("the other to take over", || pair.has("two"));
}
