//! How it ends.

use rustix::process::Signal;

use crate::rig::*;

#[test]
fn what_goes_on_may_finish() {
    let port = free_port();
    let mut daemon = Daemon::start(&service("a", "tcp", port, echo()));
    let open = connect(port);
    assert!(talks(&open));
    daemon.signal(Signal::TERM);
    wait_for("it to accept nothing more", || !listens(port));
    assert!(talks(&open));
    assert!(daemon.child.try_wait().unwrap().is_none());
    assert_eq!(daemon.status().unwrap()["phase"], "leaving");
    drop(open);
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(!daemon.file("admin.sock").exists());
    assert!(!daemon.file("admin.handover").exists());
}

#[test]
fn what_takes_too_long_is_cut() {
    let port = free_port();
    let config = service("a", "tcp", port, echo()) + "[proxy]\ndrain = \"200ms\"\n";
    let mut daemon = Daemon::start(&config);
    let open = connect(port);
    assert!(talks(&open));
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(is_closed(&open));
}

#[test]
fn a_second_signal_cuts_at_once() {
    let port = free_port();
    let mut daemon = Daemon::start(&service("a", "tcp", port, echo()));
    let open = connect(port);
    assert!(talks(&open));
    daemon.signal(Signal::TERM);
    wait_for("it to accept nothing more", || !listens(port));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(is_closed(&open));
}

#[test]
fn an_operator_can_end_it_at_once() {
    let port = free_port();
    let mut daemon = Daemon::start(&service("a", "tcp", port, echo()));
    let open = connect(port);
    assert!(talks(&open));
    assert!(daemon.cli(&["stop", "--now"]).status.success());
    assert_eq!(daemon.ended().code(), Some(0));
}
