//! Benchmarks: aplomb beside its peers, with the same upstream, load and duties.
//!
//! [`case`] says what is measured, [`peer`] who is, and how each is set up; [`upstream`] is the
//! backend, [`load`] and [`idle`] are the clients, [`figures`] and [`report`] what comes out.
//! [`l4`] is about the kernel data plane, [`failover`] about virtual addresses, [`sync`] about connection sync.
//! The load generator competes for the machine, so CPU per request is the figure to trust.

mod case;
pub(crate) mod failover;
mod figures;
mod idle;
pub(crate) mod l4;
mod load;
mod machine;
mod peer;
pub(crate) mod process;
pub(crate) mod profile;
mod random;
mod report;
mod sync;
mod syscalls;
pub(crate) mod upstream;

use crate::Result;
use case::{Case, Kind, Sample};
use clap::Args;
use figures::Outcome;
use load::Load;
use peer::{Mode, Peer, Running};
use process::{Cores, Process};
use random::Random;
use report::Report;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Who takes part in forwarding without a choice.
const PEERS: [&str; 4] = ["haproxy", "nginx", "envoy", "aplomb"];

/// Rounds without a choice.
const ROUNDS: u32 = 7;

/// Idle connections to open, where the file limit allows it.
const IDLE: usize = 10_000;

/// Files a peer needs besides those of connections.
const SPARE_FILES: usize = 2000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Subject {
    /// Forwarding of HTTP, beside the peers
    Http,
    /// Forwarding of TCP, beside the peers
    Tcp,
    /// The kernel data plane, alone or beside IPVS
    L4,
    /// How long a virtual address is nobody's when its master is gone, beside keepalived
    Failover,
    /// What connection sync costs
    Sync,
}

#[derive(Args)]
pub(crate) struct Options {
    /// What is measured
    subject: Subject,
    /// The kernel data plane beside IPVS: instructions, in an emulated guest
    #[arg(long)]
    ipvs: bool,
    /// Another build of the kernel program than the one that is shipped
    #[arg(long)]
    object: Option<PathBuf>,
    /// Rounds; in each, every peer is measured once, in random order (7; failover: 20, in turn)
    #[arg(long)]
    rounds: Option<u32>,
    /// Length of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Two rounds of one second (failover: three): to see that it works
    #[arg(long)]
    quick: bool,
    /// Only these cases
    #[arg(long, value_delimiter = ',')]
    case: Vec<String>,
    /// Who takes part (haproxy,nginx,envoy,aplomb; failover: aplomb,keepalived); the first is the baseline; NAME=PATH is
    /// another build of aplomb
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Length of `failover --case stress` (60)
    #[arg(long)]
    minutes: Option<u64>,
    /// How nice what stresses is to others on this machine
    #[arg(long, default_value_t = 0)]
    nice: i32,
    /// Spares keepalived the adverts that nobody may obey in `failover --case stress`: under them it takes over all the time,
    /// and what processors have goes there
    #[arg(long)]
    spare: bool,
    /// Without access logs
    #[arg(long)]
    no_log: bool,
    /// Do not build aplomb first
    #[arg(long)]
    no_build: bool,
    /// Seed of the order
    #[arg(long)]
    seed: Option<u64>,
    /// Where the results go
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Measures, shows tables, and writes the results.
pub(crate) fn run(options: &Options) -> Result {
    let mode = match options.subject {
        Subject::Http => Mode::Http,
        Subject::Tcp => Mode::Tcp,
        Subject::L4 => return l4::run(options),
        Subject::Failover => return failover::run(options),
        Subject::Sync => return sync::run(options),
    };
    if options.ipvs {
        return Err("IPVS is a peer of l4 alone".into());
    }
    let cases = cases(options, mode)?;
    let peers = peers(options, &PEERS)?;
    let mut bench = Bench::new(options, mode)?;
    let mut outcomes = Vec::new();
    for case in cases {
        let samples = bench.measure(case, &peers)?;
        let outcome = Outcome::of(case, samples);
        println!("{}", outcome.table());
        outcomes.push(outcome);
    }
    let report = Report {
        mode: mode.name(),
        date: machine::date(),
        rounds: bench.rounds,
        seconds: bench.length.as_secs(),
        seed: bench.random.seed,
        access_log: bench.log,
        machine: machine::Machine::describe(),
        peers: peers
            .iter()
            .map(|peer| (peer.name.clone(), peer.version()))
            .collect(),
        outcomes,
    };
    println!("results: {}", report.write(&results(options))?.display());
    Ok(())
}

/// Those who take part, `usual` without a choice; aplomb is built first.
fn peers(options: &Options, usual: &[&str]) -> Result<Vec<Peer>> {
    let words = match options.peers.as_slice() {
        [] => usual.iter().map(|&word| word.to_owned()).collect(),
        chosen => chosen.to_vec(),
    };
    if !options.no_build && words.iter().any(|word| word == "aplomb") {
        build()?;
    }
    let found: Result<Vec<Option<Peer>>> = words.iter().map(|word| Peer::find(word)).collect();
    let peers: Vec<Peer> = found?.into_iter().flatten().collect();
    if peers.is_empty() {
        return Err("no peer to measure".into());
    }
    Ok(peers)
}

/// Where results go.
fn results(options: &Options) -> PathBuf {
    let usual = || crate::root().join("bench/results");
    options.out.clone().unwrap_or_else(usual)
}

/// The cases that were asked for.
fn cases(options: &Options, mode: Mode) -> Result<Vec<&'static Case>> {
    let all = case::of(mode);
    if let Some(unknown) = options
        .case
        .iter()
        .find(|name| all.iter().all(|c| c.name != **name))
    {
        let known: Vec<&str> = all.iter().map(|case| case.name).collect();
        return Err(format!("no case {unknown}; there are {}", known.join(", ")));
    }
    let wanted =
        |case: &&Case| options.case.is_empty() || options.case.iter().any(|n| n == case.name);
    Ok(all.iter().filter(wanted).collect())
}

