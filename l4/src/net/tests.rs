//! The monitor against the kernel, in a network namespace of the test's own. They need root.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    net::IpAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use xdp::abi::{Iface, Mac};

use super::{Device, Monitor, NextHop, Sink};

/// What a sink was told.
#[derive(Debug, Default)]
struct Told {
    ifaces: BTreeMap<u32, Iface>,
    routing: u32,
    locals: u32,
}

#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Told>>);

impl Sink for Notes {
    fn device(&mut self, index: u32, device: Option<&Device>) {
        let ifaces = &mut self.0.lock().unwrap().ifaces;
        match device.and_then(|device| device.transmit) {
            Some(iface) => ifaces.insert(index, iface),
            None => ifaces.remove(&index),
        };
    }

    fn routing_changed(&mut self) {
        self.0.lock().unwrap().routing += 1;
    }

    fn locals_changed(&mut self) {
        self.0.lock().unwrap().locals += 1;
    }
}

impl Notes {
    /// Waits until `wanted` holds of what was told; a bounded while.
    fn until(&self, what: &str, mut wanted: impl FnMut(&Told) -> bool) {
        until(what, || wanted(&self.0.lock().unwrap()));
    }

    fn routing(&self) -> u32 {
        self.0.lock().unwrap().routing
    }
}

fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !wanted() {
        assert!(Instant::now() < end, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `test` in a network namespace of its own, on a thread of its own; it is gone with the thread.
fn in_namespace(name: &str, test: impl FnOnce() + Send) {
    if !rustix::process::geteuid().is_root() {
        assert!(
            std::env::var_os("APLOMB_NO_SKIP").is_none(),
            "{name} needs root, and skipping is forbidden"
        );
        eprintln!("SKIPPED: {name} needs root");
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: only this thread's network namespace changes; file descriptors stay shared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            ip("link set lo up");
            test();
        });
    });
}

fn ip(line: &str) {
    let _ = shown(line);
}

