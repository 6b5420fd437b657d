//! Connection sync of this process: a thread with a socket between the kernel's flows ([`l4::sync`]) and the protocol
//! ([`proto::sync`]).
//!
//! [`thread`] looks through the tables and tells of what it finds: [`own`] the other nodes of aplomb, [`mod@ipvs`] directors of
//! Linux's own. [`socket`] is the way to peers, [`translate`] turns the words of the tables into those of the protocol.
//! [`Sync::start`] begins it; it ends with its value, before anybody else may write the kernel's tables.

mod ipvs;
mod own;
mod rates;
mod socket;
mod thread;
mod translate;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use control::spec::{IpvsSyncSpec, Spec, SyncSpec};
use l4::L4;

use crate::api::model::{IpvsSyncStatus, SyncStatus};

/// What the thread tells and is told.
#[derive(Debug)]
struct Shared {
    ends: AtomicBool,
    in_sync: Arc<AtomicBool>,
    status: Mutex<(Option<SyncStatus>, Option<IpvsSyncStatus>)>,
    config: Mutex<u64>,
    looks: Looks,
}

/// How often all connections were looked through for news.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    through: Arc<AtomicU64>,
    /// Somebody waits: they are to follow one another without rest, and handshakes are told too.
    hurry: Arc<AtomicBool>,
    /// An address comes or goes: the same until then.
    parting: Arc<Mutex<Option<Instant>>>,
}

/// How long an address that came or went makes a difference: packets that were on their way still come to the node that had
/// it, neighbours learn one after the other where it is now, and what is not known yet is sent again.
const PARTING: Duration = Duration::from_secs(2);

impl Looks {
    /// An address comes or goes: for a while, handshakes that are under way are told, and `l4` waits for those that peers tell.
    pub(crate) fn part(&self, l4: &L4) -> io::Result<()> {
        let mut parting = lock(&self.parting);
        l4.addresses_move(true)?;
        *parting = Some(Instant::now() + PARTING);
        Ok(())
    }

    /// Has `rest` done once after a while without an address that comes or goes, or at the `end`.
    fn settle(&self, end: bool, rest: impl FnOnce()) {
        let mut parting = lock(&self.parting);
        if parting.is_some_and(|until| end || until <= Instant::now()) {
            *parting = None;
            rest();
        }
    }

    /// Whether one look is to follow another without rest, and handshakes are told.
    fn are_in_haste(&self) -> bool {
        self.hurry.load(Ordering::Relaxed) || lock(&self.parting).is_some()
    }

    /// Waits until they were looked through twice more, of which the second is one from beginning to end; whether they were
    /// within `limit`.
    pub(crate) async fn two_more(&self, limit: Duration) -> bool {
        self.hurry.store(true, Ordering::Relaxed);
        let before = self.through.load(Ordering::Relaxed);
        let done = async {
            while self.through.load(Ordering::Relaxed) < before + 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(limit, done).await.is_ok();
        self.hurry.store(false, Ordering::Relaxed);
        done
    }
}

/// What a configuration asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    own: Option<SyncSpec>,
    ipvs: Option<IpvsSyncSpec>,
}

impl Wanted {
    /// That of a configuration; none: nothing is told to anybody.
    pub(crate) fn by(spec: &Spec) -> Option<Self> {
        let (own, ipvs) = (spec.sync.clone(), spec.ipvs_sync.clone());
        (own.is_some() || ipvs.is_some()).then_some(Self { own, ipvs })
    }
}

/// Connection sync that runs.
#[derive(Debug)]
pub(crate) struct Sync {
    wanted: Wanted,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sync {
    /// Begins. `in_sync` is kept up to date: whether this node knows what its peers know.
    ///
    /// # Errors
    /// There is no thread or no randomness.
    pub(crate) fn start(
        wanted: Wanted,
        config: u64,
        l4: &L4,
        in_sync: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        in_sync.store(wanted.own.is_none(), Ordering::Relaxed);
        let shared = Arc::new(Shared {
            ends: AtomicBool::new(false),
            in_sync,
            status: Mutex::default(),
            config: Mutex::new(config),
            looks: Looks::default(),
        });
        let work = thread::Work::new(&wanted, Arc::clone(&shared), l4.sync())?;
        let thread = std::thread::Builder::new()
            .name("sync".into())
            .spawn(move || work.run())?;
        Ok(Self {
            wanted,
            shared,
            thread: Some(thread),
        })
    }

    /// Whether it is what a configuration asks for.
    pub(crate) fn is_of(&self, wanted: &Wanted) -> bool {
        self.wanted == *wanted
    }

    /// The configuration is another one.
    pub(crate) fn configured(&self, config: u64) {
        *lock(&self.shared.config) = config;
    }

    /// Whether there is anybody to tell.
    pub(crate) fn has_peers(&self) -> bool {
        let status = lock(&self.shared.status);
        let (own, ipvs) = &*status;
        let answers = |own: &SyncStatus| own.peers.iter().any(|peer| peer.answers);
        own.as_ref().is_some_and(answers) || ipvs.as_ref().is_some_and(|ipvs| ipvs.master)
    }

    /// Whether others may tell it of connections.
    pub(crate) fn hears(&self) -> bool {
        let ipvs = self.wanted.ipvs.as_ref();
        self.wanted.own.is_some() || ipvs.is_some_and(|ipvs| ipvs.backup)
    }

    /// How often it has looked for news.
    pub(crate) fn looks(&self) -> Looks {
        self.shared.looks.clone()
    }

    /// How it is: with other nodes of aplomb, and with directors of Linux's own.
    pub(crate) fn status(&self) -> (Option<SyncStatus>, Option<IpvsSyncStatus>) {
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
