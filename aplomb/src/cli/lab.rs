//! lab
use super::exit::Outcome;
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Http,
}
pub(super) fn run(_c: Command) -> Outcome {
    Ok(())
}
