//! `aplomb lab`: try aplomb on this machine.

use std::time::Duration;

use super::exit::Outcome;
use crate::lab::{
    self,
    site::{Mode, Plan},
};

/// Which lab.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Three backends and a balancer on loopback, without root
    Http(View),
    /// The kernel translates addresses: client, director and servers in network namespaces
    Nat(Kernel),
    /// The kernel forwards and servers answer themselves: the same site for `direct`
    Direct(Kernel),
    /// The kernel forwards through tunnels: the same site for `tunnel`
    Tunnel(Kernel),
    /// Two directors hold an address together; one is killed, returns, and ends in order
    Vrrp {
        /// End after this many seconds
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// Requests per second that the client makes
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
        load: u32,
    },
    /// Make a site with servers, say what it is as JSON, and hold it until standard input ends
    #[command(hide = true)]
    Site {
        /// How the director forwards
        #[arg(long)]
        mode: Mode,
        #[command(flatten)]
        shape: Shape,
        /// With another director at the switch, which has no addresses yet
        #[arg(long)]
        second: bool,
    },
}

/// How a lab is looked at.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct View {
    /// End after this many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Requests per second that the lab makes itself
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    load: u32,
    /// One line per second, as where there is no terminal
    #[arg(long)]
    plain: bool,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Family {
    /// IPv4
    #[value(name = "4")]
    V4,
    /// IPv6
    #[value(name = "6")]
    V6,
}

/// What a site looks like.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Shape {
    /// The addresses' family
    #[arg(long, value_enum, default_value_t = Family::V4)]
    family: Family,
    /// Everybody on one segment, the director with one interface
    #[arg(long)]
    one_arm: bool,
}

impl Shape {
    fn plan(self, mode: Mode) -> Plan {
        Plan {
            mode,
            v6: self.family == Family::V6,
            one_arm: self.one_arm,
            second: false,
        }
    }
}

/// A lab of the kernel's forwarding.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Kernel {
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    shape: Shape,
    /// Leave the site up after the view, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Runs it.
pub(super) fn run(command: Command) -> Outcome {
    match command {
        Command::Http(view) => lab::http::run(lab::http::Options {
            for_time: view.seconds.map(Duration::from_secs),
            load: view.load,
            plain: view.plain,
        }),
        Command::Nat(kernel) => forward(Mode::Nat, kernel),
        Command::Direct(kernel) => forward(Mode::Direct, kernel),
        Command::Tunnel(kernel) => forward(Mode::Tunnel, kernel),
        Command::Vrrp { seconds, load } => lab::vrrp::run(lab::vrrp::Options {
            for_time: seconds.map(Duration::from_secs),
            load,
        }),
        Command::Site {
            mode,
            shape,
            second,
        } => lab::l4::hold(Plan {
            second,
            ..shape.plan(mode)
        }),
    }
}

fn forward(mode: Mode, kernel: Kernel) -> Outcome {
    lab::l4::run(lab::l4::Options {
        plan: kernel.shape.plan(mode),
        for_time: kernel.view.seconds.map(Duration::from_secs),
        load: kernel.view.load,
        plain: kernel.view.plain,
        keep: kernel.keep,
    })
}
