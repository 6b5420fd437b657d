//! `aplomb schema`, `completions` and `man`: made from the tables that the program itself goes by.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{
    Cli,
    exit::{Failure, Outcome, print},
};

/// What `completions` takes.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// What `man` takes.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Write aplomb.1 and a page for each command to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the JSON schema of the configuration.
pub(super) fn schema() -> Outcome {
    let json = serde_json::to_string_pretty(&control::config::schema())
        .map_err(|error| Failure::refused("cannot print this", error))?;
    print(&(json + "\n"))
}

/// Prints a completion script.
pub(super) fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "aplomb", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints or writes man pages.
pub(super) fn man(args: &ManArgs) -> Outcome {
    if let Some(directory) = &args.out {
        return std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
            .map_err(|error| {
                Failure::refused(
                    format_args!("cannot write to {}", directory.display()),
                    error,
                )
            });
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| Failure::refused("cannot make the page", error))?;
    print(&String::from_utf8_lossy(&page))
}
