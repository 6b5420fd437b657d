//! Nanoseconds for each packet, in a network namespace of this machine.

use super::super::{Options, machine};
use super::case::TIMED;
use super::probe::{Side, figures};
use super::report::{Report, Row, Table, median};
use super::{object, wanted};
use crate::Result;
use std::process::Command;

/// What a packet of an established IPv4 flow is to take at most, nanoseconds.
const GOAL: f64 = 75.0;
/// The case it is about.
const GOAL_CASE: &str = "direct-tcp-10k";

/// Starts a probe in a namespace, and reports.
pub(super) fn run(options: &Options) -> Result {
    let source = object::source(!options.no_build)?;
    let balancer = object::balancer()?;
    let own = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
    let (rounds, packets) = if options.quick {
        (3, 200_000)
    } else {
        (options.rounds, 1_000_000)
    };
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount"])
        .arg(own)
        .args(["l4-probe", "--room", "4194304", "--source"])
        .arg(source)
        .arg("--balancer")
        .arg(balancer)
        .args(["--rounds", &rounds.to_string()])
        .args(["--packets", &packets.to_string()]);
    let cases = wanted(options, TIMED)?;
    if !cases.is_empty() {
        command.args(["--case", &cases.join(",")]);
    }
    let output = command.output().map_err(|e| format!("unshare: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the probe failed (it needs root): {said}"));
    }
    let counts = figures(&String::from_utf8_lossy(&output.stdout));
    let mut table = Table::new(
        "Nanoseconds for each packet",
        &["median", "least", "(source)"],
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
        let least = net.iter().copied().fold(f64::NAN, f64::min);
        table.rows.push(Row {
            name: case.name.to_owned(),
            values: vec![median(net), least, median(source)],
        });
    }
    let about = format!(
        "One core, {rounds} rounds of {packets} packets (or one of each flow) of 96 bytes, balancer and bare source in \
         turn; time of the thread. The source (a program that writes the packet's headers, and a tail call) is taken \
         off; sending itself is the driver's and is not in it. Goal: {GOAL_CASE} at most {GOAL:.0} ns."
    );
    Report {
        what: "l4",
        date: machine::date(),
        machine: machine::Machine::describe(),
        about,
        tables: vec![table],
    }
    .finish(options)
}
