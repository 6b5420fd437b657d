//! aplomb itself: one worker, as an operator would write it.

use super::{Mode, Setup};
use crate::Result;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) fn command(program: &Path, setup: &Setup) -> Result<Command> {
    let config = setup.config("aplomb.toml", &config(setup))?;
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null());
    Ok(command)
}

fn config(setup: &Setup) -> String {
    let Setup { port, upstream, .. } = setup;
    let folder = setup.folder.display();
    let log = if setup.log {
        format!("[log]\naccess = \"{folder}/access.log\"\n")
    } else {
        String::new()
    };
    let (listen, forward) = match setup.mode {
        Mode::Http => (format!("http://127.0.0.1:{port}"), ""),
        Mode::Tcp => (format!("tcp://127.0.0.1:{port}"), "forward = \"proxy\"\n"),
    };
    format!(
        "{log}
[admin]
listen = \"unix:{folder}/admin.sock\"

[proxy]
workers = 1

[[pool]]
name = \"out\"
check = {{ http = \"/healthz\", interval = \"2s\", timeout = \"1s\", rise = 1, fall = 3 }}
backends = [{{ address = \"127.0.0.1:{upstream}\" }}]

[[service]]
name = \"in\"
listen = \"{listen}\"
{forward}pool = \"out\"
"
    )
}
