//! Schedulers that hash: who is refused, how clients are shared out, and whom a change moves.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use super::{VIP, schedulers, site::Site};

/// Clients enough for shares to show: each server's is within a tenth of all of what it should be.
const MANY: u32 = 1000;

/// Which server each of `times` connections gets, that differ by what `by` says.
fn picks(site: &mut Site, by: &str, times: u32) -> Vec<String> {
    let one = |n: u32| {
        let source = Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 1).to_bits() + n);
        let first = Ipv4Addr::new(172, 16, 0, 1);
        let port = u16::try_from(20_000 + n).unwrap();
        match by {
            "sources" => (SocketAddrV4::new(source, 20_000), VIP),
            "ports" => (SocketAddrV4::new(first, port), VIP),
            "addresses" => (
                SocketAddrV4::new(first, port),
                Ipv4Addr::from_bits(VIP.to_bits() + n),
            ),
            other => panic!("{other}"),
        }
    };
    let mut picks = Vec::new();
    for n in 0..times {
        let (from, to) = one(n);
        picks.push(site.visit(from, SocketAddrV4::new(to, 80)).word());
    }
    picks
}

fn shares(picks: &[String]) -> BTreeMap<&str, f64> {
    let mut shares = BTreeMap::new();
    for pick in picks {
        *shares.entry(pick.as_str()).or_default() += 1.0 / picks.len() as f64;
    }
    shares
}

/// What each server, and `R`, should have of all.
fn expected(scheduler: &str, flags: &str, weights: &str, by: &str) -> BTreeMap<&'static str, f64> {
    // All that is hashed is the same for each.
    if (by == "ports" && !flags.ends_with("-port")) || (by == "sources" && scheduler == "dh") {
        return BTreeMap::new();
    }
    let names = ["1", "2", "3"];
    let weights: Vec<f64> = weights.split(',').map(|w| w.parse().unwrap()).collect();
    let refusing = scheduler != "mh" && !flags.ends_with("-fallback");
    let mut shares = BTreeMap::new();
    for (name, weight) in names.into_iter().zip(weights) {
        match (weight > 0.0, refusing) {
            (false, false) => continue,
            // It has one share, whose clients are refused.
            (false, true) => drop(shares.insert("R", 1.0)),
            // The destination hash pays no heed to weights.
            (true, _) => drop(shares.insert(name, if scheduler == "dh" { 1.0 } else { weight })),
        }
    }
    let all: f64 = shares.values().sum();
    shares.values_mut().for_each(|share| *share /= all);
    shares
}

#[test]
fn hashes_share_out_and_refuse_as_ipvs_s() {
    let mut failures = Vec::new();
    for line in include_str!("hashes.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [scheduler, flags, weights, by, theirs] = *words else {
            continue;
        };
        let mut wrong = |what: String| failures.push(format!("{line}\n  {what}"));
        let mut site = Site::new();
        let most = if by == "addresses" { 250 } else { MANY };
        site.rig.addresses = if by == "addresses" { 250 } else { 1 };
        let told = match flags {
            "-" => scheduler.to_owned(),
            flags => format!("{scheduler} -b {flags}"),
        };
        // 192.168.1.100 + 250 is in the next network; that is nothing to a service.
        schedulers::add(&mut site, &told, weights, 80);
        let ours = picks(&mut site, by, most);
        site.pass(200.0);
        assert_eq!(picks(&mut site, by, most), ours, "{line}: the same again");

        if ours.iter().any(|pick| pick == "R") != theirs.contains('R') {
            wrong("whether anybody is refused".into());
        }
        let expected = expected(scheduler, flags, weights, by);
        let found = shares(&ours);
        if expected.is_empty() {
            if found.len() != 1 {
                wrong(format!("all go to one, not {found:?}"));
            }
            continue;
        }
        let same =
            |(name, share): (&&str, &f64)| (found.get(name).unwrap_or(&0.0) - share).abs() < 0.1;
        if !expected.iter().all(same) || found.len() != expected.len() {
            wrong(format!("{expected:?} and not {found:?}"));
        }
        // IPVS's forty are few, but of the same shares.
        let theirs: Vec<String> = theirs.chars().map(String::from).collect();
        let few = shares(&theirs);
        let near =
            |(name, share): (&&str, &f64)| (few.get(name).unwrap_or(&0.0) - share).abs() < 0.2;
        if !expected.iter().all(near) {
            wrong(format!("IPVS itself: {few:?}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// A server of weight 0 has its share of the tables, and its clients, and nobody else, are refused.
#[test]
fn those_of_a_server_without_weight_are_refused() {
    for (scheduler, by, most) in [("sh", "sources", 500), ("dh", "addresses", 250)] {
        let mut site = Site::new();
        site.rig.addresses = if by == "addresses" { 250 } else { 1 };
        schedulers::add(&mut site, scheduler, "1,1,1", 80);
        let before = picks(&mut site, by, most);
        let output = site
            .rig
            .ipvsadm(&format!("-e -t {VIP}:80 -r 10.0.0.12:80 -m -w 0"));
        assert_eq!(output.code, 0);
        site.pass(200.0);
        let expected = before
            .iter()
            .map(|pick| if pick == "2" { "R" } else { pick.as_str() });
        let expected: Vec<&str> = expected.collect();
        assert_eq!(picks(&mut site, by, most), expected, "{scheduler}");
    }
}

/// When a server goes, its clients alone move; when it comes back, they and nobody else come back. (With IPVS that is
/// so of `mh`; its `sh` moves others too: 14 of 40.)
#[test]
fn a_change_moves_nobody_else() {
    for scheduler in ["mh", "sh", "dh"] {
        let by = if scheduler == "dh" {
            "addresses"
        } else {
            "sources"
        };
        let mut site = Site::new();
        site.rig.addresses = if by == "addresses" { 250 } else { 1 };
        schedulers::add(&mut site, scheduler, "1,1,1", 80);
        let before = picks(&mut site, by, 250);
        let _ = site.rig.ipvsadm(&format!("-d -t {VIP}:80 -r 10.0.0.12:80"));
        site.pass(200.0);
        let without = picks(&mut site, by, 250);
        let moved = before.iter().zip(&without);
        let moved = moved.filter(|(was, is)| *was != "2" && was != is);
        assert_eq!(moved.count(), 0, "{scheduler}");
        assert!(without.iter().all(|pick| pick == "1" || pick == "3"));
        let _ = site
            .rig
            .ipvsadm(&format!("-a -t {VIP}:80 -r 10.0.0.12:80 -m"));
        site.pass(200.0);
        assert_eq!(picks(&mut site, by, 250), before, "{scheduler}");
    }
}
