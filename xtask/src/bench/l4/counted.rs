//! Instructions for each packet, of IPVS and of the balancer, in a guest whose clock counts them.

use super::super::{Options, machine};
use super::case::COUNTED;
use super::probe::{Count, Side, figures};
use super::report::{Report, Row, Table};
use super::{names, object, wanted};
use crate::Result;
use crate::guest::Job;
use std::time::Duration;

/// At least so many times the balancer's instructions are IPVS's to be, for packets of flows that are there…
const GOAL_ESTABLISHED: f64 = 5.0;
/// …and for those that begin one.
const GOAL_NEW: f64 = 3.0;

/// Boots the guest with a probe, and reports.
pub(super) fn run(options: &Options) -> Result {
    let mut job = Job::new("");
    let own = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
    job.files = vec![
        ("xtask".into(), own),
        ("source.o".into(), object::source(!options.no_build)?),
    ];
    let balancer = match object::balancer(options.object.as_ref()) {
        Ok(path) => {
            job.files.push(("balancer.o".into(), path));
            "--balancer balancer.o"
        }
        Err(message) => {
            eprintln!("bench: IPVS alone: {message}");
            ""
        }
    };
    let packets = if options.quick { 5000 } else { 40_000 };
    let cases = wanted(options, &names(COUNTED))?;
    let cases = if cases.is_empty() {
        String::new()
    } else {
        format!("--case {}", cases.join(","))
    };
    job.script = format!(
        "set -e\nmodprobe -a veth tun ip_vs ipip\nuname -r >/out/release\n\
         ./xtask l4-probe --counted --source source.o {balancer} --packets {packets} --room 131072 {cases}\n"
    );
    job.counted = true;
    job.limit = Duration::from_secs(600);
    let ended = job.run()?;
    if ended.code != 0 {
        return Err(format!("the probe failed:\n{}", ended.output));
    }
    let counts: Vec<Count> = figures(&ended.output);
    let of = |case: &str, side: Side| {
        let found = counts.iter().find(|c| c.case == case && c.side == side);
        found.map_or(f64::NAN, |count| count.cost)
    };
    let mut table = Table::new(
        "Instructions for each packet",
        &["IPVS", "aplomb", "IPVS to aplomb", "goal", "(source)"],
    );
    for case in COUNTED {
        let source = of(case.name, Side::Source);
        if source.is_nan() {
            continue;
        }
        let ipvs = of(case.name, Side::Ipvs) - source;
        let own = of(case.name, Side::Aplomb) - source;
        let goal = if case.flows == 0 {
            GOAL_NEW
        } else {
            GOAL_ESTABLISHED
        };
        table.rows.push(Row {
            name: case.name.to_owned(),
            values: vec![ipvs, own, ipvs / own, goal, source],
        });
    }
    let forward = of("forward", Side::Forward);
    let release = std::fs::read_to_string(ended.file("release")).unwrap_or_default();
    Report {
        what: "l4-ipvs",
        date: machine::date(),
        machine: machine::Machine::describe(),
        about: format!(
            "In an emulated machine (QEMU, one instruction one nanosecond), Linux {}, {packets} UDP or TCP packets of \
             96 bytes a case, four backends in turn (one where replies are measured), no mitigations. The source's own \
             instructions are taken off; with them, plain forwarding by route takes {forward:.0}. What is sent, \
             by either, leaves by a device that only frees it (a tap whose queue is full).",
            release.trim()
        ),
        tables: vec![table],
    }
    .finish(options)
}
