//! Ten thousand connections by each way, over IPv4 and IPv6; VRRP moves the addresses. The master is killed: all go on. It
//! returns and takes over again when it knows what it must: all go on.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use e2e::{Daemon, Talk, needs_root, raise_file_limit, wait_for};

use super::directors::{Directors, Wanted, all_go_on, stored, sync, wait_for_sync};

/// Connections.
const MANY: usize = 10_000;

/// As many clients' ends as a process may have descriptors for: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The first virtual address's state, as a node sees itself.
fn state(daemon: &Daemon) -> String {
    let status = daemon.status().unwrap_or_default();
    status["vips"][0]["state"].as_str().unwrap_or("").to_owned()
}

/// Tells how long connections stood still from the master's end on, for who wants to know (`--nocapture`).
fn tell(what: &str, times: &[Duration]) {
    let of = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    eprintln!(
        "{what}: {} go on, half of them after {:.2?}, 99 of a hundred after {:.2?}, the last after {:.2?}",
        times.len(),
        of(50),
        of(99),
        of(100)
    );
}

fn fails_over(mode: &'static str, family: u8) {
    // Another test's failure is no reason to fail as well.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let files = raise_file_limit();
    assert!(files > MANY as u64 + 2000, "too few descriptors: {files}");
    let wanted = Wanted {
        vrrp: true,
        ..Wanted::default()
    };
    let directors = Directors::new(mode, family, wanted);
    let _servers = directors.crowds();
    let first = directors.start(0);
    wait_for("the first to be master", || state(&first) == "master");
    let standby = directors.start(1);
    wait_for("the second to be backup", || state(&standby) == "backup");
    let mut talks = Talk::begin_many(&directors.site, directors.service(), MANY).unwrap();
    wait_for_sync(&standby, MANY);

    // What is said in the middle of it is said again until it arrives.
    let began = Instant::now();
    directors.first_fails(&first);
    let times = all_go_on(&mut talks, "through the second", began);
    tell(
        &format!("{mode}, IPv{family}, when the first fails"),
        &times,
    );
    assert_eq!(state(&standby), "master");

    let first = directors.first_returns(first);
    wait_for("the first to be master again", || state(&first) == "master");
    // It did not take over before it knew all of them.
    assert!(stored(&sync(&first), "added") >= MANY as u64);
    let _ = all_go_on(&mut talks, "through the first again", Instant::now());
    assert_eq!(state(&standby), "backup");
}

macro_rules! failed_over {
    ($($name:ident: $mode:literal $family:literal),* $(,)?) => { $(
        #[test]
        fn $name() {
            if needs_root(stringify!($name)) {
                fails_over($mode, $family);
            }
        }
    )* };
}

failed_over! {
    nat_over_ipv4: "nat" 4,
    nat_over_ipv6: "nat" 6,
    direct_over_ipv4: "direct" 4,
    direct_over_ipv6: "direct" 6,
    tunnel_over_ipv4: "tunnel" 4,
    tunnel_over_ipv6: "tunnel" 6,
}
