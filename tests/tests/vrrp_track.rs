//! What makes a node less fit: a route that is gone, the kernel data plane that is not attached.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use e2e::{Daemon, Pair, needs_root, program, wait_for};

fn config(priority: u8, track: &str) -> String {
    format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"10.77.0.100/24\"]\ninterface = \"eth0\"\n\
         [vip.vrrp]\nid = 51\npriority = {priority}\ninterval = \"100ms\"\ntrack = [{track}]\n"
    )
}

fn vip(daemon: &Daemon) -> serde_json::Value {
    daemon.status().unwrap_or_default()["vips"][0].clone()
}

fn run(pair: &Pair, line: &str) {
    let output = pair.net.run("one", line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

#[test]
fn a_route_that_goes_takes_the_address_along() {
    if !needs_root("a_route_that_goes") {
        return;
    }
    let pair = Pair::new();
    run(
        &pair,
        "ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up && \
         ip route add 10.99.0.0/16 dev up0 table 9 && ip route add default via 10.77.0.3",
    );
    let track = "{ route = \"10.99.0.0/16\", table = 9 }, \
                 { route = \"default\", via = \"10.77.0.3\", weight = -100 }, \
                 { route = \"2001:db8::/32\", dev = \"eth0\", weight = 20 }";
    let one = pair.start("one", &config(150, track));
    let _two = pair.start("two", &config(100, ""));
    pair.wait_master("one");
    wait_for("all to be known", || vip(&one)["priority"] == 150);

    // To somewhere else, in another table, by another gateway: none of them is it.
    run(
        &pair,
        "ip route add 10.99.0.0/17 dev up0 table 9 && ip route add 10.99.0.0/16 dev up0 && \
         ip route add default via 10.77.0.2 metric 5",
    );
    run(&pair, "ip route del default via 10.77.0.3");
    wait_for("the other to preempt", || {
        pair.has("two") && !pair.has("one")
    });
    assert_eq!(vip(&one)["priority"], 50);
    run(&pair, "ip route add default via 10.77.0.3");
    pair.wait_master("one");
    run(&pair, "ip -6 route add 2001:db8::/32 via fd77::3");
    wait_for("what is there to count", || vip(&one)["priority"] == 170);
    run(&pair, "ip -6 route del 2001:db8::/32");
    wait_for("it to count no more", || vip(&one)["priority"] == 150);

    run(&pair, "ip route del 10.99.0.0/16 table 9");
    fault(&pair, &one, "it is not there");
    run(&pair, "ip route add blackhole 10.99.0.0/16 table 9");
    fault(&pair, &one, "leads elsewhere or nowhere");
    run(&pair, "ip route replace 10.99.0.0/16 dev up0 table 9");
    pair.wait_master("one");

    // Without carrier it is still there, and leads nowhere; a device that is down takes it along, without a word.
    run(&pair, "ip link set up1 down");
    fault(&pair, &one, "its device is down");
    run(&pair, "ip link set up1 up");
    pair.wait_master("one");
    run(&pair, "ip link set up0 down");
    fault(&pair, &one, "it is not there");
    // To have forgotten it is to be fit.
    one.apply(&config(150, ""));
    pair.wait_master("one");
}

fn fault(pair: &Pair, one: &Daemon, why: &str) {
    wait_for("the other to have it", || {
        pair.has("two") && !pair.has("one")
    });
    wait_for(why, || vip(one)["faults"][0].to_string().contains(why));
    assert_eq!(vip(one)["state"], "fault");
}

#[test]
fn a_node_without_the_route_waits_for_it() {
    if !needs_root("a_node_without_the_route") {
        return;
    }
    let pair = Pair::new();
    let one = pair.start("one", &config(255, "{ route = \"192.0.2.0/24\" }"));
    wait_for("a fault", || {
        vip(&one)["faults"][0]
            .to_string()
            .contains("it is not there")
    });
    // Never master, not for a moment, though it owns the address.
    assert_eq!(vip(&one)["became_master"], 0);
    run(&pair, "ip route add 192.0.2.0/24 via 10.77.0.3");
    pair.wait_master("one");
    // What is tracked changes, and none of it fails: nothing happens.
    let more = "{ route = \"192.0.2.0/24\" }, { route = \"10.77.0.0/24\" }";
    one.apply(&config(255, more));
    wait_for("it to be tracked", || vip(&one)["track"][1].is_object());
    assert_eq!(vip(&one)["became_master"], 1);
    assert_eq!(vip(&one)["state"], "master");
}

/// A service of the kernel on `eth0` and on a device that may not be there, pinned in that directory.
fn forwarding(pin: &Path, track: &str) -> String {
    format!(
        "[l4]\npin = \"{}/aplomb\"\nmode = \"generic\"\nmax-flows = 20000\nmax-handshakes = 8192\n\
         interfaces = [\"eth0\", \"late0\"]\n\
         [[pool]]\nname = \"web\"\nbackends = [\"10.77.0.3:80\"]\n\
         [[service]]\nname = \"shop\"\nlisten = \"tcp://10.77.0.100:80\"\nforward = \"direct\"\n\
         pool = \"web\"\n{}",
        pin.display(),
        config(150, track)
    )
}

/// An aplomb on the first node, which has a BPF file system of its own: it is gone with its last process.
fn start(pair: &Pair, pin: &Path, config: &str) -> Daemon {
    let mut command = pair.net.command("one", "sh");
    let line = "mount -t bpf bpf \"$0\" && exec \"$@\"";
    Daemon::start_by(command.args(["-c", line]).arg(pin).arg(program()), config)
}

#[test]
fn a_data_plane_that_is_not_attached_hands_over() {
    if !needs_root("a_data_plane_that_is_not_attached") {
        return;
    }
    let pair = Pair::new();
    let late = "ip link add late0 type veth peer name late1 && ip link set late0 up && \
                ip link set late1 up";
    run(&pair, late);
    let track = "{ data-plane = true, interval = \"100ms\" }";
    let pin = pair.dir().join("bpf");
    std::fs::create_dir(&pin).unwrap();
    let one = start(&pair, &pin, &forwarding(&pin, track));
    let two = pair.start("two", &config(100, ""));
    pair.wait_master("one");
    wait_for("the other to hear it", || {
        vip(&two)["master"] == "10.77.0.1"
    });
    assert!(vip(&one)["track"][0]["failing"].is_null());

    run(&pair, "ip link del late0");
    wait_for("the other to have it", || {
        pair.has("two") && !pair.has("one")
    });
    let fault = vip(&one)["faults"][0].to_string();
    assert!(
        fault.contains("data-plane") && fault.contains("not attached to late0"),
        "{fault}"
    );
    run(&pair, late);
    pair.wait_master("one");
    // Where nothing is forwarded by the kernel there is no data plane: who asks for it is not fit.
    two.apply(&config(100, track));
    wait_for("a fault of the other", || vip(&two)["state"] == "fault");
    let fault = vip(&two)["faults"][0].to_string();
    assert!(fault.contains("it does not run"), "{fault}");
}
