//! The kernel data plane of this process: started when a configuration first needs it, told every plan from then on.
//!
//! It outlives the process: when this one ends, the program goes on with what its tables hold, and the next takes them
//! over. Two processes never write the tables at once: [`Kernel::rest`] before a successor begins.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use control::{
    engine::Event,
    name::{BackendKey, Name},
    plan::Plan,
    spec::Spec,
};
use l4::{
    L4, Options,
    explain::{Explanation, Question},
    filter::Filter,
    status::{Connection, L4Status, ServiceStatus},
    trace::{Listener, Refused},
};
use tokio::sync::mpsc;

use super::handle::Rejected;
use crate::{
    api,
    api::model::{IpvsSyncStatus, SyncStatus},
    sync::{Sync, Wanted, config_number},
};

/// Where the kernel data plane is, if there is one.
#[derive(Debug)]
pub(super) struct Kernel {
    running: RwLock<Option<Arc<L4>>>,
    drained: mpsc::UnboundedSender<Event>,
    /// The rights to it were given up, for this file asked for none of it.
    given_up: Option<PathBuf>,
    /// Connection sync, if there is any.
    sync: Mutex<Option<Sync>>,
    in_sync: Arc<AtomicBool>,
    /// Vips have it that other nodes may tell of connections that are not known here.
    expects: AtomicBool,
}

/// How long handshakes may take that are under way, and news to be sent.
const HANDSHAKES: Duration = Duration::from_millis(50);
/// How long it may take to look through all connections twice.
const TELLING: Duration = Duration::from_millis(800);

/// No new connections are heard of while there is one.
#[derive(Debug)]
#[must_use = "new connections are heard of again when it is dropped"]
pub(super) struct Held(Arc<L4>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.0.hold(false) {
            tracing::error!(%error, "the kernel data plane's settings cannot be written");
        }
    }
}

/// Tells the engine of backends that have drained.
struct Drained(mpsc::UnboundedSender<Event>);

impl l4::Reports for Drained {
    fn drained(&self, backend: BackendKey) {
        // An engine that is gone needs to know nothing.
        let _ = self.0.send(Event::DrainedInKernel(backend));
    }
}

impl Kernel {
    pub(super) fn new(drained: mpsc::UnboundedSender<Event>, given_up: Option<PathBuf>) -> Self {
        Self {
            running: RwLock::default(),
            drained,
            given_up,
            sync: Mutex::default(),
            in_sync: Arc::new(AtomicBool::new(true)),
            expects: AtomicBool::new(false),
        }
    }

    /// The plane, if it runs.
    pub(super) fn running(&self) -> Option<Arc<L4>> {
        // Nobody panics while holding it.
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.clone()
    }

    /// Whether a configuration could be carried out: nothing is attached.
    pub(super) fn try_out(&self, spec: &Spec) -> Result<(), Rejected> {
        if !l4::is_needed(spec) || self.running().is_some() {
            return Ok(());
        }
        L4::try_out(&spec.l4).map_err(|e| self.refused(&e))
    }

    /// Has the plane run if the configuration needs it.
    pub(super) fn start(&self, spec: &Spec) -> Result<(), Rejected> {
        if l4::is_needed(spec) && spec.sync.is_some() && self.running().is_none() {
            // Nothing is known until connection sync says so.
            self.in_sync.store(false, Ordering::Relaxed);
        }
        if !l4::is_needed(spec) || self.running().is_some() {
            return Ok(());
        }
        let started = L4::start(Options {
            spec: Arc::new(spec.l4.clone()),
            reports: Box::new(Drained(self.drained.clone())),
        });
        let plane = Arc::new(started.map_err(|e| self.refused(&e))?);
        for attachment in plane.status().interfaces {
            let (interface, reason) = (attachment.interface, attachment.reason);
            match attachment.mode {
                Some(mode) => {
                    tracing::info!(
                        interface,
                        ?mode,
                        reason,
                        "the kernel data plane is attached"
                    );
                }
                None => tracing::warn!(interface, reason, "the kernel data plane is not attached"),
            }
        }
        self.put(Some(plane));
        Ok(())
    }

    /// Why it cannot run, and what to do if only the rights are missing that this process had.
    fn refused(&self, error: &l4::StartError) -> Rejected {
        use l4::StartError::{NoBpffs, NoRights};
        let is_forbidden = match error {
            NoRights { .. } => true,
            NoBpffs { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            _ => false,
        };
        Rejected::Plane(match self.given_up.as_ref().filter(|_| is_forbidden) {
            Some(file) => format!(
                "this daemon gave up its rights to the kernel's tables when it started, for {} had no service that the \
                 kernel forwards and no [l4]: write an empty section, `[l4]`, into it and restart the daemon",
                file.display()
            ),
            None => error.to_string(),
        })
    }

    /// Has it go by a plan. Never waits.
    pub(super) fn apply(&self, plan: &Arc<Plan>) {
        if let Some(plane) = self.running() {
            plane.apply(Arc::clone(plan));
        }
    }

    /// Whether this node knows the connections that its peers know, as it is from moment to moment; always, without
    /// connection sync.
    pub(super) fn in_sync(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.in_sync)
    }