/// Builds the aplomb that is measured.
pub(crate) fn build() -> Result {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--locked", "--release", "--package", "aplomb"])
        .current_dir(crate::root());
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("aplomb does not build".into()),
        Err(e) => Err(format!("cargo: {e}")),
    }
}

/// What all measurements share.
struct Bench {
    mode: Mode,
    log: bool,
    rounds: u32,
    length: Duration,
    random: Random,
    /// Configs, logs and sockets of the peers; removed at the end.
    folder: tempfile::TempDir,
    files: usize,
}

impl Bench {
    fn new(options: &Options, mode: Mode) -> Result<Bench> {
        let files = idle::raise_file_limit();
        let (rounds, seconds) = if options.quick {
            (2, 1)
        } else {
            (options.rounds.unwrap_or(ROUNDS), options.seconds)
        };
        Ok(Bench {
            mode,
            log: !options.no_log,
            rounds: rounds.max(1),
            length: Duration::from_secs(seconds.max(1)),
            random: Random::of(options),
            folder: scratch()?,
            files,
        })
    }

    /// Measures `case` for all rounds; each peer's samples in the order of the rounds.
    fn measure(&mut self, case: &Case, peers: &[Peer]) -> Result<Vec<(String, Vec<Sample>)>> {
        let mut samples: Vec<(String, Vec<Sample>)> = peers
            .iter()
            .map(|peer| (peer.name.clone(), Vec::new()))
            .collect();
        for round in 1..=self.rounds {
            for index in self.random.order(peers.len()) {
                let peer = &peers[index];
                eprintln!(
                    "bench: {} round {round}/{}: {}",
                    case.name, self.rounds, peer.name
                );
                // Both are fresh each time: nobody profits from what an earlier case has warmed up,
                // or runs out of ports because of what it left in TIME_WAIT.
                let backend = Backend::start()?;
                let running = peer.start(self.mode, backend.port, self.log, self.folder.path())?;
                samples[index].1.push(self.sample(case, &running)?);
            }
        }
        Ok(samples)
    }

