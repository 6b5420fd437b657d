//! Programs of the operator's: what is tracked, and who is told of transitions. Held in bounds as scripts of checks are.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::{
    probe::{SCRIPT_PATH, confine},
    system::user::User,
};

/// Runs a program to its end, without input or output.
///
/// # Errors
/// It cannot be run, takes too long, or ends with another status than 0.
pub(super) async fn run(
    command: &[String],
    environment: &[(&str, String)],
    user: Option<&str>,
    limit: Duration,
) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let fail = |e: std::io::Error| format!("{program}: {e}");
    let mut command = Command::new(program);
    let _ = command
        .args(arguments)
        .env_clear()
        .env("PATH", SCRIPT_PATH)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(name) = user {
        let user = User::named(name).map_err(fail)?;
        let _ = command.uid(user.uid).gid(user.gid);
    }
    // SAFETY: `confine` makes only system calls, which are safe between fork and exec.
    let _ = unsafe { command.pre_exec(confine) };
    let mut child = command.spawn().map_err(fail)?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let ended = tokio::time::timeout(limit, child.wait()).await;
    if let Some(group) = group {
        // What it left behind.
        let _ = kill_process_group(group, Signal::KILL);
    }
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(status.to_string()),
        Ok(Err(error)) => Err(fail(error)),
        Err(_) => Err(format!("it takes longer than {limit:?}")),
    }
}
