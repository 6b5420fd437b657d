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

/// Groups that directors speak to: IPVS's own, and one of IPv6.
const GROUPS: [&str; 2] = ["224.0.0.81", "ff02::81"];

/// Tries it in the guest.
pub(super) fn run(options: &Options) -> Result {
    let scratch = crate::bench::scratch()?;
    let files = replay::programs(options.program.as_ref(), scratch.path())?;
    let (show, groups) = if options.show {
        (" --show", &GROUPS[..1])
    } else {
        ("", &GROUPS[..])
    };
    for group in groups {
        let mut job = Job::new(format!(
            "modprobe -a veth ipip ip_vs ip_vs_rr\nexec ./xtask sync-probe ./aplomb {group}{show}\n"
        ));
        job.files.clone_from(&files);
        job.counted = true;
        job.limit = Duration::from_secs(400);
        let ended = job.run()?;
        println!("{}", ended.output.trim_end());
        if ended.code != 0 {
            return Err("a connection did not go on, or a director was not told".into());
        }
    }
    Ok(())
}

/// What runs in the guest.
#[derive(clap::Args)]
pub(crate) struct Probe {
    program: PathBuf,
    group: String,
    #[arg(long)]
    show: bool,
}

/// `xtask sync-probe`.
pub(crate) fn probe(probe: &Probe) -> Result {
    let site = site::Site::make(&probe.program, &probe.group)?;
    if probe.show {
        return tell::show(&site);
    }
    tell::tell(&site)
}
