//! `cargo xtask guest check`: the kernel program on the guest's older kernel, beside the IPVS that this has.

use super::Job;
use crate::Result;
use crate::bench::l4::object;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Options {
    /// Do not build the benchmark's programs first
    #[arg(long)]
    no_build: bool,
    /// Another build of the program than the one that is shipped
    #[arg(long)]
    object: Option<PathBuf>,
}

/// Loads and attaches the program in the guest, and sends the same packets through it and through IPVS.
pub(super) fn run(options: &Options) -> Result {
    let own = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
    let mut job = Job::new(
        "modprobe -a veth dummy ip_vs ipip\n\
         exec ./xtask l4-probe --compare --source source.o --balancer balancer.o\n",
    );
    job.files = vec![
        ("xtask".into(), own),
        ("source.o".into(), object::source(!options.no_build)?),
        (
            "balancer.o".into(),
            object::balancer(options.object.as_ref())?,
        ),
    ];
    let ended = job.run()?;
    println!("{}", ended.output.trim_end());
    match ended.code {
        0 => Ok(()),
        _ => Err("the program does not do in the guest what it should".into()),
    }
}
