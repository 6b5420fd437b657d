//! `cargo xtask guest replay`: what IPVS did, done by aplomb's own `ipvsadm`, daemon and kernel program in the guest.
//!
//! The stories and the orders of schedulers are those of `aplomb/tests/replay`, which holds the same without a kernel.
//! [`site`] is client, servers and the machine between them, each in a network namespace; [`tell`] goes through stories.
//! Sleeping takes no time there, so that minutes of waiting cost seconds.

mod client;
pub(in crate::guest) mod site;
#[path = "../../../../aplomb/tests/replay/story.rs"]
mod story;
mod tell;

use super::Job;
use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const STORIES: &str = include_str!("../../../../aplomb/tests/replay/stories.txt");
const SCHEDULERS: &str = include_str!("../../../../aplomb/tests/replay/schedulers.txt");

#[derive(clap::Args)]
pub(super) struct Options {
    /// The program; without it, one is built
    #[arg(long)]
    program: Option<PathBuf>,
    /// Only stories with this in their title
    #[arg(long)]
    only: Option<String>,
}

/// Replays everything in the guest.
pub(super) fn run(options: &Options) -> Result {
    let scratch = crate::bench::scratch()?;
    let files = programs(options.program.as_ref(), scratch.path())?;
    let only = options.only.as_deref().unwrap_or_default();
    let only = only.replace('\'', r"'\''");
    let part = |part: usize| {
        let mut job = Job::new(format!(
            "modprobe veth\nexec ./xtask replay-probe ./aplomb {part} '{only}'\n"
        ));
        job.files.clone_from(&files);
        job.counted = true;
        job.limit = Duration::from_secs(400);
        job.run()
    };
    // A counted guest has one processor: two of them are through in half the time.
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        let first = part(0);
        let second = other.join().map_err(|_| "a thread has ended".to_owned());
        (first, second)
    });
    let mut all_well = true;
    for ended in [first?, second??] {
        println!("{}", ended.output.trim_end());
        all_well &= ended.code == 0;
    }
    if all_well {
        return Ok(());
    }
    Err("in the guest, something came to something else than with IPVS".into())
}

/// aplomb, built if none is named, and this program, for the guest.
pub(in crate::guest) fn programs(
    aplomb: Option<&PathBuf>,
    scratch: &Path,
) -> Result<Vec<(String, PathBuf)>> {
    let built = crate::root().join("target/debug/aplomb");
    if aplomb.is_none() {
        called(Command::new("cargo").args(["build", "--quiet", "--package", "aplomb"]))?;
    }
    // What debuggers want is more than the guest has memory for.
    let stripped = |from: &Path, name: &str| -> Result<(String, PathBuf)> {
        let to = scratch.join(name);
        called(Command::new("strip").arg("-o").arg(&to).arg(from))?;
        Ok((name.into(), to))
    };
    let own = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
    Ok(vec![
        stripped(&own, "xtask")?,
        stripped(aplomb.unwrap_or(&built), "aplomb")?,
    ])
}

fn called(command: &mut Command) -> Result {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// What runs in the guest.
#[derive(clap::Args)]
pub(crate) struct Probe {
    program: PathBuf,
    /// Which of [`PARTS`].
    part: usize,
    only: String,
}

/// In how many parts everything is done.
const PARTS: usize = 2;

/// `xtask replay-probe`.
pub(crate) fn probe(probe: &Probe) -> Result {
    let site = site::Site::make(&probe.program)?;
    let mut teller = tell::Teller::new(site);
    // Those that sleep longest first, each to the part that has slept least.
    let mut stories = story::stories(STORIES);
    stories.sort_by_key(|story| std::cmp::Reverse(slept(story)));
    let mut parts = [0; PARTS];
    for story in stories {
        let (at, sum) = (parts.iter_mut().enumerate())
            .min_by_key(|(_, sum)| **sum)
            .ok_or("no parts")?;
        *sum += 1 + slept(&story);
        if at == probe.part && story.title.contains(&probe.only) {
            teller.tell(&story)?;
        }
    }
    if probe.only.is_empty() && probe.part == 1 {
        teller.schedulers(SCHEDULERS)?;
    }
    teller.done(probe.only.is_empty())
}

/// Seconds that go by in a story.
fn slept(story: &story::Story) -> u32 {
    let sleeps = story.steps.iter().filter(|step| step.verb == "sleep");
    let seconds = sleeps.filter_map(|step| step.words.first()?.parse::<u32>().ok());
    seconds.sum()
}
