//! Development tasks: `cargo xtask <task>`.
//!
//! Each task is one module: [`layers`] (which crate may depend on which), [`docs`] (links and names
//! in the documentation), [`fuzz`] (parsers against made-up input),
//! [`mod@bpf`] (the kernel's program),
//! [`bench`](mod@bench) (aplomb beside its peers), [`guest`](mod@guest) (another kernel, emulated).

mod bench;
mod bpf;
mod docs;
mod fuzz;
mod guest;
mod layers;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a task returns: the text of an error is shown as it is.
type Result<T = ()> = std::result::Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of aplomb")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Hold the crates' dependencies against the layer table
    Layers,
    /// Check that links and code names in the documentation lead somewhere
    Docs,
    /// Run the fuzz targets for a bounded number of executions
    Fuzz(fuzz::Options),
    /// Build the kernel's program, or check the committed object
    Bpf(bpf::Options),
    /// Measure aplomb beside haproxy, nginx, Envoy, IPVS and keepalived
    Bench(bench::Options),
    /// Show where aplomb's time goes under load
    Profile(bench::profile::Options),
    /// A guest with Debian's kernel, in an emulated machine
    Guest(guest::Options),
    /// What stresses the machine in a benchmark
    #[command(hide = true)]
    Stress(bench::failover::stress::source::Source),
    /// The backend of benchmarks
    #[command(hide = true)]
    Upstream,
    /// What benchmarks of the kernel data plane run in a namespace or a guest
    #[command(hide = true)]
    L4Probe(bench::l4::probe::Probe),
    /// What `guest replay` runs in the guest
    #[command(hide = true)]
    ReplayProbe(guest::replay::Probe),
    /// What `guest sync` runs in the guest
    #[command(hide = true)]
    SyncProbe(guest::sync::Probe),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Layers => layers::run(),
        Task::Docs => docs::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bpf(options) => bpf::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Profile(options) => bench::profile::run(&options),
        Task::Guest(options) => guest::run(&options),
        Task::Stress(source) => bench::failover::stress::source::run(&source),
        Task::Upstream => bench::upstream::run(),
        Task::L4Probe(probe) => bench::l4::probe::run(&probe),
        Task::ReplayProbe(probe) => guest::replay::probe(&probe),
        Task::SyncProbe(probe) => guest::sync::probe(&probe),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's directory, from where this crate was built.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
