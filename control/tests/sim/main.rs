//! The engine under deterministic simulation: many small worlds in virtual time, each from one seed.
//!
//! `APLOMB_SEED=7 cargo test -p control --test sim` replays world 7. What must hold is in [`oracle`], by when in
//! [`watch`], what happens in [`world`]; [`wire`] breaks the engine on purpose, to see that the oracles notice.

#![expect(clippy::expect_used, reason = "tests")]

mod config;
mod dice;
mod oracle;
mod servers;
mod trace;
mod watch;
mod wire;
mod world;

use oracle::Judged;
use wire::Sabotage;
use world::{Story, run};

/// The worlds of a plain `cargo test`.
const WORLDS: u64 = 256;

#[expect(
    clippy::disallowed_methods,
    reason = "a seed to replay comes from outside"
)]
fn seeds() -> Vec<u64> {
    match std::env::var("APLOMB_SEED") {
        Ok(seed) => vec![seed.parse().expect("APLOMB_SEED is a number")],
        Err(_) => (0..WORLDS).collect(),
    }
}

fn run_well(seed: u64) -> Story {
    match run(seed, Sabotage::None) {
        Ok(story) => story,
        Err(violation) => panic!(
            "{} {}\nto see it again: APLOMB_SEED={seed} cargo test -p control --test sim",
            violation.oracle, violation.detail
        ),
    }
}

#[test]
fn what_must_hold_holds_in_every_world() {
    let seeds = seeds();
    let mut sum = Story::default();
    for &seed in &seeds {
        let story = run_well(seed);
        sum.probes += story.probes;
        sum.plans += story.plans;
        sum.transitions += story.transitions;
        sum.wakeups += story.wakeups;
        sum.judged = Judged {
            dead: sum.judged.dead + story.judged.dead,
            live: sum.judged.live + story.judged.live,
            ejected: sum.judged.ejected + story.judged.ejected,
            ordered: sum.judged.ordered + story.judged.ordered,
        };
    }
    eprintln!("{} worlds: {sum:?}", seeds.len());
    if seeds.len() > 1 {
        let Judged {
            dead,
            live,
            ejected,
            ordered,
        } = sum.judged;
        let least = dead.min(live).min(ejected).min(ordered);
        assert!(
            least > 10 * WORLDS,
            "the oracles had too little to judge: {:?}",
            sum.judged
        );
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let mut traces = std::collections::BTreeSet::new();
    let seeds: Vec<u64> = seeds().into_iter().take(32).collect();
    for &seed in &seeds {
        let (first, second) = (run_well(seed), run_well(seed));
        assert_eq!(first.trace, second.trace, "APLOMB_SEED={seed}");
        assert!(traces.insert(first.trace), "another seed is another world");
    }
}

/// Runs worlds with a broken engine until an oracle notices; says which.
fn noticed(sabotage: Sabotage) -> &'static str {
    let noticed = (0..64).find_map(|seed| run(seed, sabotage).err());
    noticed.map_or("nobody", |violation| violation.oracle)
}

#[test]
fn the_oracles_notice_what_is_broken() {
    for (sabotage, oracle) in [
        (Sabotage::HideFailures, "dead-avoided"),
        (Sabotage::HidePasses, "live-used"),
        (Sabotage::SwallowDrains, "orders"),
        (Sabotage::ActOnRefusals, "refusal"),
        (Sabotage::EjectAll, "ejections"),
        (Sabotage::ProbeTwice, "one-probe"),
        (Sabotage::AlwaysDue, "wakeups"),
        (Sabotage::CopyParts, "parts"),
        (Sabotage::SwallowDrained, "leak"),
    ] {
        assert_eq!(noticed(sabotage), oracle, "{sabotage:?}");
    }
}
