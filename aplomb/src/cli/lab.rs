//! `aplomb lab`: try aplomb on this machine.

use std::time::Duration;

use super::exit::Outcome;
use crate::lab;

/// Which lab.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Three backends and a balancer on loopback, without root
    Http {
        /// End after this many seconds
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// Requests per second that the lab makes itself
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
        load: u32,
        /// One line per second, as where there is no terminal
        #[arg(long)]
        plain: bool,
    },
}

/// Runs it.
pub(super) fn run(command: Command) -> Outcome {
    let Command::Http {
        seconds,
        load,
        plain,
    } = command;
    lab::http::run(lab::http::Options {
        for_time: seconds.map(Duration::from_secs),
        load,
        plain,
    })
}
