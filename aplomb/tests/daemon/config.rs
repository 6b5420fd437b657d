//! Configurations, at the start and later.

use std::{fs, process::Command};

use rustix::process::Signal;

use crate::rig::*;

#[test]
fn a_reload_changes_what_differs_and_nothing_else() {
    let (a, b) = (free_port(), free_port());
    let backend = echo();
    let daemon = Daemon::start(&service("a", "tcp", a, backend));
    let before = connect(a);
    assert!(talks(&before));

    let both = service("a", "tcp", a, backend) + &service("b", "tcp", b, backend);
    daemon.write(&both);
    daemon.signal(Signal::HUP);
    wait_for("the new service", || listens(b));
    assert!(talks(&connect(b)));
    assert!(talks(&before), "a connection of a service that stays");

    daemon.write(&service("b", "tcp", b, backend));
    daemon.signal(Signal::HUP);
    wait_for("the old service to go", || !listens(a));
    assert!(
        talks(&before),
        "a connection of a service that went finishes"
    );
}

#[test]
fn a_bad_reload_is_told_and_changes_nothing() {
    let port = free_port();
    let config = service("a", "tcp", port, echo());
    let daemon = Daemon::start(&config);
    let before = connect(port);
    assert!(talks(&before));

    daemon.write(&config.replace("forward", "froward"));
    daemon.signal(Signal::HUP);
    daemon.await_log("configuration rejected; what ran runs on");
    assert!(daemon.log().contains("froward"), "{}", daemon.log());
    assert!(talks(&before) && talks(&connect(port)));

    let status = daemon.status().unwrap();
    let why = status["config"]["last_refused"].as_str().unwrap();
    assert!(why.contains("1 error in"), "{why}");

    daemon.write(&config);
    daemon.signal(Signal::HUP);
    daemon.await_log("configuration applied");
    let status = daemon.status().unwrap();
    assert!(status["config"]["last_refused"].is_null(), "{status}");
}

#[test]
fn an_address_in_use_rejects_all_of_it() {
    let (port, more) = (free_port(), free_port());
    let backend = echo();
    let config = service("a", "tcp", port, backend);
    let daemon = Daemon::start(&config);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port();
    daemon.write(
        &(config + &service("b", "tcp", more, backend) + &service("c", "tcp", taken, backend)),
    );
    let refused = daemon.cli(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("tcp://127.0.0.1:{taken}")), "{said}");
    assert!(!listens(more), "nothing of it is bound");
    assert!(talks(&connect(port)));
}

#[test]
fn a_first_configuration_that_is_bad_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("aplomb.toml");
    fs::write(&file, "[[pool]]\nname = \"web\"\nbalanse = \"rr\"\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .args(["run", "-c"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("balanse") && said.contains("balance"),
        "{said}"
    );
}

#[test]
fn a_second_daemon_does_not_take_the_place_of_the_first() {
    let port = free_port();
    let daemon = Daemon::start(&service("a", "tcp", port, echo()));
    let second = Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .args(["run", "-c"])
        .arg(daemon.file("aplomb.toml"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let pid = daemon.child.id();
    assert_eq!(daemon.pid(), pid as i32);
    assert!(talks(&connect(port)));
}

#[test]
fn logs_are_opened_again() {
    let port = free_port();
    let dir = tempfile::tempdir().unwrap();
    let access = dir.path().join("access.log");
    let config = format!(
        "{}access-log = {{ to = \"{}\" }}\n",
        service("a", "tcp", port, echo()),
        access.display()
    );
    let daemon = Daemon::start_in(dir, &config, |_| {});
    assert!(talks(&connect(port)));
    wait_for("a line", || {
        fs::metadata(&access).is_ok_and(|m| m.len() > 0)
    });
    let rotated = daemon.file("access.log.1");
    fs::rename(&access, &rotated).unwrap();
    daemon.signal(Signal::USR1);
    daemon.await_log("log files are opened again");
    let length = fs::metadata(&rotated).unwrap().len();
    assert!(talks(&connect(port)));
    wait_for("a line", || {
        fs::metadata(&access).is_ok_and(|m| m.len() > 0)
    });
    assert_eq!(fs::metadata(&rotated).unwrap().len(), length);
}

#[test]
fn the_log_changes_its_level_and_format() {
    let config = service("a", "tcp", free_port(), echo());
    let quiet = format!("{config}[log]\nlevel = \"error\"\nformat = \"json\"\n");
    let daemon = Daemon::start(&quiet);
    assert_eq!(daemon.log(), "", "nothing is an error");
    daemon.write(&quiet.replace("error", "info"));
    daemon.signal(Signal::HUP);
    wait_for("a line", || daemon.log().contains("configuration applied"));
    for line in daemon.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(line["message"].is_string(), "{line}");
    }
    daemon.write(&quiet.replace("error", "info").replace("json", "text"));
    daemon.signal(Signal::HUP);
    wait_for("a line of text", || daemon.log().contains(" INFO aplomb"));
}

#[test]
fn scripts_decide_and_are_told_of_whom() {
    let port = free_port();
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("up");
    let script = dir.path().join("check.sh");
    let text = format!(
        "#!/bin/sh\n[ \"$APLOMB_POOL\" = a ] && [ -e {} ]\n",
        flag.display()
    );
    fs::write(&script, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).unwrap();
    let check = format!(
        "check = {{ exec = [\"{}\"], interval = \"100ms\", timeout = \"90ms\", rise = 1, fall = 1 }}\nbackends",
        script.display()
    );
    let config = service("a", "tcp", port, echo()).replacen("backends", &check, 1);
    let daemon = Daemon::start_in(dir, &config, |_| {});
    let state = || {
        let status = daemon.status().unwrap();
        status["pools"][0]["backends"][0]["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    wait_for("it to be down", || state() == "down");
    fs::write(&flag, "").unwrap();
    wait_for("it to be up", || state() == "up");
}