    /// Before addresses go: no new connections are heard of, and peers are told of all there are. None: there is nobody to
    /// tell. Waits for a moment.
    pub(super) async fn tell_all(self: &Arc<Self>) -> Option<Held> {
        let plane = self.running()?;
        let looks = {
            let sync = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
            sync.as_ref().filter(|sync| sync.has_peers())?.looks()
        };
        if let Err(error) = plane.hold(true) {
            tracing::warn!(%error, "the kernel data plane's settings cannot be written");
            return None;
        }
        let held = Held(plane);
        // Those who have begun to connect are connected by then.
        tokio::time::sleep(HANDSHAKES).await;
        if !looks.two_more(TELLING).await {
            tracing::warn!("the other nodes were not told of all connections in time");
        }
        Some(held)
    }

    /// Whether packets of connections that are not known here may belong to some that another node still tells of.
    pub(super) fn expect_flows(&self, expected: bool) {
        let synced = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        self.expects.store(expected, Ordering::Relaxed);
        self.tell_expected(synced.as_ref());
    }

    /// Where nobody is heard nothing is to be expected. The lock of connection sync keeps it as it is meanwhile.
    fn tell_expected(&self, sync: Option<&Sync>) {
        let expected = sync.is_some_and(Sync::hears) && self.expects.load(Ordering::Relaxed);
        if let Some(Err(error)) = self.running().map(|l4| l4.expect_flows(expected)) {
            tracing::warn!(%error, "the kernel data plane's settings cannot be written");
        }
    }

    /// An address is about to come or to go.
    pub(super) fn addresses_move(&self) {
        let sync = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = sync.as_ref().map(Sync::looks);
        drop(sync);
        let (Some(looks), Some(plane)) = (looks, self.running()) else {
            return;
        };
        if let Err(error) = looks.part(&plane) {
            tracing::warn!(%error, "the kernel data plane's settings cannot be written");
        }
    }

    /// Has connection sync be what the configuration asks for. It needs the plane.
    pub(super) fn settle_sync(&self, spec: &Spec) {
        let mut sync = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        let config = config_number(spec);
        let (Some(wanted), Some(plane)) = (Wanted::by(spec), self.running()) else {
            if sync.take().is_some() {
                self.tell_expected(None);
            }
            self.in_sync.store(true, Ordering::Relaxed);
            return;
        };
        if let Some(sync) = sync.as_ref().filter(|sync| sync.is_of(&wanted)) {
            return sync.configured(config);
        }
        // The address is free only when the old one has ended.
        drop(sync.take());
        match Sync::start(wanted, config, &plane, self.in_sync()) {
            Ok(started) => *sync = Some(started),
            Err(error) => tracing::error!("no connection sync: {error}"),
        }
        // The plane may be another too.
        self.tell_expected(sync.as_ref());
    }

    /// Lets go of the tables, which a successor is about to write. The program forwards on. Waits for the plane's
    /// threads.
    pub(super) fn rest(&self) {
        let sync = self
            .sync
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(sync);
        self.put(None);
    }

    fn put(&self, plane: Option<Arc<L4>>) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *running, plane);
        drop(running);
        // Ends with its last user: with us, but for an answer of the API that is just being made.
        drop(before);
    }
}

impl api::Kernel for Kernel {
    fn runs(&self) -> bool {
        self.running().is_some()
    }

    fn status(&self) -> L4Status {
        self.running().map(|l4| l4.status()).unwrap_or_default()
    }

    fn sync(&self) -> (Option<SyncStatus>, Option<IpvsSyncStatus>) {
        let sync = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        sync.as_ref().map(Sync::status).unwrap_or_default()
    }

    fn services(&self) -> Vec<ServiceStatus> {
        self.running().map(|l4| l4.services()).unwrap_or_default()
    }

    fn connections(&self, limit: usize) -> Vec<Connection> {
        let read = self.running().map(|l4| l4.connections(limit));
        read.transpose()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "connections cannot be read");
                None
            })
            .unwrap_or_default()
    }

    fn zero(&self, service: Option<&Name>) {
        if let Some(l4) = self.running() {
            l4.zero(service);
        }
    }

    fn explain(&self, questions: &[Question]) -> Vec<Explanation> {
        let running = self.running();
        running.map(|l4| l4.explain(questions)).unwrap_or_default()
    }

    fn trace(&self, filter: Filter, per_second: u32) -> Result<Listener, Refused> {
        match self.running() {
            Some(plane) => plane.trace(filter, per_second),
            None => Err(Refused::Broken("the kernel data plane does not run".into())),
        }
    }
}
