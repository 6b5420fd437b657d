//! Stress: whether a backup takes over though nothing has happened, while processors and links have far too much to do.
//!
//! [`mod@source`] is what stresses, [`bogus`] the adverts that nobody may obey, [`scene`] two directors under it, [`ear`] what is
//! heard there, and [`pulse`] how long the machine itself stands still.

mod bogus;
mod ear;
mod pulse;
mod scene;
pub(crate) mod source;

use super::super::l4::report::{Report, Row, Table};
use super::super::peer::Peer;
use super::super::process::{Cores, Process};
use super::super::{Options, machine};
use super::place;
use crate::Result;
use ear::Tally;
use pulse::{Pulse, Stalls};
use scene::{Outcome, Scene};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What this case is called.
pub(super) const NAME: &str = "stress";
/// Without a choice.
const MINUTES: u64 = 60;
/// Busy processes for each core; one in four is about memory.
const PER_CORE: usize = 4;
/// Until both directors have settled, and after the end of the stress.
const CALM: Duration = Duration::from_secs(2);

const COLUMNS: [&str; 9] = [
    "minutes",
    "takeovers",
    "in a stall",
    "state changes",
    "two masters",
    "adverts",
    "lost",
    "sent gap ms",
    "heard gap ms",
];
const DETAILS: [&str; 8] = [
    "datagrams/s",
    "bogus adverts",
    "refused",
    "requests",
    "failed",
    "sent > 2 int.",
    "heard > 2 int.",
    "CPU s/director",
];

/// Measures all `peers` at once, under the same stress.
pub(super) fn run(options: &Options, peers: &[Peer]) -> Result {
    let minutes = if options.quick {
        1
    } else {
        options.minutes.unwrap_or(MINUTES).max(1)
    };
    // In so long a time, what is checked out may become something else.
    let described = machine::Machine::describe();
    place::sweep();
    let folder = super::super::scratch()?;
    let mut scenes: Vec<Scene> = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        let folder = folder.path().join(&peer.name);
        let scene =
            Scene::start(peer, index, &folder).map_err(|e| format!("{}: {e}", peer.name))?;
        scenes.push(scene);
    }
    std::thread::sleep(CALM);
    let machine = busy(options, folder.path())?;
    for scene in &mut scenes {
        scene.begin(options.nice, options.spare)?;
    }
    let pulse = Pulse::begin()?;
    let load = watch(&mut scenes, &pulse, minutes)?;
    let stalls = pulse.end();
    let outcomes: Result<Vec<Outcome>> = scenes.into_iter().map(Scene::end).collect();
    drop(machine);
    let outcomes = outcomes?;
    Report {
        what: "failover-stress",
        date: machine::date(),
        machine: described,
        about: about(options, minutes, load, &stalls, peers, &outcomes),
        tables: tables(&outcomes, &stalls),
    }
    .finish(options)
}

/// A process that stresses, which tells `count` how much.
pub(super) fn source(
    mut command: Command,
    words: &[&str],
    nice: i32,
    count: &Path,
) -> Result<Process> {
    command
        .arg("stress")
        .arg(format!("--nice={nice}"))
        .arg("--count")
        .arg(count)
        .args(words)
        .stdin(Stdio::null());
    Process::start(&mut command, Cores::Any)
}

/// This program.
pub(super) fn own() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| format!("own program: {e}"))
}

/// What keeps the machine busy; it ends with what this gives.
fn busy(options: &Options, folder: &Path) -> Result<Vec<Process>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Vec::new();
    for number in 0..cores * PER_CORE {
        let kind = if number % PER_CORE == 0 {
            "memory"
        } else {
            "compute"
        };
        let count = folder.join(format!("{kind}-{number}"));
        all.push(source(Command::new(own()?), &[kind], options.nice, &count)?);
    }
    let to = folder.to_string_lossy().into_owned();
    let count = folder.join("disk");
    all.push(source(
        Command::new(own()?),
        &["disk", &to],
        options.nice,
        &count,
    )?);
    Ok(all)
}

/// Says each minute how it is; the mean load of the machine.
fn watch(scenes: &mut [Scene], pulse: &Pulse, minutes: u64) -> Result<f64> {
    let began = Instant::now();
    let mut loads = Vec::new();
    for minute in 1..=minutes {
        let until = began + Duration::from_secs(60 * minute);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        loads.push(load());
        let stalls = pulse.seen();
        let (longest, long) = (stalls.longest, stalls.long());
        eprintln!(
            "bench: stress minute {minute}/{minutes}: stalls of the machine: {longest:?}, {long} long"
        );
        for scene in &mut *scenes {
            eprintln!("bench: stress minute {minute}/{minutes}: {}", scene.line());
            scene.check()?;
        }
    }
    Ok(loads.iter().sum::<f64>() / loads.len().max(1) as f64)
}

