//! `aplomb detach`: takes the kernel data plane off this machine, daemon or not.

use std::path::PathBuf;

use l4::L4;

use super::exit::{Failure, Outcome};

/// What `detach` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where it is pinned: `[l4] pin` of the configuration
    #[arg(long, value_name = "DIRECTORY", default_value = "/sys/fs/bpf/aplomb")]
    pin: PathBuf,
}

/// Takes programs off their interfaces and tables out of the kernel. Needs the rights that `run` needs.
pub(super) fn run(args: &Args) -> Outcome {
    let refused = |e: std::io::Error| {
        Failure::Refused(format!("{} is not all taken out: {e}", args.pin.display()))
    };
    match L4::detach(&args.pin).map_err(refused)? {
        0 => println!("nothing was attached"),
        1 => println!("taken off 1 interface; its packets are the machine's own again"),
        n => println!("taken off {n} interfaces; their packets are the machine's own again"),
    }
    Ok(())
}
