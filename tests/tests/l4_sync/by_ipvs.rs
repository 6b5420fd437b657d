//! Two nodes of ours that tell each other by IPVS's protocol. The test itself moves the addresses. Against Linux's own it is
//! tried in a guest that has it (`cargo xtask guest sync`).

use std::time::Instant;

use e2e::{Daemon, Talk, needs_root, wait_for};

use super::directors::{Directors, SERVERS, Wanted, all_go_on, ipvs_sync, stored, sync};

/// Connections.
const MANY: usize = 200;

fn wait_for_told(daemon: &Daemon) {
    wait_for("all connections to be told by IPVS's protocol", || {
        stored(&ipvs_sync(daemon), "added") >= MANY as u64
    });
}

fn go_on(mode: &'static str, family: u8) {
    let wanted = Wanted {
        ipvs: true,
        ..Wanted::default()
    };
    let directors = Directors::new(mode, family, wanted);
    let site = &directors.site;
    for host in SERVERS {
        site.echo(host, directors.any());
    }
    let first = directors.start(0);
    let standby = directors.start(1);
    let mut talks = Talk::begin_many(site, directors.service(), MANY).unwrap();
    wait_for_told(&standby);
    assert!(sync(&standby).is_null(), "nothing else is spoken");
    let listed = standby.expect_cli(&["ipvsadm", "-L", "-n", "--daemon"]);
    let group = if family == 6 {
        "ff02::81"
    } else {
        "224.0.0.81"
    };
    for role in ["master", "backup"] {
        let line = format!("{role} sync daemon (mcast=eth0, syncid=7, maxlen=14");
        assert!(listed.contains(&line) && listed.contains(group), "{listed}");
    }

    directors.first_fails(&first);
    directors.give_addresses(1);
    let _ = all_go_on(&mut talks, "through the second", Instant::now());

    // It knows nothing, and nobody can be asked: what the second tells from time to time is enough. It does so of services whose
    // packets come by there.
    let first = directors.first_returns(first);
    wait_for("the first to be told what it had forgotten", || {
        let _ = all_go_on(&mut talks, "meanwhile", Instant::now());
        stored(&ipvs_sync(&first), "added") >= MANY as u64
    });
    directors.second_fails(&standby);
    directors.give_addresses(0);
    let _ = all_go_on(&mut talks, "through the first again", Instant::now());
    assert_eq!(ipvs_sync(&first)["refused"].as_array().unwrap().len(), 0);
}

#[test]
fn nat_over_ipv4_goes_on() {
    if needs_root("nat_over_ipv4_goes_on") {
        go_on("nat", 4);
    }
}

#[test]
fn direct_over_ipv6_goes_on() {
    if needs_root("direct_over_ipv6_goes_on") {
        go_on("direct", 6);
    }
}