/// How many processes run or wait to, over the last minute.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(f64::NAN)
}

/// How many takeovers came of the machine's own standing still.
fn in_a_stall(tally: &Tally, stalls: &Stalls) -> usize {
    let mut takeovers = tally.takeovers.iter();
    takeovers
        .by_ref()
        .filter(|silence| stalls.explain(**silence))
        .count()
}

fn tables(outcomes: &[Outcome], stalls: &Stalls) -> Vec<Table> {
    let mut main = Table::new("What the directors did", &COLUMNS);
    let mut details = Table::new("What they were under", &DETAILS);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    for outcome in outcomes {
        let name = || format!("10ms-stress {}", outcome.peer);
        let tally = &outcome.tally;
        let seconds = outcome.lasted.as_secs_f64();
        main.rows.push(Row {
            name: name(),
            values: vec![
                seconds / 60.0,
                tally.takeovers.len() as f64,
                in_a_stall(tally, stalls) as f64,
                outcome.changes as f64,
                tally.of_two_masters as f64,
                tally.sent.adverts as f64,
                tally.lost() as f64,
                ms(tally.sent.longest),
                ms(tally.arrived.longest),
            ],
        });
        details.rows.push(Row {
            name: name(),
            values: vec![
                outcome.datagrams as f64 / seconds,
                outcome.bogus as f64,
                outcome.refused.map_or(f64::NAN, |refused| refused as f64),
                outcome.requests.0 as f64,
                outcome.requests.1 as f64,
                tally.sent.over_two as f64,
                tally.arrived.over_two as f64,
                outcome.cpu.as_secs_f64(),
            ],
        });
    }
    vec![main, details]
}

/// How it was measured, by whom, and whether the goal was reached.
fn about(
    options: &Options,
    minutes: u64,
    load: f64,
    stalls: &Stalls,
    peers: &[Peer],
    outcomes: &[Outcome],
) -> String {
    let versions: Vec<String> = peers
        .iter()
        .map(|peer| format!("{}: {}", peer.name, peer.version()))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "{minutes} min, all peers at the same time and under the same stress, each in a place of its own (two directors and a \
         client, each in a network namespace, on one bridge); equal priorities (100), no preemption, real-time priority for both, \
         VRRP version 3 at 10 ms. aplomb forwards datagrams in the kernel (`direct`), answers requests and syncs connections \
         beside it. Stress: {} busy processes (a quarter of them write memory) and one that writes and syncs a file, on {cores} \
         cores, with nice {}; for each place {} datagrams of 18 bytes a second to the virtual address and as many to the first director's \
         own, in batches of 64, {} adverts a second that would take the address over if one were obeyed (hop limit, checksum, \
         version, address, length, id), and {} requests a second. Load of the machine, mean of the minutes: {load:.1}. \"takeovers\" \
         is how often a director began to send adverts, \"in a stall\" how many of them after a silence in which a core stood still for {} ms \
         or longer, \"state changes\" what both said of themselves, \"two masters\" adverts of one \
         while the other sent them too. Adverts are stamped by the kernel as they leave one director and as they arrive at the other; \
         \"lost\" are those that did not. A thread of the highest real-time priority on each core that only sleeps woke up to {:.1} ms \
         late, {} times more than {} ms: so long the machine itself stood still. {}.",
        cores * PER_CORE,
        options.nice,
        scene::DATAGRAMS,
        scene::BOGUS,
        scene::REQUESTS,
        Pulse::ENOUGH.as_millis(),
        stalls.longest.as_secs_f64() * 1e3,
        stalls.long(),
        Pulse::LONG.as_millis(),
        versions.join("; ")
    );
    if options.spare {
        text += "\n\nkeepalived was spared those adverts.";
    }
    for outcome in outcomes {
        let (all, stalled) = (
            outcome.tally.takeovers.len(),
            in_a_stall(&outcome.tally, stalls),
        );
        let word = if all == 0 && outcome.changes == 0 {
            "reached".to_owned()
        } else if all == stalled {
            format!("reached but for {all} in which the machine itself stood still")
        } else {
            format!(
                "missed, {} without the machine's own standing still",
                all - stalled
            )
        };
        text += &format!("\n\nGoal: no false failover, {}: {word}.", outcome.peer);
        if outcome.tally.unheard > 0 {
            text += &format!(
                " {} frames were not heard: there is a hole in its figures.",
                outcome.tally.unheard
            );
        }
    }
    text
}
