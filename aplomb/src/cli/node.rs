//! `aplomb upgrade`, `stop` and `logs`: what is asked of the daemon as a whole.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    client::{AdminArgs, Client, block_on},
    exit::{Failure, Outcome, print},
};
use crate::api::model::Upgraded;

/// What `upgrade` takes.
#[derive(Debug, clap::Args)]
pub(super) struct UpgradeArgs {
    /// The binary that takes over; without it, the one the daemon was started from, as it is on disk now
    binary: Option<PathBuf>,
}

/// What `stop` takes.
#[derive(Debug, clap::Args)]
pub(super) struct StopArgs {
    /// Cut what goes on, instead of letting it finish
    #[arg(long)]
    now: bool,
}

/// What can be done with log files.
#[derive(Debug, clap::Subcommand)]
pub(super) enum LogsCommand {
    /// Open them again, after rotation
    Reopen,
}

/// Has the daemon hand over.
pub(super) fn upgrade(admin: &AdminArgs, args: &UpgradeArgs) -> Outcome {
    let binary = args
        .binary
        .as_deref()
        .map(std::path::absolute)
        .transpose()
        .map_err(|error| Failure::refused("cannot tell where this is", error))?;
    let client = Client::new(admin)?;
    let body = json!({ "binary": binary }).to_string();
    let upgraded: Upgraded = block_on(client.post("/v1/upgrade", body))?;
    print(&format!(
        "Process {} serves now; {} finishes what it has and leaves.\n",
        upgraded.successor, upgraded.predecessor
    ))
}

/// Ends the daemon.
pub(super) fn stop(admin: &AdminArgs, args: &StopArgs) -> Outcome {
    let client = Client::new(admin)?;
    let body = json!({ "now": args.now }).to_string();
    let _: Value = block_on(client.post("/v1/stop", body))?;
    print(if args.now {
        "It ends now.\n"
    } else {
        "It takes no new work, finishes what goes on, and ends.\n"
    })
}

/// Has log files opened again.
pub(super) fn logs(admin: &AdminArgs, command: &LogsCommand) -> Outcome {
    let LogsCommand::Reopen = command;
    let client = Client::new(admin)?;
    let _: Value = block_on(client.post("/v1/logs/reopen", ""))?;
    print("Log files are opened again.\n")
}
