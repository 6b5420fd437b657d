//! The order in which servers are chosen, connection after connection.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{VIP, site::Site};

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);

/// Adds a service whose servers 1, 2, 3 have these weights. `scheduler` may be followed by its flags.
pub(super) fn add(site: &mut Site, scheduler: &str, weights: &str, port: u16) {
    let output = site
        .rig
        .ipvsadm(&format!("-A -t {VIP}:{port} -s {scheduler}"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    for (n, weight) in weights.split(',').enumerate() {
        let output = site.rig.ipvsadm(&format!(
            "-a -t {VIP}:{port} -r 10.0.0.1{}:80 -m -w {weight}",
            n + 1
        ));
        assert_eq!(output.code, 0, "{}", output.stderr);
    }
}

#[test]
fn every_scheduler_chooses_in_ipvs_s_order() {
    let mut failures = Vec::new();
    let mut replayed = 0;
    for line in include_str!("schedulers.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [scheduler, weights, how, picks] = *words else {
            continue;
        };
        if scheduler == "#" {
            continue;
        }
        let found = picks_of(scheduler, weights, how, picks.len());
        if found != picks {
            failures.push(format!("{line}\n  here: {found}"));
        }
        replayed += 1;
    }
    assert!(replayed >= 60, "{replayed}");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn picks_of(scheduler: &str, weights: &str, how: &str, times: usize) -> String {
    let mut site = Site::new();
    if how == "addresses" {
        site.rig.addresses = 40;
    }
    add(&mut site, scheduler, weights, 80);
    let mut picks = String::new();
    for n in 0..times {
        let from = SocketAddrV4::new(CLIENT, site.port());
        let nth = u32::try_from(n).unwrap();
        let to = |ip| SocketAddrV4::new(ip, 80);
        let seen = match how {
            "closed" => site.visit(from, to(VIP)),
            "held" => site.hold(&n.to_string(), from, to(VIP)),
            "addresses" => site.visit(from, to(Ipv4Addr::from_bits(VIP.to_bits() + nth))),
            other => panic!("{other}"),
        };
        picks.push_str(&seen.word());
        site.pass(if how == "held" { 0.01 } else { 0.03 });
    }
    site.rig.check_counts();
    picks
}
