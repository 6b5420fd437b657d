//! A flood of SYNs from addresses that do not exist, while a thousand connections talk. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use e2e::{Flood, Site, Talk, needs_root, wait_for_up};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
const PORT: u16 = 7000;
/// How many SYNs.
const SYNS: u32 = 300_000;
/// How many connections talk meanwhile.
const TALKS: usize = 1_000;

fn withstands(mode: &str) {
    let site = Site::new(&format!("--mode {mode}"));
    for host in ["server1", "server2", "server3"] {
        site.echo(host, SocketAddr::from(([0; 4], PORT)));
    }
    let backends: String = (1..4)
        .map(|n| format!("  {{ address = \"10.0.0.1{n}:{PORT}\" }},\n"))
        .collect();
    // Of handshakes there is room for a fraction of the flood.
    let daemon = site.daemon(&format!(
        "{}max-flows = 16384\nmax-handshakes = 65536\n\n[[pool]]\nname = \"echo\"\nbalance = \"wlc\"\n\
         check = {{ tcp = true, interval = \"1s\", timeout = \"1s\" }}\nbackends = [\n{backends}]\n\n\
         [[service]]\nname = \"talk\"\nlisten = \"tcp://{VIP}:{PORT}\"\nforward = \"{mode}\"\npool = \"echo\"\n",
        site.l4(),
    ));
    wait_for_up(&daemon, 3);
    let service = SocketAddr::from((VIP, PORT));
    let mut talks = Talk::begin_many(&site, service, TALKS).unwrap();
    let flood = Flood::begin(&site, SocketAddrV4::new(VIP, PORT), SYNS);
    let mut new = 0;
    let mut rounds = 0;
    while !flood.is_finished() || rounds == 0 {
        let begun = Talk::begin(&site, service);
        let mut begun = begun.unwrap_or_else(|e| panic!("new, after {} SYNs: {e}", flood.sent()));
        begun.say("new").unwrap();
        new += 1;
        for talk in talks.iter_mut().skip(rounds % 10).step_by(10) {
            talk.send(b"established").unwrap();
        }
        for talk in talks.iter_mut().skip(rounds % 10).step_by(10) {
            talk.hear(b"established").unwrap();
        }
        rounds += 1;
    }
    assert_eq!(flood.end(), SYNS);
    println!("{mode}: {new} new connections and {rounds} rounds of talks during {SYNS} SYNs");
    for (index, talk) in talks.iter_mut().enumerate() {
        let said = talk.say("after all");
        said.unwrap_or_else(|e| panic!("{mode}: connection {index} is lost: {e}"));
    }
    drop(daemon);
}

#[test]
fn nat_withstands_a_flood() {
    if needs_root("nat_withstands_a_flood") {
        withstands("nat");
    }
}

#[test]
fn direct_withstands_a_flood() {
    if needs_root("direct_withstands_a_flood") {
        withstands("direct");
    }
}
