//! Scripts: a program of the operator's, held in bounds.
//!
//! It gets no input, an empty environment but for `PATH` and `APLOMB_*`, no capabilities, no way to gain any,
//! no core dump, few descriptors, and a process group of its own that is killed when its time is over or it has
//! ended. Exit status 0 passes.

use std::{io, os::fd::OwnedFd, process::Stdio};

use control::{
    engine::{Failure, ProbeFailure},
    health::State,
    spec::ScriptSpec,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    process::{Child, Command},
};

use super::{
    Verdict,
    attempt::{Attempt, PASSED},
    failure::{describe, fail, quote},
};
use crate::system::user::User;

/// Where a script finds programs.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How many descriptors it may open.
const DESCRIPTORS: u64 = 256;
/// How long the last of its output may take to arrive once its processes are dead.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(100);

/// Runs the script and waits for its end.
pub(super) async fn probe(attempt: &Attempt, script: &ScriptSpec, state: State) -> Verdict {
    attempt.now_our_fault("waiting for other scripts");
    let _permit = attempt.tools.scripts.acquire().await;
    attempt.now("running the script");
    let (mut running, output) = start(attempt, script, state)?;
    let limit = usize::try_from(script.max_output.0).unwrap_or(usize::MAX);
    let reading = tokio::task::spawn_local(read(output, limit));
    let ended = running.child.wait().await;
    running.kill();
    let output = match tokio::time::timeout(LAST_WORDS, reading).await {
        Ok(read) => read.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let status = ended.map_err(|e| fail(Failure::Local, describe(&e)))?;
    if status.success() {
        return PASSED;
    }
    let said = match quote(&output) {
        text if text.is_empty() => String::new(),
        text => format!(": {text}"),
    };
    Err(fail(Failure::Script, format!("{status}{said}")))
}

/// A started script, whose process group dies with this value.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    /// Kills what is left of the group. Its number is not reused before process ids have wrapped around, which
    /// they have not since the child was waited for.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(
    attempt: &Attempt,
    script: &ScriptSpec,
    state: State,
) -> Result<(Running, pipe::Receiver), ProbeFailure> {
    let local = |e: &io::Error| {
        let program = script.command.first().map_or("", String::as_str);
        fail(Failure::Local, format!("{program}: {}", describe(e)))
    };
    let (reader, writer) = io::pipe().map_err(|e| local(&e))?;
    let reader = pipe::Receiver::from_owned_fd(reader.into()).map_err(|e| local(&e))?;
    let mut command = command(attempt, script, state, writer.into()).map_err(|e| local(&e))?;
    let child = command.spawn().map_err(|e| local(&e))?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    Ok((Running { child, group }, reader))
}

fn command(
    attempt: &Attempt,
    script: &ScriptSpec,
    state: State,
    output: OwnedFd,
) -> io::Result<Command> {
    let Some((program, arguments)) = script.command.split_first() else {
        return Err(io::Error::other("no program is given"));
    };
    if !program.starts_with('/') {
        return Err(io::Error::other("the program's path is not absolute"));
    }
    let address = attempt.backend.address;
    let mut command = Command::new(program);
    let _ = command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("APLOMB_POOL", attempt.backend.pool.as_str())
        .env("APLOMB_ADDRESS", address.ip().to_string())
        .env("APLOMB_PORT", address.port().to_string())
        .env("APLOMB_STATE", state.to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(name) = &script.user {
        let user = User::named(name)?;
        // With a user given, the child drops all supplementary groups too.
        let _ = command.uid(user.uid).gid(user.gid);
    }
    // SAFETY: `confine` makes only system calls, which are safe between fork and exec.
    let _ = unsafe { command.pre_exec(confine) };
    Ok(command)
}

/// In the child, after it took its user: what it cannot undo.
pub(crate) fn confine() -> io::Result<()> {
    let at_most = |n| Rlimit {
        current: Some(n),
        maximum: Some(n),
    };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Nofile, at_most(DESCRIPTORS))?;
    rustix::thread::clear_ambient_capability_set()?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// Reads to the end, keeping the first `limit` bytes.
async fn read(mut from: pipe::Receiver, limit: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let room = limit.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&piece[..room]);
    }
    kept
}