    fn sample(&self, case: &Case, peer: &Running) -> Result<Sample> {
        let outcome = match case.kind {
            Kind::Load(load) => self.load(load, peer),
            Kind::Idle => self.idle(peer),
            Kind::Syscalls(load) => self.syscalls(load, peer),
        };
        outcome.map_err(|e| format!("{}: {e}\n{}", peer.name, peer.complaints()))
    }

    fn load(&self, load: Load, peer: &Running) -> Result<Sample> {
        let _ = load.run(peer.port, Duration::from_secs(1), Cores::Others)?;
        peer.trim_log();
        let before = peer.process.cpu();
        let seen = load.run(peer.port, self.length, Cores::Others)?;
        let used = peer.process.cpu().saturating_sub(before);
        if self.log && !peer.has_logged() {
            return Err(format!(
                "{} wrote no access log: it did not do its duty",
                peer.name
            ));
        }
        Ok(Sample {
            cost: used.as_secs_f64() * 1e6 / seen.requests.max(1) as f64,
            requests: seen.requests,
            per_second: seen.per_second,
            p50_us: seen.p50_us,
            p99_us: seen.p99_us,
            errors: seen.errors,
        })
    }

    fn idle(&self, peer: &Running) -> Result<Sample> {
        // At the layer of TCP each connection has one to the backend beside it.
        let sides = if self.mode == Mode::Tcp { 2 } else { 1 };
        let count = IDLE.min(self.files.saturating_sub(SPARE_FILES) / sides);
        let before = peer.process.resident();
        let connections = idle::open(peer.port, count)?;
        // Lets logs be flushed and buffers be given back.
        std::thread::sleep(Duration::from_secs(3));
        let after = peer.process.resident();
        let cost = after.saturating_sub(before) as f64 / connections.len().max(1) as f64;
        Ok(Sample {
            cost,
            requests: connections.len() as u64,
            ..Sample::default()
        })
    }

    fn syscalls(&self, load: Load, peer: &Running) -> Result<Sample> {
        let warm = Duration::from_secs(1);
        let _ = load.run(peer.port, warm, Cores::Others)?;
        let report = self.folder.path().join("syscalls");
        // The count begins before the load and ends after it.
        let length = self.length + Duration::from_secs(1);
        let counter = syscalls::Counter::start(&peer.process.tree(), length, &report)?;
        std::thread::sleep(Duration::from_millis(400));
        let seen = load.run(peer.port, self.length, Cores::Others)?;
        let calls = counter.finish(&report)?;
        Ok(Sample {
            cost: calls as f64 / seen.requests.max(1) as f64,
            requests: seen.requests,
            per_second: seen.per_second,
            p50_us: seen.p50_us,
            p99_us: seen.p99_us,
            errors: seen.errors,
        })
    }
}

/// The backend's process.
pub(crate) struct Backend {
    pub(crate) port: u16,
    _process: Process,
}

impl Backend {
    pub(crate) fn start() -> Result<Backend> {
        let own = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
        let mut command = Command::new(own);
        let mut process = Process::start(
            command.arg("upstream").stdout(Stdio::piped()),
            Cores::Others,
        )?;
        let mut line = String::new();
        if let Some(stdout) = process.child().stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let port = line
            .trim()
            .parse()
            .map_err(|_| "the backend does not start".to_owned())?;
        Ok(Backend {
            port,
            _process: process,
        })
    }
}

/// A folder below `target` for what peers write, removed at the end; what runs that were killed
/// left there goes now.
pub(crate) fn scratch() -> Result<tempfile::TempDir> {
    let parent = crate::root().join("target/bench");
    let fail = |e: std::io::Error| format!("{}: {e}", parent.display());
    fs::create_dir_all(&parent).map_err(fail)?;
    for entry in fs::read_dir(&parent).map_err(fail)?.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix("run-")?.split('-').next());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another run may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let prefix = format!("run-{}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&parent)
        .map_err(fail)
}
