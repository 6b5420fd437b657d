//! What a panic does: it ends the process.
//!
//! A worker whose thread unwinds leaves its listeners behind it: the kernel goes on giving it its share of new
//! connections, which nobody accepts, while the process looks alive to its supervisor. An engine or prober that
//! unwinds leaves health as it was, for ever. All of that is worse than a restart, at which a supervisor that
//! keeps the sockets loses only the connections that are open; so a panic anywhere is logged and aborts.

use std::{backtrace::Backtrace, panic, process};

/// From here on, a panic is logged and aborts the process.
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let backtrace = Backtrace::force_capture();
        tracing::error!(
            thread = thread.name().unwrap_or("?"),
            %backtrace,
            "this is a bug, and the process ends: {panic}"
        );
        process::abort();
    }));
}
