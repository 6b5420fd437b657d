//! `aplomb check`: whether a configuration file is in order, without a daemon.

use std::{io::IsTerminal, path::PathBuf};

use control::config::{Admitted, Diagnostics, Style};

use super::exit::{Failure, Outcome, print};
use crate::config;

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Print the problems as JSON
    #[arg(long)]
    json: bool,
}

/// Reads the file and says what it finds.
pub(super) fn run(args: &Args) -> Outcome {
    let text = config::read(&args.config).map_err(Failure::Refused)?;
    let result = config::admit(&text, &args.config);
    let problems = match &result {
        Ok(admitted) => &admitted.warnings,
        Err(problems) => problems,
    };
    if args.json {
        let json = serde_json::to_string_pretty(problems)
            .map_err(|error| Failure::refused("cannot print this", error))?;
        print(&(json + "\n"))?;
    } else if !problems.is_empty() {
        eprint!("{}", rendered(problems));
    }
    match result {
        Err(_) => Err(Failure::Said),
        Ok(_) if args.json => Ok(()),
        Ok(admitted) => print(&summary(&admitted, args)),
    }
}

/// Problems as people read them, coloured if standard error is a terminal.
fn rendered(problems: &Diagnostics) -> String {
    let style = if std::io::stderr().is_terminal() {
        Style::Coloured
    } else {
        Style::Plain
    };
    format!(
        "{}\n{}\n",
        problems.render(style).trim_end(),
        problems.summary()
    )
}

fn summary(admitted: &Admitted, args: &Args) -> String {
    let spec = &admitted.spec;
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    let backends = spec.pools.iter().map(|pool| pool.backends.len()).sum();
    format!(
        "{} is in order: {}, {}, {}.\n",
        args.config.display(),
        count(spec.services.len(), "service"),
        count(spec.pools.len(), "pool"),
        count(backends, "backend"),
    )
}
