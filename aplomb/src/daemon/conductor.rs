//! What changes the daemon as a whole, one such thing at a time: configurations, hand-overs, the end.
//!
//! It runs on the main thread. What it does takes milliseconds, or waits in a thread or task of its own, so that a
//! signal is never left lying.

use std::{path::PathBuf, process, sync::Arc, time::Duration};

use control::{
    ipvs::{Edit, Error},
    spec::Spec,
};
use proxy::plane::Plane;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{
    about::About,
    apply::{self, Ready},
    engine::Ask,
    handle::{Applied, ConfigText, Phase, Rejected, Request, Shutdown, ask},
    ipvs::Ipvs,
    kernel::Kernel,
    signals::{Signals, Wish},
    succession::{News, Origin, Succession},
    vips::Vips,
};
use crate::{
    api::{self, Place},
    handoff::{Door, door_beside},
    system::{log::Log, systemd::Systemd},
};

/// How long the engine may take to say that it is alive before the watchdog is not fed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// The parts of a daemon that serves.
pub(super) struct Conductor {
    pub(super) about: Arc<About>,
    /// The configuration in force: the file's, with what `ipvsadm` changed.
    pub(super) spec: Arc<Spec>,
    pub(super) ipvs: Ipvs,
    /// Where relative paths in it begin.
    pub(super) directory: PathBuf,
    pub(super) engine: mpsc::Sender<Ask>,
    pub(super) plane: Arc<Plane>,
    pub(super) kernel: Arc<Kernel>,
    pub(super) vips: Arc<Vips>,
    pub(super) server: api::Server,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) signals: Signals,
    pub(super) systemd: Systemd,
    pub(super) log: Log,
    pub(super) succession: Succession,
    pub(super) door: Option<Door>,
}

/// Why it serves no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to.
    Shutdown(Shutdown),
    /// Another process serves.
    HandedOver,
}

impl Conductor {
    /// Runs until the daemon is to end.
    pub(super) async fn run(&mut self) -> End {
        let mut watchdog = self.systemd.watchdog().map(ticks);
        loop {
            tokio::select! {
                Some(request) = self.requests.recv() => {
                    if let Some(end) = self.answer(request).await {
                        return end;
                    }
                }
                wish = self.signals.next() => {
                    if let Some(end) = self.obey(wish).await {
                        return end;
                    }
                }
                news = self.succession.next() => {
                    if let Some(end) = self.follow(news).await {
                        return end;
                    }
                }
                Some(stream) = knock(self.door.as_ref()) => self.begin(Origin::Door, stream),
                () = tick(watchdog.as_mut()) => self.feed_watchdog().await,
            }
        }
    }

    async fn answer(&mut self, request: Request) -> Option<End> {
        // Whoever has given up waiting is not told.
        match request {
            Request::Apply {
                config,
                dry_run,
                reply,
            } => {
                let _ = reply.send(self.apply(&config, dry_run).await);
            }
            Request::IpvsEdit { edits, reply } => {
                let _ = reply.send(self.edit_ipvs(&edits).await);
            }
            Request::IpvsTable(reply) => {
                let _ = reply.send((self.ipvs.table(), self.spec.l4.max_flows));
            }
            Request::Reload(reply) => {
                let _ = reply.send(self.reload().await);
            }
            Request::ReopenLogs => self.reopen_logs(),
            Request::Upgrade { binary, reply } => self.upgrade(binary, Some(reply)),
            Request::Shutdown(how) => return Some(End::Shutdown(how)),
        }
        None
    }

    async fn obey(&mut self, wish: Wish) -> Option<End> {
        match wish {
            Wish::Reload => drop(self.reload().await),
            Wish::ReopenLogs => self.reopen_logs(),
            Wish::Upgrade => self.upgrade(None, None),
            Wish::End => return Some(End::Shutdown(Shutdown::Graceful)),
        }
        None
    }

    /// On a thread of its own, since it waits for a disk that may hang.
    pub(super) fn reopen_logs(&self) {
        let logs = self.plane.logs();
        drop(std::thread::spawn(move || {
            logs.reopen();
            tracing::info!("log files are opened again");
        }));
    }

    async fn reload(&mut self) -> Result<Applied, Rejected> {
        self.systemd.reloading();
        let outcome = match apply::read(&self.about.config) {
            Ok(config) => self.apply(&config, false).await,
            Err(rejected) => Err(self.reject(rejected)),
        };
        self.systemd.ready(&status_line(&self.spec));
        outcome
    }

