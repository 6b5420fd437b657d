//! HAProxy: one thread, connections to the backend shared between clients as its guide advises.
//! It logs by one write per line, to stdout, which is a file here; it has no way to a file itself.

use super::{Mode, Setup};
use crate::Result;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) fn command(program: &Path, setup: &Setup) -> Result<Command> {
    let config = setup.config("haproxy.cfg", &config(setup))?;
    let path = setup.access_log();
    // Appends, so that the log can be emptied under it.
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(|e| format!("{}: {e}", path.display()))?;
    let mut command = Command::new(program);
    command
        .arg("-db")
        .arg("-f")
        .arg(config)
        .stdout(Stdio::from(log));
    Ok(command)
}

fn config(setup: &Setup) -> String {
    let Setup { port, upstream, .. } = setup;
    let http = setup.mode == Mode::Http;
    let mode = setup.mode.name();
    let (target, lines) = match (setup.log, http) {
        (false, _) => ("", ""),
        (true, true) => ("log stdout format raw local0 info", "option httplog"),
        (true, false) => ("log stdout format raw local0 info", "option tcplog"),
    };
    // Larger buffers make bulk transfers cheaper by a third and cost the other cases nothing.
    let (tune, reuse, check) = if http {
        ("", "http-reuse always", "option httpchk GET /healthz")
    } else {
        ("tune.bufsize 65536", "", "")
    };
    format!(
        "global
    nbthread 1
    {tune}
    maxconn 19000
    no strict-limits
    {target}
defaults
    mode {mode}
    log global
    {lines}
    {reuse}
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-request 10s
    timeout http-keep-alive 300s
    timeout queue 5s
    timeout check 1s
frontend in
    bind 127.0.0.1:{port} backlog 4096
    maxconn 19000
    default_backend out
backend out
    {check}
    server one 127.0.0.1:{upstream} check inter 2s
"
    )
}
