//! `aplomb apply` and `aplomb reload`: a new configuration, and what it changes.

use std::path::PathBuf;

use super::{
    client::{AdminArgs, Client, block_on, escape},
    exit::{Failure, Outcome, print},
};
use crate::{
    api::model::{Applied, Change},
    config,
};

/// What `apply` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Only show the difference
    #[arg(long)]
    dry_run: bool,
}

/// Sends the file to the daemon.
pub(super) fn run(admin: &AdminArgs, args: &Args) -> Outcome {
    let path = &args.config;
    let text = config::read(path).map_err(Failure::Refused)?;
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::refused("cannot tell where this is", error))?;
    let directory = absolute.parent().unwrap_or(&absolute);
    let query = format!(
        "dry-run={}&name={}&directory={}",
        args.dry_run,
        escape(&path.to_string_lossy()),
        escape(&directory.to_string_lossy()),
    );
    let client = Client::new(admin)?;
    let applied = block_on(client.post(&format!("/v1/apply?{query}"), text))?;
    show(&applied, args.dry_run)
}

/// Has the daemon read its file again.
pub(super) fn reload(admin: &AdminArgs) -> Outcome {
    let client = Client::new(admin)?;
    let applied = block_on(client.post("/v1/reload", ""))?;
    show(&applied, false)
}

fn show(applied: &Applied, dry_run: bool) -> Outcome {
    let mut text = applied.rendered.clone();
    text.extend(applied.notes.iter().map(|note| format!("! {note}\n")));
    text.extend(applied.changes.iter().map(line));
    text.push_str(&match (applied.changes.len(), dry_run) {
        (0, _) => "Nothing differs from what runs.\n".to_owned(),
        (n, true) => format!("{} would be made (dry run).\n", count(n)),
        (n, false) => format!("{} made (generation {}).\n", count(n), applied.generation),
    });
    print(&text)
}

fn count(changes: usize) -> String {
    match changes {
        1 => "1 change".into(),
        n => format!("{n} changes"),
    }
}

/// One line for one difference: `+` is new, `-` is gone, `~` is otherwise.
fn line(change: &Change) -> String {
    let sign = match (&change.before, &change.after) {
        (None, Some(_)) => '+',
        (Some(_), None) => '-',
        _ => '~',
    };
    format!("{sign} {}\n", change.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_line() {
        let change = |before: Option<u16>, after: Option<u16>| Change {
            path: "pool.web.weight".into(),
            text: "pool web: weight".into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        assert_eq!(line(&change(None, Some(1))), "+ pool web: weight\n");
        assert_eq!(line(&change(Some(1), None)), "- pool web: weight\n");
        assert_eq!(line(&change(Some(1), Some(2))), "~ pool web: weight\n");
    }
}
