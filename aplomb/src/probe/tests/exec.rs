//! Scripts.

use std::{fs, time::Instant};

use control::spec::{Bytes, ScriptSpec};

use super::*;

fn shell(script: &str) -> ProbeKind {
    ProbeKind::Exec(ScriptSpec {
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        max_output: Bytes(64),
        user: None,
    })
}

fn exec(script: &str) -> Result<(), ProbeFailure> {
    check(shell(script), "127.0.0.1:8080".parse().unwrap(), PATIENCE)
}

#[test]
fn the_exit_status_decides() {
    assert_eq!(exec("exit 0"), Ok(()));
    let (kind, detail) = failure(exec("echo replication stopped >&2; exit 3"));
    assert_eq!(kind, Failure::Script);
    assert_eq!(detail, "exit status: 3: replication stopped");
}

#[test]
fn the_environment_is_empty_but_for_what_it_must_know() {
    let ProbeKind::Exec(mut script) = shell("env | sort | grep -v ^PWD= | tr '\\n' ' '; exit 1")
    else {
        panic!("a script");
    };
    script.max_output = Bytes(512);
    let target = "127.0.0.1:8080".parse().unwrap();
    let told = failure(check(ProbeKind::Exec(script), target, PATIENCE)).1;
    assert!(
        told.starts_with(
            "exit status: 1: APLOMB_ADDRESS=127.0.0.1 APLOMB_POOL=test APLOMB_PORT=8080 APLOMB_STATE=down"
        ),
        "{told}"
    );
    assert!(!told.contains("HOME"), "{told}");
}

#[test]
fn it_can_gain_nothing() {
    let bounds = "grep -q 'NoNewPrivs:.1' /proc/self/status && [ $(ulimit -c) = 0 ] && [ $(ulimit -n) = 256 ] \
                  && [ ! -t 0 ] && ! read line";
    assert_eq!(exec(bounds), Ok(()));
}

#[test]
fn much_output_is_thrown_away() {
    let told = failure(exec("head -c 1000000 /dev/zero | tr '\\0' y; exit 1")).1;
    assert_eq!(told, format!("exit status: 1: {}", "y".repeat(64)));
}

#[test]
fn all_of_it_dies_with_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let outcome = check(
        shell(&script),
        "127.0.0.1:1".parse().unwrap(),
        Duration::from_millis(400),
    );
    let (kind, detail) = failure(outcome);
    assert_eq!(kind, Failure::Timeout);
    assert!(detail.starts_with("running the script"), "{detail}");
    await_death(&fs::read_to_string(file).unwrap());
}

#[test]
fn what_it_leaves_behind_dies_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}", file.display());
    let began = Instant::now();
    assert_eq!(exec(&script), Ok(()));
    assert!(began.elapsed() < PATIENCE, "nobody waits for what is left");
    await_death(&fs::read_to_string(file).unwrap());
}

#[test]
fn no_such_program_is_our_own_fault() {
    for command in [vec![], vec!["true".into()], vec!["/no/such/program".into()]] {
        let spec = ScriptSpec {
            command,
            max_output: Bytes(64),
            user: None,
        };
        let target = "127.0.0.1:1".parse().unwrap();
        let (kind, detail) = failure(check(ProbeKind::Exec(spec), target, PATIENCE));
        assert_eq!(kind, Failure::Local, "{detail}");
    }
}

#[test]
fn it_runs_as_another_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return;
    }
    let spec = ScriptSpec {
        command: vec![
            "/bin/sh".into(),
            "-c".into(),
            "id -un; id -G; exit 1".into(),
        ],
        max_output: Bytes(64),
        user: Some("nobody".into()),
    };
    let target = "127.0.0.1:1".parse().unwrap();
    let told = failure(check(ProbeKind::Exec(spec), target, PATIENCE)).1;
    assert_eq!(told, "exit status: 1: nobody.65534");
}

/// Waits until the process is gone, or only its remains are left for its parent.
fn await_death(pid: &str) {
    let status = format!("/proc/{}/stat", pid.trim());
    for _ in 0..2000 {
        match fs::read_to_string(&status) {
            Err(_) => return,
            Ok(text) if text.contains(") Z ") => return,
            Ok(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("{pid} lives on");
}
