//! How long a change among many backends takes until the program goes by it: printed, for people to look at.
//! `cargo test --release -p l4 --test kernel -- --ignored --nocapture timing`

use std::time::Instant;

use control::spec::{Balance, Forward, HashKey, Scheme};

use super::{
    plans::{plan, pool, service},
    rig::Rig,
};

const BACKENDS: usize = 1000;

#[test]
#[ignore = "prints times, asserts nothing"]
fn one_of_a_thousand_backends() {
    let Some(mut rig) = Rig::new() else {
        return;
    };
    let all: Vec<String> = (0..BACKENDS)
        .map(|n| format!("10.1.{}.{}:80", n / 250, n % 250 + 1))
        .collect();
    for balance in [
        Balance::Maglev(HashKey::Source),
        Balance::Hash(HashKey::Source),
        Balance::RoundRobin,
        Balance::WeightedLeastConnections,
    ] {
        let members = |weight: u32| {
            let all = all.iter().map(move |a| (a.as_str(), 1));
            let mut all: Vec<_> = all.collect();
            all[500].1 = weight;
            all
        };
        let service = service(Scheme::Tcp, "198.51.100.1:80", Forward::Direct, "web");
        let mut timed = |what: &str, members: &[(&str, u32)]| {
            let plan = plan(
                &[std::sync::Arc::clone(&service)],
                &[pool("web", balance.clone(), members)],
            );
            let start = Instant::now();
            rig.harness.apply(&plan).unwrap();
            println!("{balance:?}, {what}: {:?}", start.elapsed());
        };
        timed("all anew", &members(1));
        timed("one to weight 0", &members(0));
        timed("and back", &members(1));
        let mut fewer = members(1);
        fewer.remove(500);
        timed("one removed", &fewer);
        timed("and added again", &members(1));
    }
}