fn shown(line: &str) -> String {
    let output = Command::new("ip")
        .args(line.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {line}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `near` at 10.1.0.1/24 and fd01::1/64 here. Its peer `far` has no address: this test answers for nobody.
fn pair() {
    ip("link add near address 02:00:00:00:00:0a type veth peer name far");
    ip("link set far up");
    ip("link set near up");
    ip("addr add 10.1.0.1/24 dev near");
    ip("addr add fd01::1/64 dev near nodad");
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn index(name: &str) -> u32 {
    // Not from /sys, which shows the namespace that mounted it.
    let text = shown(&format!("-o link show dev {name}"));
    text.split(':').next().unwrap().trim().parse().unwrap()
}

#[test]
fn devices_are_followed() {
    in_namespace("devices_are_followed", || {
        pair();
        let notes = Notes::default();
        let monitor = Monitor::start(notes.clone()).unwrap();
        let a = index("near");
        let mac = Mac {
            a: u16::from_ne_bytes([2, 0]),
            b: 0,
            c: u16::from_ne_bytes([0, 10]),
        };
        let iface = Iface {
            ifindex: a,
            mac,
            vlan: 0,
            mtu: 1500,
            ..Iface::default()
        };
        assert_eq!(notes.0.lock().unwrap().ifaces.get(&a), Some(&iface));
        assert_eq!(notes.0.lock().unwrap().ifaces.len(), 2, "not loopback");

        let before = notes.routing();
        ip("link set near mtu 1400");
        notes.until("the MTU", |told| told.ifaces[&a].mtu == 1400);
        notes.until("its notice", |told| told.routing > before);
        ip("link set near down");
        notes.until("the device to be down", |t| !t.ifaces.contains_key(&a));
        ip("link set near up");
        notes.until("the device to be up", |t| t.ifaces.contains_key(&a));
        ip("link add extra type veth peer name other");
        ip("link set extra up");
        let c = index("extra");
        notes.until("a new device", |told| told.ifaces.contains_key(&c));
        assert_eq!(monitor.device(c).unwrap().kind, "veth");
        ip("link del extra");
        notes.until("its end", |told| !told.ifaces.contains_key(&c));
        until("nobody to know it", || monitor.device(c).is_none());
    });
}

#[test]
fn routes_and_addresses_are_followed() {
    in_namespace("routes_and_addresses_are_followed", || {
        pair();
        let notes = Notes::default();
        let monitor = Monitor::start(notes.clone()).unwrap();
        let route = monitor.route(address("10.1.0.7")).unwrap();
        assert_eq!((route.ifindex, route.local), (index("near"), false));
        assert_eq!(route.source, Some(address("10.1.0.1")));
        assert_eq!(monitor.mtu(&route), Some(1500));
        let error = monitor.route(address("10.9.0.7")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NetworkUnreachable);

        let before = notes.routing();
        ip("route add 10.9.0.0/16 via 10.1.0.9 mtu 1300");
        notes.until("the route", |told| told.routing > before);
        let route = monitor.route(address("10.9.0.7")).unwrap();
        assert_eq!(route.gateway, Some(address("10.1.0.9")));
        assert_eq!(monitor.mtu(&route), Some(1300));
        ip("route add blackhole 10.9.5.0/24");
        assert!(monitor.route(address("10.9.5.1")).is_err());

        for (text, add) in [
            ("10.1.0.5", "addr add 10.1.0.5/32 dev lo"),
            ("fd05::5", "addr add fd05::5/128 dev lo nodad"),
        ] {
            assert!(!monitor.is_local(address(text)));
            let before = notes.0.lock().unwrap().locals;
            ip(add);
            notes.until("the address", |told| told.locals > before);
            assert!(monitor.is_local(address(text)));
        }
        assert!(monitor.is_local(address("127.3.2.1")));
        let before = notes.routing();
        ip("rule add to 10.1.0.0/24 lookup main");
        notes.until("the rule", |told| told.routing > before);
    });
}

#[test]
fn neighbours_matter_by_their_addresses() {
    in_namespace("neighbours_matter_by_their_addresses", || {
        pair();
        let notes = Notes::default();
        let monitor = Monitor::start(notes.clone()).unwrap();
        ip("neigh add 10.1.0.7 lladdr 02:00:00:00:00:07 dev near nud reachable");
        // What comes after it has been heard means that it has been heard.
        let mut marked = notes.routing();
        let mut mark = |number: u32| {
            ip(&format!("route add 10.8.{number}.0/24 dev near"));
            notes.until("the mark", |told| told.routing > marked);
            marked = notes.routing();
            marked
        };
        mark(1);
        let hop = NextHop {
            ifindex: index("near"),
            address: address("10.1.0.7"),
        };
        assert!(monitor.neighbour(hop).unwrap().is_some());
        // From here on exactly the marks are counted, but for what is said to matter.
        let quiet = mark(2);
        ip("neigh replace 10.1.0.7 lladdr 02:00:00:00:00:07 dev near nud stale");
        ip("neigh replace 10.1.0.7 lladdr 02:00:00:00:00:07 dev near nud reachable");
        ip("neigh add 10.1.0.6 lladdr 02:00:00:00:00:06 dev near nud reachable");
        std::thread::sleep(Monitor::PACE * 5);
        assert_eq!(notes.routing(), quiet, "it is where it was");
        ip("neigh replace 10.1.0.7 lladdr 02:00:00:00:00:08 dev near nud reachable");
        notes.until("its move", |told| told.routing > quiet);
        let moved = mark(3);
        // The kernel first calls it failed, then forgets it.
        ip("neigh del 10.1.0.7 dev near");
        notes.until("its failure", |told| told.routing > moved);
    });
}

/// Two ends of a cable, the far one in a namespace of its own, where somebody answers.
struct Far {
    name: String,
}

impl Far {
    fn new(tag: &str) -> Self {
        let name = format!("aplomb-net-{}-{tag}", std::process::id());
        ip(&format!("netns add {name}"));
        let far = Self { name: name.clone() };
        ip(&format!(
            "link add near type veth peer name far netns {name}"
        ));
        ip("link set near up");
        ip("addr add 10.1.0.1/24 dev near");
        ip("addr add fd01::1/64 dev near nodad");
        ip(&format!("-n {name} addr add 10.1.0.2/24 dev far"));
        ip(&format!("-n {name} addr add fd01::2/64 dev far nodad"));
        ip(&format!("-n {name} link set far up"));
        far
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

#[test]
fn neighbours_are_kept_and_resolved() {
    in_namespace("neighbours_are_kept_and_resolved", || {
        let far = Far::new("keep");
        let notes = Notes::default();
        let monitor = Monitor::start(notes.clone()).unwrap();
        let hop = |text| NextHop {
            ifindex: index("near"),
            address: address(text),
        };
        let known = |text| matches!(monitor.neighbour(hop(text)), Ok(Some(_)));
        assert!(!known("10.1.0.2") && !known("fd01::2"));
        // A backend behind a gateway: it is the gateway that is kept.
        ip("route add 10.9.0.0/16 via 10.1.0.2");
        monitor.watch([address("10.9.0.1")]);
        until("the gateway", || known("10.1.0.2"));
        ip("neigh del 10.1.0.2 dev near");
        until("the gateway again", || known("10.1.0.2"));
        monitor.resolve(vec![hop("fd01::2")]);
        until("what was asked for", || known("fd01::2"));

        // Another hardware behind the same address.
        let before = notes.routing();
        ip(&format!(
            "-n {} link set far address 02:00:00:00:00:99",
            far.name
        ));
        ip("neigh del 10.1.0.2 dev near");
        notes.until("the new hardware", |told| told.routing > before);

        let is_kept = || shown("neigh show").contains("managed");
        until("the kernel to keep it", is_kept);
        monitor.watch([]);
        until("it to be let go", || !is_kept());
    });
}
