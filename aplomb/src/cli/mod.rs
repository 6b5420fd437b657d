//! The command line: what a user can say, one file per command.
//!
//! `run` becomes the daemon and `check` looks at a file; nearly all others ask the daemon through [`client`],
//! and say how it went by [`exit`]'s codes.

mod apply;
mod backend;
mod backend_setup;
mod check;
pub(crate) mod client;
mod detach;
pub(crate) mod exit;
mod explain;
mod generate;
pub(crate) mod ipvs_sync;
mod lab;
mod node;
mod status;
pub(crate) mod sync;
pub(crate) mod table;
mod top;
mod trace;
pub(crate) mod vrrp;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::ipvsadm;

use self::{
    client::AdminArgs,
    exit::{Failure, Outcome},
};

/// The load-balancing tier of a Linux site in one program.
#[derive(Debug, Parser)]
#[command(name = "aplomb", version, after_help = exit::EXIT_CODES, propagate_version = true)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(crate::daemon::Options),
    /// Say whether a configuration file is in order
    Check(check::Args),
    /// Show what the daemon does: services, pools, backends
    Status(status::Args),
    /// Watch it live: rates, latencies, states
    Top(top::Args),
    /// Show the difference to what runs, then change only that
    Apply(apply::Args),
    /// Drain, disable, enable or weigh a backend
    #[command(subcommand)]
    Backend(backend::Command),
    /// Show virtual addresses, hand them over or take them over
    #[command(subcommand)]
    Vrrp(vrrp::Command),
    /// Show or do what a real server needs for `direct` and `tunnel`
    BackendSetup(backend_setup::Args),
    /// Say where a request or connection would go, and why
    Explain(explain::Args),
    /// Show decisions of the kernel data plane as they are made
    Trace(trace::Args),
    /// Speak ipvsadm's language: its options, its output, its exit codes
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Ipvsadm {
        /// As of ipvsadm; see its manual page
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENTS"
        )]
        arguments: Vec<String>,
    },
    /// Have the daemon read its configuration file again
    Reload,
    /// Hand over to another binary without losing a connection
    Upgrade(node::UpgradeArgs),
    /// End the daemon; what goes on may finish
    Stop(node::StopArgs),
    /// Take the kernel data plane off this machine: flows that it forwards end
    Detach(detach::Args),
    /// Look after the daemon's log files
    #[command(subcommand)]
    Logs(node::LogsCommand),
    /// Try aplomb on this machine
    #[command(subcommand)]
    Lab(lab::Command),
    /// Print the JSON schema of the configuration, for editors
    Schema,
    /// Print a completion script for a shell
    Completions(generate::CompletionsArgs),
    /// Print the man page, or write the pages of all commands to a directory
    Man(generate::ManArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    // Ahead of our own command line, whose options ipvsadm's would be taken for.
    if let Some(arguments) = ipvsadm::called_as(&arguments) {
        return ipvsadm::main(&arguments, None);
    }
    match Cli::parse() {
        Cli {
            admin,
            command: Command::Ipvsadm { mut arguments },
        } => {
            arguments.insert(0, "ipvsadm".into());
            ipvsadm::main(&arguments, Some(&admin))
        }
        cli => exit::report(run(cli)),
    }
}

fn run(cli: Cli) -> Outcome {
    let admin = &cli.admin;
    match cli.command {
        Command::Run(options) => {
            crate::daemon::run(&options).map_err(|error| Failure::Refused(error.to_string()))
        }
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(admin, &args),
        Command::Top(args) => top::run(admin, &args),
        Command::Apply(args) => apply::run(admin, &args),
        Command::Backend(command) => backend::run(admin, command),
        Command::Vrrp(command) => vrrp::run(admin, &command),
        Command::BackendSetup(args) => backend_setup::run(&args),
        Command::Explain(args) => explain::run(admin, &args),
        Command::Trace(args) => trace::run(admin, &args),
        // The caller has dealt with it.
        Command::Ipvsadm { .. } => Ok(()),
        Command::Reload => apply::reload(admin),
        Command::Upgrade(args) => node::upgrade(admin, &args),
        Command::Stop(args) => node::stop(admin, &args),
        Command::Detach(args) => detach::run(&args),
        Command::Logs(command) => node::logs(admin, &command),
        Command::Lab(command) => lab::run(command),
        Command::Schema => generate::schema(),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }
}
