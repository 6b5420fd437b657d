//! Failover: how long nobody has a virtual address, between two aplombs and between two keepalived.
//!
//! [`case`] says what happens to the master; [`place`] is where, [`director`] who; [`pair`] has it happen, and [`watch`]
//! is the client's ear. [`figures`] are what comes out. [`stress`] is the other question: whether anybody takes over though
//! nothing has happened.

mod case;
mod director;
mod figures;
mod pair;
pub(super) mod place;
pub(crate) mod stress;
mod watch;

use super::l4::report::{Report, Table, median};
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
    let stress = options.case == [stress::NAME];
    let cases = if stress {
        Vec::new()
    } else {
        case::chosen(&options.case)?
    };
    let peers = super::peers(options, &PEERS)?;
    if let Some(other) = peers.iter().find(|peer| !peer.holds_addresses()) {
        return Err(format!("{} holds no virtual addresses", other.name));
    }
    if stress {
        return stress::run(options, &peers);
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
    let mut late = Table::new(
        "How late that is: from the master's last advert, beyond what is due, milliseconds",
        &figures::LATE,
    );
    late.rows = outcomes.iter().map(Outcome::late).collect();
    Report {
        what: "failover",
        date: machine::date(),
        machine: machine::Machine::describe(),
        about: about(rounds, &peers, &outcomes),
        tables: vec![table, late],
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
    let blank = |peer: &Peer| Outcome {
        case: case.name(),
        peer: peer.name.clone(),
        times: Vec::new(),
        late: Vec::new(),
        unasked: 0,
    };
    let mut outcomes: Vec<Outcome> = peers.iter().map(blank).collect();
    for round in 0..rounds as usize {
        let phase = random.fraction();
        for step in 0..peers.len() {
            let index = (round + step) % peers.len();
            let (pair, outcome) = (&mut pairs[index], &mut outcomes[index]);
            let about = format!(
                "{} round {}/{rounds}: {}",
                case.name(),
                round + 1,
                outcome.peer
            );
            let took = pair.round(phase).map_err(|e| format!("{about}: {e}"))?;
            let all = took.all.as_secs_f64() * 1e3;
            eprintln!("bench: {about} {all:.2} ms");
            outcome.times.push(all);
            outcome.late.push(took.late * 1e3);
            outcome.unasked = pair.unasked;
        }
    }
    Ok(outcomes)
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
         Where between two adverts the master ends is chance, as large as an interval; how late the other was counts from the \
         last advert that the client heard, and beyond what the protocol has it wait (three intervals and 156/256 of one; after \
         a release only the latter). p99 is by nearest rank: of fewer than 100 runs it is the greatest. \"unasked\" counts takeovers without an event, \
         whose rounds were begun again. {}.",
        versions.join("; ")
    );
    for peer in peers.iter().filter(|peer| !peer.is_keepalived()) {
        let own = &peer.name;
        let fast = |outcome: &&Outcome| outcome.peer == *own && outcome.case.starts_with("10ms-");
        let worst = outcomes
            .iter()
            .filter(fast)
            .map(|outcome| figures::p99(&outcome.times))
            .reduce(f64::max);
        if let Some(worst) = worst {
            let word = if worst <= GOAL { "reached" } else { "missed" };
            text += &format!(
                "\n\nGoal of {own}: p99 at most {GOAL:.0} ms at 10 ms: {word} ({worst:.1})."
            );
        }
        for other in peers.iter().filter(|peer| peer.is_keepalived()) {
            let middle = |late: &[f64]| median(late.to_vec());
            for (name, behind) in [
                (
                    "median",
                    figures::behind(outcomes, own, &other.name, middle),
                ),
                (
                    "p99",
                    figures::behind(outcomes, own, &other.name, figures::p99),
                ),
            ] {
                let verdict = match behind.as_slice() {
                    [] => "reached".to_owned(),
                    cases => format!("missed in {}", cases.join(", ")),
                };
                text += &format!(
                    "\n\nGoal of {own}: never later than {}, {name}: {verdict}.",
                    other.name
                );
            }
        }
    }
    text
}
