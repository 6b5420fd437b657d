//! Nanoseconds for each packet, memory and the time of changes, in network namespaces of this machine.

use super::super::{Options, machine};
use super::case::TIMED;
use super::probe::{Count, Side, figures};
use super::report::{Report, Row, Table, median};
use super::room::Room;
use super::{changes, names, object, wanted};
use crate::Result;
use std::path::PathBuf;
use std::process::Command;

/// What a packet of an established IPv4 flow is to take at most, nanoseconds.
const GOAL: f64 = 75.0;
/// The case it is about.
const GOAL_CASE: &str = "direct-tcp-10k";

/// Flows of the table that is filled.
const FLOWS: u32 = 10_000_000;
/// What it may take, bytes.
const GOAL_ROOM: u64 = 1_600_000_000;

/// Starts probes in namespaces, and reports.
pub(super) fn run(options: &Options) -> Result {
    let mut known = names(TIMED);
    known.push(changes::NAME);
    let mut cases = wanted(options, &known)?;
    let all = cases.is_empty();
    let with_changes = all || cases.iter().any(|name| name == changes::NAME);
    cases.retain(|name| name != changes::NAME);
    let (rounds, packets, flows, times) = if options.quick {
        (3, 200_000, FLOWS / 100, 5)
    } else {
        (
            options.rounds.unwrap_or(super::super::ROUNDS),
            1_000_000,
            FLOWS,
            20,
        )
    };
    let mut tables = Vec::new();
    if all || !cases.is_empty() {
        tables.extend(packets_and_memory(
            options,
            &cases,
            (rounds, packets),
            flows,
        )?);
    }
    if with_changes {
        tables.push(changes::measure(!options.no_build, times)?);
    }
    let about = format!(
        "One core, {rounds} rounds of {packets} packets (or one of each flow) of 96 bytes, balancer and bare source in \
         turn; time of the thread. The source (a program that writes the packet's headers, and a tail call) is taken \
         off; sending itself is the driver's and is not in it. Goals: {GOAL_CASE} at most {GOAL:.0} ns; {FLOWS} flows at \
         most {:.1} GB; any change of one backend at most {:.0} ms. Changes go from an event through the engine and the \
         tables into maps of the real program: 1,000 services of two backends (services), one service of 1,000 (backends), \
         the same of weights 1 to 4 (weights); in turn a backend of them goes down, comes up, weighs more, weighs what it did, \
         is removed and is added.",
        GOAL_ROOM as f64 / 1e9,
        changes::GOAL
    );
    Report {
        what: "l4",
        date: machine::date(),
        machine: machine::Machine::describe(),
        about,
        tables,
    }
    .finish(options)
}

/// Tables of what packets cost, and without a choice of cases of what flows take.
fn packets_and_memory(
    options: &Options,
    cases: &[String],
    (rounds, packets): (u32, u32),
    flows: u32,
) -> Result<Vec<Table>> {
    let place = Place {
        source: object::source(!options.no_build)?,
        balancer: object::balancer(options.object.as_ref())?,
    };
    let (count, length) = (rounds.to_string(), packets.to_string());
    let mut words = vec![
        "--room",
        "4194304",
        "--rounds",
        &count,
        "--packets",
        &length,
    ];
    let list = cases.join(",");
    if !cases.is_empty() {
        words.extend(["--case", &list]);
    }
    let counts: Vec<Count> = figures(&place.probe(&words)?);
    let mut tables = vec![times(&counts)];
    if cases.is_empty() {
        let output = place.probe(&["--fill", "--room", &flows.to_string()])?;
        tables.push(rooms(&figures(&output)));
    }
    Ok(tables)
}

/// The programs that a probe loads.
struct Place {
    source: PathBuf,
    balancer: PathBuf,
}

impl Place {
    /// Starts a probe in a network namespace of its own; what it said.
    fn probe(&self, words: &[&str]) -> Result<String> {
        let own = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
        let output = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c"])
            // What is mounted there shows the devices of the namespace it was mounted in.
            .arg("mount -t sysfs none /sys && exec \"$@\"")
            .arg("sh")
            .arg(own)
            .args(["l4-probe", "--source"])
            .arg(&self.source)
            .arg("--balancer")
            .arg(&self.balancer)
            .args(words)
            .output()
            .map_err(|e| format!("unshare: {e}"))?;
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("the probe failed (it needs root): {said}"))
    }
}

/// What the table of flows takes.
fn rooms(of: &[Room]) -> Table {
    let columns = ["GB", "GB, free before", "bytes a flow", "% held"];
    let mut table = Table::new("Memory of a full table of flows, IPv4", &columns);
    for room in of {
        table.rows.push(Row {
            name: format!("{} flows", room.flows),
            values: vec![
                room.said as f64 / 1e9,
                room.taken as f64 / 1e9,
                room.said as f64 / f64::from(room.flows),
                room.held * 100.0,
            ],
        });
    }
    table
}

/// Time by case.
fn times(counts: &[Count]) -> Table {
    let mut table = Table::new(
        "Nanoseconds for each packet",
        &["median", "least", "Mpps a core", "(source)"],
    );
    for case in TIMED {
        let costs = |side| -> Vec<f64> {
            let of = counts
                .iter()
                .filter(|c| c.case == case.name && c.side == side);
            of.map(|count| count.cost).collect()
        };
        let source = costs(Side::Source);
        // Both in a pair were measured one after the other.
        let net: Vec<f64> = costs(Side::Aplomb)
            .iter()
            .zip(&source)
            .map(|(with, without)| with - without)
            .collect();
        if net.is_empty() {
            continue;
        }
        let middle = median(net.clone());
        let least = net.iter().copied().fold(f64::NAN, f64::min);
        table.rows.push(Row {
            name: case.name.to_owned(),
            values: vec![middle, least, 1e3 / middle, median(source)],
        });
    }
    table
}
