//! Where the time of aplomb goes under load: symbols by perf, and which system calls it makes.

use super::load::Running as Pressure;
use super::peer::{Mode, Peer};
use super::process::{Cores, run_bounded};
use super::{Backend, build, case, idle, scratch};
use crate::Result;
use clap::Args;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Options {
    /// At which layer it forwards
    mode: Mode,
    /// The load of this case of `cargo xtask bench`
    #[arg(long, default_value = "keep-64")]
    case: String,
    /// Whom to profile, as in `cargo xtask bench`
    #[arg(long, default_value = "aplomb")]
    peer: String,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Show who calls each symbol
    #[arg(long)]
    callers: bool,
    /// Symbols below this share are left out, in percent
    #[arg(long, default_value_t = 0.7)]
    above: f64,
    /// Without access log
    #[arg(long)]
    no_log: bool,
    /// Do not build aplomb first
    #[arg(long)]
    no_build: bool,
}

/// Profiles and prints.
pub(crate) fn run(options: &Options) -> Result {
    let found = case::of(options.mode)
        .iter()
        .find(|case| case.name == options.case);
    let load = match found.map(|case| case.kind) {
        Some(case::Kind::Load(load) | case::Kind::Syscalls(load)) => load,
        _ => return Err(format!("no load in case {}", options.case)),
    };
    if !options.no_build && options.peer == "aplomb" {
        build()?;
    }
    let peer = Peer::find(&options.peer)?.ok_or("nothing to profile")?;
    let _ = idle::raise_file_limit();
    let folder = scratch()?;
    let backend = Backend::start()?;
    let running = peer.start(options.mode, backend.port, !options.no_log, folder.path())?;
    let ids: Vec<String> = running.process.tree().iter().map(u32::to_string).collect();
    let ids = ids.join(",");

    let length = Duration::from_secs(options.seconds.max(1));
    let pressure = |length| Pressure::start(load, running.port, length, Cores::Others);
    let around = Duration::from_secs(2);

    let seen = pressure(length + around)?;
    std::thread::sleep(Duration::from_millis(500));
    let data = crate::root().join("target/bench/perf.data");
    let recorded = record(&ids, length, &data, options.callers);
    let seen = seen.finish()?;
    println!(
        "{}: {:.0} requests/s under perf\n",
        running.name, seen.per_second
    );
    match recorded.and_then(|()| report(&data, options)) {
        Ok(symbols) => println!("{symbols}"),
        Err(why) => println!("no symbols, perf does not work here: {why}\n"),
    }

    let seen = pressure(length + around)?;
    std::thread::sleep(Duration::from_millis(500));
    let calls = folder.path().join("calls");
    syscalls(&ids, length, &calls)?;
    let _ = seen.finish()?;
    println!("{}", std::fs::read_to_string(&calls).unwrap_or_default());
    println!("more: perf report -i {}", data.display());
    Ok(())
}

fn record(ids: &str, length: Duration, data: &Path, callers: bool) -> Result {
    let mut perf = Command::new("perf");
    // The CPU's own clock: counters are not there in most virtual machines.
    perf.args([
        "record",
        "--quiet",
        "-e",
        "cpu-clock",
        "-F",
        "1999",
        "-p",
        ids,
        "-o",
    ])
    .arg(data);
    if callers {
        perf.args(["--call-graph", "dwarf,16384"]);
    }
    perf.args(["--", "sleep", &length.as_secs().to_string()]);
    perf.stdout(Stdio::null()).stderr(Stdio::null());
    run_bounded(&mut perf, Cores::Others, length + Duration::from_secs(30))
}

fn report(data: &Path, options: &Options) -> Result<String> {
    let mut perf = Command::new("perf");
    perf.args([
        "report",
        "--stdio",
        "--no-children",
        "-s",
        "dso,symbol",
        "-i",
    ])
    .arg(data);
    perf.arg(format!("--percent-limit={}", options.above));
    perf.args(if options.callers {
        ["-g", "caller,0.5,callee"]
    } else {
        ["-g", "none"]
    });
    let output = perf
        .stderr(Stdio::null())
        .output()
        .map_err(|e| format!("perf report: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("# To "));
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// A table of system calls by perf, or by strace where perf cannot.
fn syscalls(ids: &str, length: Duration, report: &Path) -> Result {
    let seconds = length.as_secs().to_string();
    let limit = length + Duration::from_secs(30);
    let mut perf = Command::new("perf");
    perf.args(["trace", "-s", "-p", ids, "-o"])
        .arg(report)
        .args(["--", "sleep", &seconds]);
    perf.stdout(Stdio::null()).stderr(Stdio::null());
    if run_bounded(&mut perf, Cores::Others, limit).is_ok() {
        return Ok(());
    }
    let mut strace = Command::new("timeout");
    strace.args([
        "--preserve-status",
        "-s",
        "INT",
        &seconds,
        "strace",
        "-c",
        "-f",
        "-q",
        "-o",
    ]);
    strace.arg(report).stderr(Stdio::null());
    for id in ids.split(',') {
        strace.args(["-p", id]);
    }
    // It ends by a signal, which is no failure: what it wrote counts.
    let _ = run_bounded(&mut strace, Cores::Others, limit);
    Ok(())
}
