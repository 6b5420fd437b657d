//! What it tells a service manager, and what it takes from one; the test is that manager.

use std::{
    io::IoSliceMut,
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{net::UnixDatagram, process::CommandExt},
    },
    process::Command,
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;

use crate::rig::*;

/// What a daemon is told to notify.
struct Manager(UnixDatagram);

impl Manager {
    fn in_dir(dir: &tempfile::TempDir) -> Self {
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// Waits for a message with this line; gives all its lines and descriptors.
    fn hears(&self, line: &str) -> (String, Vec<OwnedFd>) {
        loop {
            let (text, fds) = self.next();
            if text.lines().any(|l| l == line) {
                return (text, fds);
            }
        }
    }

    fn next(&self) -> (String, Vec<OwnedFd>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 4096];
        let message = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .unwrap();
        let fds = control
            .drain()
            .filter_map(|m| match m {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
                _ => None,
            })
            .flatten()
            .collect();
        let text = String::from_utf8_lossy(&bytes[..message.bytes]).into_owned();
        (text, fds)
    }
}

#[test]
fn it_is_told_of_each_step() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::in_dir(&dir);
    let notify = dir.path().join("notify");
    let port = free_port();
    let config = service("a", "tcp", port, echo());
    let mut daemon = Daemon::start_in(dir, &config, |command| {
        command
            .env("NOTIFY_SOCKET", notify)
            .env("WATCHDOG_USEC", "200000");
    });
    let (text, fds) = manager.hears("FDSTORE=1");
    assert!(
        text.contains(&format!("FDNAME=aplomb+tcp;//127.0.0.1;{port}")),
        "{text}"
    );
    assert_eq!(fds.len(), 1);
    let (text, _) = manager.hears("READY=1");
    assert!(text.contains("STATUS=serving 1 services"), "{text}");
    let _ = manager.hears("WATCHDOG=1");

    daemon.signal(Signal::HUP);
    let (text, _) = manager.hears("RELOADING=1");
    assert!(text.contains("MONOTONIC_USEC="), "{text}");
    let _ = manager.hears("READY=1");

    daemon.write("");
    daemon.signal(Signal::HUP);
    let (text, _) = manager.hears("FDSTOREREMOVE=1");
    assert!(
        text.contains(&format!("FDNAME=aplomb+tcp;//127.0.0.1;{port}")),
        "{text}"
    );

    assert!(daemon.cli(&["upgrade"]).status.success());
    let pid = daemon.pid();
    let _ = manager.hears(&format!("MAINPID={pid}"));
    let _ = manager.hears("READY=1");
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(daemon.cli(&["stop"]).status.success());
    let _ = manager.hears("STOPPING=1");
}

#[test]
fn kept_sockets_are_used_with_what_waits_in_their_queues() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let waiting = connect(port);
    let names = format!("aplomb+tcp;//127.0.0.1;{port}");
    let dir = tempfile::tempdir().unwrap();
    let config = service("a", "tcp", port, echo());
    let fd = listener.as_raw_fd();
    let daemon = Daemon::start_in(dir, &config, |command| {
        // The number of the process is known only in it.
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""])
            .arg(program)
            .args(arguments)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", names);
        // SAFETY: dup2 may be called between fork and exec.
        unsafe {
            shell.pre_exec(move || {
                if libc::dup2(fd, 3) == 3 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        *command = shell;
    });
    drop(listener);
    assert!(talks(&waiting), "it waited before the daemon was there");
    assert!(talks(&connect(port)));
    assert!(daemon.status().is_some());
}
