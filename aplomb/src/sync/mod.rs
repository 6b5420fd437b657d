//! Connection sync of this process: a thread with a socket between the kernel's flows ([`l4::sync`]) and the protocol
//! ([`proto::sync`]).
//!
//! [`socket`] is the way to peers, [`thread`] goes between the two, [`translate`] turns the words of one into those of the
//! other. [`Sync::start`] begins it; it ends with its value, before anybody else may write the kernel's tables.

mod socket;
mod thread;
mod translate;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use control::spec::{Spec, SyncSpec};
use l4::L4;

use crate::api::model::SyncStatus;

/// What the thread tells and is told.
#[derive(Debug)]
struct Shared {
    ends: AtomicBool,
    in_sync: Arc<AtomicBool>,
    status: Mutex<SyncStatus>,
    config: Mutex<u64>,
}

/// Connection sync that runs.
#[derive(Debug)]
pub(crate) struct Sync {
    spec: SyncSpec,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sync {
    /// Begins. `in_sync` is kept up to date: whether this node knows what its peers know.
    ///
    /// # Errors
    /// There is no thread or no randomness.
    pub(crate) fn start(
        spec: &SyncSpec,
        config: u64,
        l4: &L4,
        in_sync: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        in_sync.store(false, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            ends: AtomicBool::new(false),
            in_sync,
            status: Mutex::default(),
            config: Mutex::new(config),
        });
        let work = thread::Work::new(spec, Arc::clone(&shared), l4.sync())?;
        let thread = std::thread::Builder::new()
            .name("sync".into())
            .spawn(move || work.run())?;
        Ok(Self {
            spec: spec.clone(),
            shared,
            thread: Some(thread),
        })
    }

    /// Whether it is what a configuration asks for.
    pub(crate) fn is_of(&self, spec: &SyncSpec) -> bool {
        self.spec == *spec
    }

    /// The configuration is another one.
    pub(crate) fn configured(&self, config: u64) {
        *lock(&self.shared.config) = config;
    }

    /// How it is.
    pub(crate) fn status(&self) -> SyncStatus {
        lock(&self.shared.status).clone()
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has ended the process.
            let _ = thread.join();
        }
    }
}

/// Whoever panics ends the process; what is guarded is whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What of a configuration all nodes should have alike, as a number: kernel services with their backends.
pub(crate) fn config_number(spec: &Spec) -> u64 {
    let mut lines: Vec<String> = Vec::new();
    for service in &spec.services {
        if let control::spec::ServiceKind::Kernel(kernel) = &service.kind {
            let backends = spec.pool(&kernel.pool).map(|pool| {
                let mut all: Vec<_> = pool.backends.iter().map(|b| b.address).collect();
                all.sort_unstable();
                all
            });
            lines.push(format!(
                "{:?} {:?} {backends:?}",
                service.listen, kernel.forward
            ));
        }
    }
    lines.sort_unstable();
    // FNV-1a: the same on every machine and in every version of the standard library.
    lines
        .iter()
        .flat_map(|line| line.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
