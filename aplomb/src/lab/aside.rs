//! What goes on beside the view, which has the main thread.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use tokio::runtime::Handle;

use super::site::Space;

/// A runtime on a thread of its own, for as long as the process lasts, in a network namespace if one is named. What is
/// spawned on it opens its sockets there.
///
/// # Errors
/// There is no thread, or no such namespace any more.
pub(super) fn runtime(space: Option<&Space>) -> io::Result<Handle> {
    let entered = space
        .map(Space::file)
        .map(std::fs::File::open)
        .transpose()?;
    let (told, answer) = mpsc::channel();
    let _ = std::thread::Builder::new()
        .name("aplomb-lab".into())
        .spawn(move || {
            let runtime = entered
                .as_ref()
                .map_or(Ok(()), Space::enter)
                .and_then(|()| {
                    let mut builder = tokio::runtime::Builder::new_current_thread();
                    builder.enable_all().build()
                });
            match runtime {
                Err(error) => drop(told.send(Err(error))),
                Ok(runtime) => {
                    let _ = told.send(Ok(runtime.handle().clone()));
                    runtime.block_on(std::future::pending::<()>());
                }
            }
        })?;
    answer.recv().map_err(io::Error::other)?
}

/// From now on Ctrl-C and a request to end only set `over`: who looks at it ends in order. On the current tokio
/// runtime.
pub(super) fn notice_signals(over: Arc<AtomicBool>) {
    use tokio::signal::unix::{SignalKind, signal};
    // Here, not in the task: nothing may come before.
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    drop(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        over.store(true, Ordering::Relaxed);
    }));
}

/// How this program was called.
pub(super) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "aplomb".into())
}
