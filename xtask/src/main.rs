//! Development tasks: `cargo xtask <task>`.
//!
//! Each task is one module: [`layers`] (which crate may depend on which), [`docs`] (links and names
//! in the documentation).

mod docs;
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
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Layers => layers::run(),
        Task::Docs => docs::run(),
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
