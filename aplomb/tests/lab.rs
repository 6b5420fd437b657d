//! The lab, from its beginning to its end.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{aplomb, code, get, printed, said, wait_for};

#[test]
fn it_ends_by_itself_and_its_requests_were_answered() {
    let output = aplomb(&["lab", "http", "--seconds", "3", "--load", "50"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = printed(&output);
    for expected in [
        "curl http://127.0.0.1:",
        "balance = \"wlc\"",
        "3 of 3 backends up",
        ", 0 failed.",
    ] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
}

/// A lab that runs until it is told to end, where its service is, and its balancer's process.
fn lab() -> (Child, BufReader<std::process::ChildStdout>, String, u32) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .args(["lab", "http", "--load", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut front, mut admin) = (String::new(), String::new());
    while admin.is_empty() {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended");
        if let Some((_, rest)) = line.split_once("curl http://") {
            front = rest.trim().trim_end_matches('/').to_owned();
        }
        if let Some((_, rest)) = line.split_once("--admin ") {
            admin = rest.split(' ').next().unwrap().to_owned();
        }
    }
    let status = aplomb(&["--admin", &admin, "status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let pid = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    (child, out, front, pid)
}

fn is_there(pid: u32) -> bool {
    // A process that has ended but was not waited for is not there either.
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|text| !text.contains(") Z "))
}

fn end_by(signal: Signal) -> Option<i32> {
    let (mut child, _out, front, balancer) = lab();
    let answer = get(front.parse().unwrap(), "/");
    assert!(answer.contains("backend "), "{answer}");
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
    let status = child.wait().unwrap();
    wait_for("the balancer to end", || !is_there(balancer));
    status.code()
}

#[test]
fn ctrl_c_ends_it_cleanly() {
    assert_eq!(end_by(Signal::INT), Some(0));
}

#[test]
fn killed_it_takes_its_balancer_along() {
    assert_eq!(end_by(Signal::KILL), None);
}
