//! `aplomb top`: the live view.

use std::time::Duration;

use super::{
    backend::duration,
    client::{AdminArgs, Client},
    exit::{Failure, Outcome},
};
use crate::top::{Nothing, Options, watch};

/// What `top` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// From one look to the next
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    interval: Duration,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    for_time: Option<Duration>,
    /// One line per look, as where there is no terminal
    #[arg(long)]
    plain: bool,
}

/// Watches.
pub(super) fn run(admin: &AdminArgs, args: &Args) -> Outcome {
    if args.interval < Duration::from_millis(100) {
        return Err(Failure::Usage("--interval is at least 100ms".into()));
    }
    let options = Options {
        interval: args.interval,
        for_time: args.for_time,
        plain: args.plain,
    };
    watch(Client::new(admin)?, options, &mut Nothing)
}
