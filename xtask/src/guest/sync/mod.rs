//! `cargo xtask guest sync`: a director of Linux's own and one of aplomb take over from each other in the guest, and no
//! connection notices.
//!
//! [`site`] is a client, two servers and two directors, each in a network namespace: the first has IPVS with both of its sync
//! daemons, the second aplomb with `[sync.ipvs]`. [`tell`] opens connections by one, moves the service to the other, and
//! talks on.

mod client;
mod site;
mod tell;

use super::{Job, replay};
use crate::Result;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Options {
    /// The program; without it, one is built
    #[arg(long)]
    program: Option<PathBuf>,
    /// Print the messages that IPVS sends, and do nothing else
    #[arg(long)]
    show: bool,
}

/// Tries it in the guest.
pub(super) fn run(options: &Options) -> Result {
    let scratch = crate::bench::scratch()?;
    let show = if options.show { " --show" } else { "" };
    let mut job = Job::new(format!(
        "modprobe -a veth ipip ip_vs ip_vs_rr\nexec ./xtask sync-probe ./aplomb{show}\n"
    ));
    job.files = replay::programs(options.program.as_ref(), scratch.path())?;
    job.counted = true;
    job.limit = Duration::from_secs(400);
    let ended = job.run()?;
    println!("{}", ended.output.trim_end());
    match ended.code {
        0 => Ok(()),
        _ => Err("a connection did not go on, or a director was not told".into()),
    }
}

/// What runs in the guest.
#[derive(clap::Args)]
pub(crate) struct Probe {
    program: PathBuf,
    #[arg(long)]
    show: bool,
}

/// `xtask sync-probe`.
pub(crate) fn probe(probe: &Probe) -> Result {
    let site = site::Site::make(&probe.program)?;
    if probe.show {
        return tell::show(&site);
    }
    tell::tell(&site)
}
