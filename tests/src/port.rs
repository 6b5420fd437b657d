//! Ports and patience.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

/// A port on 127.0.0.1 that nothing listens on, outside the range that outgoing connections take theirs from,
/// so that no connection of a test running beside this one can be given it.
#[must_use]
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % 400).unwrap() * 50;
    for _ in 0..1000 {
        let port = 11_000 + (spread + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// Waits until `ready` says so; panics with `what` after a generous while.
pub fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !ready() {
        assert!(Instant::now() < end, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
