//! top
use super::{client::AdminArgs, exit::Outcome};
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) fn run(_a: &AdminArgs, _b: &Args) -> Outcome {
    Ok(())
}
