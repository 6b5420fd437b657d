//! `aplomb backend-setup`: what a real server needs for services that are forwarded `direct` or by `tunnel`.

use std::{fmt::Write, net::IpAddr};

use super::exit::{Failure, Outcome, print};
use crate::system::server::{self, Step, Wanted};

/// What the server is to be set up for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it on the real server. Without --apply or --remove it only shows what would be done."
)]
pub(super) struct Args {
    /// The service's address; may be given several times
    #[arg(long, value_name = "ADDRESS", required = true)]
    vip: Vec<IpAddr>,
    /// How the director forwards
    #[arg(long, value_enum, default_value_t = Mode::Direct)]
    mode: Mode,
    /// The family of the tunnel's outer packets, which is that of the server's own address [default: the service's]
    #[arg(long, value_name = "4|6", value_parser = ["4", "6"])]
    outer: Option<String>,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// Undo it
    #[arg(long, conflicts_with = "apply")]
    remove: bool,
}

/// How the director forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// To the server's link-layer address
    Direct,
    /// Through a tunnel of IP in IP
    Tunnel,
}

/// Shows the steps, or takes them.
pub(super) fn run(args: &Args) -> Outcome {
    let steps = steps(args);
    if !(args.apply || args.remove) {
        return print(&shown(&steps, args));
    }
    for step in &steps {
        let taken = step.action.perform();
        taken.map_err(|error| Failure::refused("cannot set the server up", error))?;
        print(&format!("{}\n", step.action.line()))?;
    }
    print("done; it lasts until the next boot\n")
}

/// The steps for all addresses, each once.
fn steps(args: &Args) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for vip in &args.vip {
        let outer_v6 = args.outer.as_deref().map_or(vip.is_ipv6(), |o| o == "6");
        let wanted = Wanted {
            vip: *vip,
            tunnel: (args.mode == Mode::Tunnel).then_some(outer_v6),
        };
        let more = if args.remove {
            server::undo(wanted)
        } else {
            server::set_up(wanted)
        };
        let new: Vec<Step> = more
            .into_iter()
            .filter(|step| !steps.contains(step))
            .collect();
        steps.extend(new);
    }
    steps
}

fn shown(steps: &[Step], args: &Args) -> String {
    let mut text = String::new();
    for step in steps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# {}\n{}", step.reason, step.action.line());
    }
    if args.mode == Mode::Tunnel {
        text.push_str("# What comes through a tunnel must be smaller by its header: offer clients less with `advmss` on the route to them.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Args {
        Line::try_parse_from(line.split_whitespace()).unwrap().args
    }

    #[test]
    fn what_several_addresses_need_is_done_once() {
        let args = parsed("x --vip 192.0.2.1 --vip 192.0.2.2 --vip 2001:db8::1");
        let text = shown(&steps(&args), &args);
        assert_eq!(text.matches("arp_ignore").count(), 1, "{text}");
        assert!(
            text.ends_with("ip addr replace 2001:db8::1/128 dev lo nodad\n"),
            "{text}"
        );
        let args = parsed("x --vip 2001:db8::1 --mode tunnel --outer 4");
        assert!(shown(&steps(&args), &args).contains("ip link set sit0 up"));
        assert!(Line::try_parse_from(["x"]).is_err());
    }
}
