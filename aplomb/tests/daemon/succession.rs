//! Hand-overs: nothing is refused, nothing is lost, and a successor that fails changes nothing.

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use rustix::process::Signal;

use crate::rig::*;

#[test]
fn a_signal_hands_over_and_loses_nothing() {
    let port = free_port();
    let mut daemon = Daemon::start(&service("a", "tcp", port, echo()));
    let first = daemon.pid();
    let open = connect(port);
    assert!(talks(&open));
    daemon.signal(Signal::USR2);
    wait_for("the successor", || {
        daemon.status().is_some_and(|s| s["pid"] != first)
    });
    assert!(talks(&connect(port)), "the successor serves");
    assert!(talks(&open), "the predecessor finishes what it has");
    drop(open);
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(daemon.file("admin.sock").exists(), "the successor's");
    assert!(talks(&connect(port)));
}

#[test]
fn no_connection_is_refused_while_processes_follow_each_other() {
    let port = free_port();
    let config = service("a", "tcp", port, echo());
    let daemon = Daemon::start(&config);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut count = 0;
                while !stop.load(Relaxed) {
                    assert!(talks(&connect(port)), "connection {count}");
                    count += 1;
                }
                count
            })
        })
        .collect();
    // Sockets that are shared by fewer or more workers than before keep what waits in their queues.
    for workers in [2, 4, 1, 3, 1] {
        daemon.write(&format!("{config}[proxy]\nworkers = {workers}\n"));
        let upgraded = daemon.cli(&["upgrade"]);
        assert!(upgraded.status.success(), "{upgraded:?}");
    }
    stop.store(true, Relaxed);
    for client in clients {
        assert!(client.join().unwrap() > 0);
    }
}

#[test]
fn a_process_that_comes_by_itself_takes_over() {
    let port = free_port();
    let mut daemon = Daemon::start(&service("a", "tcp", port, echo()));
    let mode = fs::metadata(daemon.file("admin.handover")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let mut second = takeover(&daemon);
    assert_eq!(daemon.ended().code(), Some(0));
    assert_eq!(daemon.pid(), second.id() as i32);
    assert!(talks(&connect(port)));
    // With nobody there, it starts as if it had not been asked to take over.
    second.kill().unwrap();
    second.wait().unwrap();
    let mut third = takeover(&daemon);
    wait_for("the third", || daemon.status().is_some());
    assert!(talks(&connect(port)));
    third.kill().unwrap();
    third.wait().unwrap();
}

fn takeover(daemon: &Daemon) -> Child {
    let log = fs::OpenOptions::new().append(true).open(daemon.file("log"));
    Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .args(["run", "--takeover", "-c"])
        .arg(daemon.file("aplomb.toml"))
        .stdout(Stdio::null())
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

#[test]
fn what_operators_said_is_handed_on() {
    let backend = echo();
    let daemon = Daemon::start(&service("a", "tcp", free_port(), backend));
    let name = format!("a/{backend}");
    let weight = daemon.cli(&["backend", "weight", &name, "7"]);
    assert!(weight.status.success(), "{weight:?}");
    assert!(daemon.cli(&["backend", "drain", &name]).status.success());
    assert!(daemon.cli(&["upgrade"]).status.success());
    let status = daemon.status().unwrap();
    let backend = &status["pools"][0]["backends"][0];
    assert_eq!(backend["state"], "draining", "{backend}");
    assert_eq!(backend["weight"], 7, "{backend}");
}

#[test]
fn a_successor_that_fails_changes_nothing() {
    let port = free_port();
    let config = service("a", "tcp", port, echo());
    let daemon = Daemon::start(&config);
    let first = daemon.pid();

    for binary in ["/bin/false", "/bin/true", "/no/such/binary", "/etc/passwd"] {
        let failed = daemon.cli(&["upgrade", binary]);
        assert_eq!(failed.status.code(), Some(1), "{binary}: {failed:?}");
        assert_eq!(daemon.pid(), first, "{binary}");
    }

    daemon.write("this is no configuration");
    let failed = daemon.cli(&["upgrade"]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("aplomb.toml"), "{said}");

    // It gets as far as taking the admin socket's name before it finds that an address is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let metrics = format!("metrics = \"{taken}\"\n{config}");
    daemon.write(&metrics);
    let failed = daemon.cli(&["upgrade"]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains(&taken.to_string()), "{said}");
    assert_eq!(daemon.pid(), first);
    assert!(talks(&connect(port)));

    daemon.write(&config);
    assert!(daemon.cli(&["upgrade"]).status.success());
    assert_ne!(daemon.pid(), first);
    assert!(talks(&connect(port)));
}

#[test]
fn while_a_successor_starts_nothing_changes_that_it_would_not_know() {
    let backend = echo();
    let port = free_port();
    let config = service("a", "tcp", port, backend);
    let daemon = Daemon::start(&config);
    let slow = daemon.file("slow.sh");
    fs::write(&slow, "#!/bin/sh\nexec sleep 3\n").unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| daemon.cli(&["upgrade", slow.to_str().unwrap()]));
        wait_for("the hand-over to begin", || {
            daemon.status().unwrap()["phase"] == "handing-over"
        });
        let reload = daemon.cli(&["reload"]);
        assert_eq!(reload.status.code(), Some(1));
        let said = String::from_utf8_lossy(&reload.stderr).into_owned();
        assert!(said.contains("a successor is being started"), "{said}");
        assert_eq!(
            daemon.cli(&["upgrade"]).status.code(),
            Some(1),
            "one at a time"
        );
        assert!(talks(&connect(port)), "it serves meanwhile");

        let drained = daemon.cli(&["backend", "drain", &format!("a/{backend}")]);
        assert!(drained.status.success(), "{drained:?}");
        assert_eq!(daemon.status().unwrap()["phase"], "serving", "it waited");
        assert_eq!(upgrade.join().unwrap().status.code(), Some(1));
    });
    assert!(daemon.cli(&["reload"]).status.success());
}

#[test]
fn a_flow_of_datagrams_is_answered_across_a_hand_over() {
    let port = free_port();
    let daemon = Daemon::start(&service("a", "udp", port, udp_echo()));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let talks = |text: &[u8]| {
        let mut back = [0; 16];
        client.send(text).unwrap();
        let n = client.recv(&mut back).unwrap();
        assert_eq!(&back[..n], text);
    };
    talks(b"before");
    for turn in 0..3_u8 {
        assert!(daemon.cli(&["upgrade"]).status.success());
        talks(&[b'a' + turn; 8]);
    }
}