    /// Brings a configuration into force, or says what it would change.
    async fn apply(&mut self, config: &ConfigText, dry_run: bool) -> Result<Applied, Rejected> {
        let outcome = self.try_apply(config, dry_run).await;
        match outcome {
            Ok(applied) => {
                if !dry_run {
                    self.about.applied(false);
                    apply::warn(&applied.warnings);
                    let changes = applied.changes.len();
                    tracing::info!(config.name, changes, "configuration applied");
                }
                Ok(applied)
            }
            Err(rejected) if dry_run => Err(rejected),
            Err(rejected) => Err(self.reject(rejected)),
        }
    }

    fn reject(&self, rejected: Rejected) -> Rejected {
        self.about.rejected(&rejected);
        match &rejected {
            Rejected::Config(problems) => {
                tracing::error!("configuration rejected; what ran runs on:\n{problems}");
            }
            other => tracing::error!("configuration rejected; what ran runs on: {other}"),
        }
        rejected
    }

    async fn try_apply(&mut self, config: &ConfigText, dry_run: bool) -> Result<Applied, Rejected> {
        // A successor that is being started has read the file already, and would not know.
        if self.about.phase() == Phase::HandingOver {
            return Err(Rejected::Plane("a successor is being started".into()));
        }
        let admitted = apply::admit(config)?;
        let (ipvs, notes) = self.ipvs.rebase(admitted.spec);
        let next = ipvs.effective();
        let generation = self.generation().await?;
        let mut applied = apply::compare(&self.spec, &next, &admitted.warnings, generation);
        applied.notes = notes;
        let place = Place::Own(self.server.spec());
        self.vips.try_out(&next)?;
        let ready = apply::prepare(&self.plane, next, &config.directory, place)?;
        if dry_run {
            self.kernel.try_out(&ready.spec)?;
            return Ok(applied);
        }
        applied.generation = self.put_in_force(ready).await?;
        self.directory.clone_from(&config.directory);
        self.ipvs = ipvs;
        self.ipvs.keep(&self.spec.admin);
        Ok(applied)
    }

    /// Brings a configuration into force whose sockets are bound. Gives the plan's generation.
    async fn put_in_force(&mut self, ready: Ready) -> Result<u64, Rejected> {
        self.kernel.start(&ready.spec)?;
        let spec = Arc::clone(&ready.spec);
        let generation = apply::put_in_force(&self.engine, ready.spec, ready.prepared).await?;
        self.settle_kernel().await;
        self.kernel.settle_sync(&spec);
        self.server.swap(ready.listeners);
        self.log.change(&spec.log);
        if spec.proxy.workers != self.spec.proxy.workers {
            tracing::warn!("another number of workers takes effect with `aplomb upgrade`");
        }
        self.spec = spec;
        self.keep_sockets();
        self.open_door();
        Ok(generation)
    }

    /// Edits the table of kernel services: what it comes to takes the road of every configuration.
    async fn edit_ipvs(&mut self, edits: &[Edit]) -> Result<Vec<Option<Error>>, Rejected> {
        if self.about.phase() == Phase::HandingOver {
            return Err(Rejected::Plane("a successor is being started".into()));
        }
        let (ipvs, outcomes) = self.ipvs.edited(edits);
        if ipvs != self.ipvs {
            let place = Place::Own(self.server.spec());
            let ready = apply::prepare(&self.plane, ipvs.effective(), &self.directory, place)?;
            let _ = self.put_in_force(ready).await?;
            self.ipvs = ipvs;
            self.ipvs.keep(&self.spec.admin);
        }
        let done = outcomes.iter().filter(|outcome| outcome.is_none()).count();
        tracing::info!(done, of = outcomes.len(), "edits of ipvsadm");
        Ok(outcomes)
    }

    async fn generation(&self) -> Result<u64, Rejected> {
        ask(&self.engine, Ask::Snapshot)
            .await
            .map(|known| known.plan.generation)
            .map_err(|_| Rejected::Stopping)
    }

    /// Has the service manager keep what is listened on.
    pub(super) fn keep_sockets(&mut self) {
        match self.plane.sockets() {
            Ok(sockets) => self.systemd.keep(&sockets),
            Err(error) => tracing::warn!(%error, "sockets cannot be stored"),
        }
    }

