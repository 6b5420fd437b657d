//! Failover: how long nobody has a virtual address, between two aplombs and between two keepalived.
//!
//! [`case`] says what happens to the master; [`place`] is where, [`director`] who; [`pair`] has it happen, and [`watch`]
//! is the client's ear. [`figures`] are what comes out.

mod case;
mod director;
mod figures;
mod pair;
mod place;
mod watch;

use super::l4::report::{Report, Table};
use super::peer::Peer;
use super::random::Random;
use super::{Options, machine};
use crate::Result;
use case::Case;
use figures::Outcome;
use pair::Pair;
use std::path::Path;

/// Who takes part without a choice.
const PEERS: [&str; 2] = ["aplomb", "keepalived"];
/// Rounds of each case without a choice.
const ROUNDS: u32 = 20;
/// What p99 is to be at most at 10 ms, milliseconds.
const GOAL: f64 = 40.0;

/// `cargo xtask bench failover`.
pub(super) fn run(options: &Options) -> Result {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces and packet sockets need root".into());
    }
    let cases = case::chosen(&options.case)?;
    let peers = super::peers(options, &PEERS)?;
    if let Some(other) = peers.iter().find(|peer| !peer.holds_addresses()) {
        return Err(format!("{} holds no virtual addresses", other.name));
    }
    let rounds = if options.quick {
        3
    } else {
        options.rounds.unwrap_or(ROUNDS)
    }
    .max(1);
    place::sweep();
    let folder = super::scratch()?;
    let mut random = Random::of(options);
    let mut outcomes = Vec::new();
    for case in &cases {
        let measured = measure(*case, &peers, rounds, &mut random, folder.path())?;
        outcomes.extend(measured);
    }
    let mut table = Table::new(
        "From the event to the first gratuitous ARP, milliseconds",
        &figures::COLUMNS,
    );
    table.rows = outcomes.iter().map(Outcome::row).collect();
    Report {
        what: "failover",
        date: machine::date(),
        machine: machine::Machine::describe(),
        about: about(rounds, &peers, &outcomes),
        tables: vec![table],
    }
    .finish(options)
}

/// All rounds of a case, each peer in each round, who is first in turn.
fn measure(
    case: Case,
    peers: &[Peer],
    rounds: u32,
    random: &mut Random,
    folder: &Path,
) -> Result<Vec<Outcome>> {
    let started: Result<Vec<Pair>> = peers
        .iter()
        .enumerate()
        .map(|(index, peer)| {
            Pair::start(peer, index, case, folder).map_err(|e| format!("{}: {e}", peer.name))
        })
        .collect();
    let mut pairs = started?;
    let mut times = vec![Vec::new(); peers.len()];
    for round in 0..rounds {
        let phase = random.fraction();
        for step in 0..peers.len() {
            let index = (round as usize + step) % peers.len();
            let name = &peers[index].name;
            let took = pairs[index]
                .round(phase)
                .map_err(|e| format!("{} {name}: {e}", case.name()))?
                .as_secs_f64()
                * 1e3;
            eprintln!(
                "bench: {} round {}/{rounds}: {name} {took:.2} ms",
                case.name(),
                round + 1
            );
            times[index].push(took);
        }
    }
    let outcome = |((peer, times), pair): ((&Peer, Vec<f64>), &Pair)| Outcome {
        case: case.name(),
        peer: peer.name.clone(),
        times,
        unasked: pair.unasked,
    };
    Ok(peers.iter().zip(times).zip(&pairs).map(outcome).collect())
}

/// How it was measured, by whom, and whether the goals were reached.
fn about(rounds: u32, peers: &[Peer], outcomes: &[Outcome]) -> String {
    let versions: Vec<String> = peers
        .iter()
        .map(|peer| format!("{}: {}", peer.name, peer.version()))
        .collect();
    let mut text = format!(
        "{rounds} rounds, peers in turn. Two directors of a kind and a client, each in a network namespace, on one bridge; \
         equal priorities (100), no preemption, real-time priority for both; VRRP version 2 at 1 s, 3 below. The master is \
         killed (kill), loses its cable (link), or is asked to end (stop); the time is from then to the first gratuitous ARP of \
         the other, as the kernel stamps it in the client's namespace. The old master comes back as backup for the next round. \
         p99 is by nearest rank: of fewer than 100 runs it is the greatest. \"unasked\" counts takeovers without an event, \
         whose rounds were begun again. {}.",
        versions.join("; ")
    );
    for peer in peers.iter().filter(|peer| !peer.is_keepalived()) {
        let own = &peer.name;
        let fast = |outcome: &&Outcome| outcome.peer == *own && outcome.case.starts_with("10ms-");
        let worst = outcomes
            .iter()
            .filter(fast)
            .map(Outcome::p99)
            .reduce(f64::max);
        if let Some(worst) = worst {
            let word = if worst <= GOAL { "reached" } else { "missed" };
            text += &format!(
                "\n\nGoal of {own}: p99 at most {GOAL:.0} ms at 10 ms: {word} ({worst:.1})."
            );
        }
        for other in peers.iter().filter(|peer| peer.is_keepalived()) {
            let behind = figures::behind(outcomes, own, &other.name);
            let verdict = match behind.as_slice() {
                [] => "reached".to_owned(),
                cases => format!("missed in {}", cases.join(", ")),
            };
            text += &format!(
                "\n\nGoal of {own}: never slower than {}: {verdict}.",
                other.name
            );
        }
    }
    text
}
