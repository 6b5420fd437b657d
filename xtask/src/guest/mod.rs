//! A guest: Debian's stable kernel, which has IPVS, in an emulated machine.
//!
//! For what this machine's kernel cannot show: how IPVS behaves, what it costs, and that the XDP program loads on
//! an older kernel. [`image`] makes the guest out of Debian's packages (once; kept below `target/guest`), [`mod@run`]
//! boots it with a script and files, [`cpio`] writes the archives a kernel unpacks as its first file system.
//! Emulated (TCG), it needs no rights and no KVM; with [`Job::counted`] one nanosecond of its time is one
//! instruction, so that counts repeat exactly on any machine.

mod check;
mod cpio;
mod image;
mod modules;
pub(crate) mod replay;
mod run;
pub(crate) mod sync;

pub(crate) use self::run::Job;
use crate::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Build the guest's kernel and files, if they are not there
    Image,
    /// Boot the guest, run a shell script in it, and exit with its code
    Run(Run),
    /// See that the kernel program loads on the guest's kernel, and that it balances as IPVS does
    Check(check::Options),
    /// See that connections fare with the daemon in the guest as they fared with IPVS
    Replay(replay::Options),
    /// See that a director of Linux's own and one of aplomb take over from each other
    Sync(sync::Options),
}

#[derive(Args)]
struct Run {
    /// The script
    script: PathBuf,
    /// Files to lie beside it
    files: Vec<PathBuf>,
    /// One nanosecond is one instruction; sleeping takes no time
    #[arg(long)]
    counted: bool,
    /// Where what the script leaves in /out goes
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seconds after which it is ended
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// Memory of the guest, MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
}

/// `cargo xtask guest`.
pub(crate) fn run(options: &Options) -> Result {
    match &options.what {
        What::Image => {
            let image = image::Image::ready()?;
            println!("{} at {}", image.release, image.folder.display());
            Ok(())
        }
        What::Run(run) => run.run(),
        What::Check(options) => check::run(options),
        What::Replay(options) => replay::run(options),
        What::Sync(options) => sync::run(options),
    }
}

impl Run {
    fn run(&self) -> Result {
        let script = std::fs::read_to_string(&self.script)
            .map_err(|e| format!("{}: {e}", self.script.display()))?;
        let mut job = Job::new(script);
        job.counted = self.counted;
        job.limit = Duration::from_secs(self.limit);
        job.memory = self.memory;
        for file in &self.files {
            let name = file.file_name().unwrap_or_default();
            job.files
                .push((name.to_string_lossy().into_owned(), file.clone()));
        }
        let ended = job.run()?;
        print!("{}", ended.output);
        if let Some(out) = &self.out {
            ended.keep(out)?;
        }
        match ended.code {
            0 => Ok(()),
            code => Err(format!("the script's exit code is {code}")),
        }
    }
}