    /// Opens the door for successors where it is to be, if it is not open there.
    pub(super) fn open_door(&mut self) {
        let path = door_beside(&self.spec.admin);
        if self.door.as_ref().is_some_and(|door| door.path() == path) {
            return;
        }
        self.door = Door::open(&path)
            .inspect_err(|error| {
                tracing::warn!(%error, path = %path.display(), "`run --takeover` will not find this process");
            })
            .ok();
    }

    fn upgrade(
        &mut self,
        binary: Option<PathBuf>,
        reply: Option<oneshot::Sender<Result<u32, String>>>,
    ) {
        match self.succession.spawn(binary) {
            Ok((child, stream)) => self.begin(Origin::Child { child, reply }, stream),
            Err(why) => {
                tracing::error!("no upgrade: {why}");
                if let Some(reply) = reply {
                    let _ = reply.send(Err(why));
                }
            }
        }
    }

    fn begin(&mut self, origin: Origin, stream: std::os::unix::net::UnixStream) {
        let free = self.about.phase() == Phase::Serving;
        if free {
            self.about.enter(Phase::HandingOver);
        }
        self.succession.begin(origin, stream, free);
    }

    /// Goes on as a hand-over does.
    async fn follow(&mut self, news: News) -> Option<End> {
        match news {
            News::Asked(reply) => {
                let goods = self.succession.goods(&self.engine, &self.plane).await;
                self.kernel.rest();
                let _ = reply.send(goods);
                None
            }
            News::Refused(origin, why) => {
                origin.tell(Err(why));
                None
            }
            News::Serves(origin, successor) => {
                let (pid, version) = (successor.pid, successor.version.clone());
                // Before the successor speaks for itself.
                self.systemd.main_pid(pid);
                if let Err(why) = successor.farewell() {
                    self.systemd.main_pid(process::id());
                    return self.go_on(origin, why.to_string()).await;
                }
                tracing::info!(pid, version, "a successor serves; this process finishes");
                origin.tell(Ok(pid));
                Some(End::HandedOver)
            }
            News::Failed(origin, why) => self.go_on(origin, why).await,
        }
    }

    /// Waits until the kernel data plane goes by the plan that is in force. If it does not, it says so in its status and
    /// tries again by itself.
    async fn settle_kernel(&self) {
        let (Some(plane), Ok(known)) = (
            self.kernel.running(),
            ask(&self.engine, Ask::Snapshot).await,
        ) else {
            return;
        };
        let settled = tokio::task::spawn_blocking(move || plane.applied(known.plan));
        if let Ok(Err(error)) = settled.await {
            tracing::error!("the kernel data plane does not follow yet: {error}");
        }
    }

    /// Takes up the kernel data plane's tables again, and brings them to what the plan says by now.
    async fn resume_kernel(&self) {
        if let Err(error) = self.kernel.start(&self.spec) {
            tracing::error!(
                "the kernel data plane goes on as it is, and follows no changes: {error}"
            );
        }
        if let Ok(known) = ask(&self.engine, Ask::Snapshot).await {
            self.kernel.apply(&known.plan);
        }
        self.kernel.settle_sync(&self.spec);
    }

    /// The successor failed: everything is as it was, names of sockets that it may have taken included.
    async fn go_on(&mut self, origin: Origin, why: String) -> Option<End> {
        tracing::error!("the successor does not serve, this process goes on: {why}");
        origin.tell(Err(why));
        match api::Listeners::bind(&self.spec.admin, &self.directory, Place::Predecessor) {
            Ok(listeners) => self.server.swap(listeners),
            Err(error) => tracing::error!("{error}"),
        }
        self.resume_kernel().await;
        self.about.enter(Phase::Serving);
        None
    }

    async fn feed_watchdog(&self) {
        let sign = timeout(SIGN_OF_LIFE, ask(&self.engine, Ask::Ping)).await;
        match sign {
            Ok(Ok(())) => self.systemd.alive(),
            _ => tracing::error!("the engine does not answer"),
        }
    }
}

/// What the service manager shows of a service that serves.
pub(super) fn status_line(spec: &Spec) -> String {
    format!(
        "serving {} services, {} pools; process {}",
        spec.services.len(),
        spec.pools.len(),
        process::id()
    )
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

/// The next successor at the door; none: whoever it was may not come in.
async fn knock(door: Option<&Door>) -> Option<std::os::unix::net::UnixStream> {
    let Some(door) = door else {
        return std::future::pending().await;
    };
    match door.next().await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a successor could not be let in");
            // Without descriptors the next attempt fails at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
