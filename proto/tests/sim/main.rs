//! Virtual routers under deterministic simulation: many small worlds in virtual time, each from one seed.
//!
//! `APLOMB_SEED=7 cargo test -p proto --test sim` replays world 7, `APLOMB_WORLDS=100000` runs that many. What must hold is
//! in [`oracle`] and, while the network is whole, in [`world`]; [`sabotage`] breaks machines on purpose, to see that the
//! oracles notice.

#![expect(clippy::expect_used, reason = "tests")]

mod clock;
mod dice;
mod forge;
mod network;
mod node;
mod oracle;
mod sabotage;
mod setup;
mod world;

use std::collections::BTreeSet;

use oracle::Judged;
use sabotage::Sabotage;
use world::{Story, run};

/// The worlds of a plain `cargo test`.
const WORLDS: u64 = 2000;

#[expect(
    clippy::disallowed_methods,
    reason = "which worlds to run comes from outside"
)]
fn seeds() -> Vec<u64> {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    match number("APLOMB_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("APLOMB_WORLDS").unwrap_or(WORLDS)).collect(),
    }
}

fn run_well(seed: u64) -> Result<Story, String> {
    run(seed, Sabotage::None).map_err(|violation| {
        format!(
            "{}: {}\nto see it again: APLOMB_SEED={seed} cargo test -p proto --test sim",
            violation.oracle, violation.detail
        )
    })
}

#[test]
fn what_must_hold_holds_in_every_world() {
    let seeds = seeds();
    let mut sum = Judged::default();
    let mut sent = 0;
    let mut violations = Vec::new();
    for &seed in &seeds {
        let Story {
            judged, sent: more, ..
        } = run_well(seed).unwrap_or_else(|violation| {
            violations.push(violation);
            Story::default()
        });
        sent += more;
        sum.looks += judged.looks;
        sum.settled += judged.settled;
        sum.takeovers += judged.takeovers;
        sum.overlaps += judged.overlaps;
        sum.gaps += judged.gaps;
    }
    eprintln!("{} worlds, {sent} adverts: {sum:?}", seeds.len());
    assert!(
        violations.is_empty(),
        "{} worlds are not as they must be, the first ten:\n{}",
        violations.len(),
        violations[..violations.len().min(10)].join("\n")
    );
    if seeds.len() as u64 >= WORLDS {
        let least = sum
            .settled
            .min(sum.takeovers)
            .min(sum.overlaps)
            .min(sum.gaps);
        assert!(
            least > WORLDS,
            "the oracles had too little to judge: {sum:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let mut traces = BTreeSet::new();
    let seeds: Vec<u64> = seeds().into_iter().take(64).collect();
    for &seed in &seeds {
        let (first, second) = (run_well(seed), run_well(seed));
        let (first, second) = (first.map(|s| s.trace), second.map(|s| s.trace));
        assert_eq!(first, second, "APLOMB_SEED={seed}");
        assert!(traces.insert(first), "another seed is another world");
    }
}

/// Runs worlds with broken machines until this oracle notices; else says which did.
fn noticed(sabotage: Sabotage, wanted: &str) -> Result<(), BTreeSet<&'static str>> {
    let mut others = BTreeSet::new();
    for seed in 0..400 {
        match run(seed, sabotage) {
            Err(violation) if violation.oracle == wanted => return Ok(()),
            Err(violation) => others.extend([violation.oracle]),
            Ok(_) => {}
        }
    }
    Err(others)
}

#[test]
fn the_oracles_notice_what_is_broken() {
    for (sabotage, oracle) in [
        (Sabotage::Stubborn, "not-two"),
        (Sabotage::DeafToReleases, "one-master"),
        (Sabotage::Mute, "not-two"),
        (Sabotage::Meek, "one-master"),
        (Sabotage::Late, "one-master"),
        (Sabotage::SlowFirst, "not-two"),
        (Sabotage::KeepAddresses, "addresses"),
        (Sabotage::AlwaysPreempt, "needless"),
        (Sabotage::NeverPreempt, "best"),
        (Sabotage::NoGate, "gate"),
    ] {
        assert_eq!(noticed(sabotage, oracle), Ok(()), "{sabotage:?} {oracle}");
    }
}
