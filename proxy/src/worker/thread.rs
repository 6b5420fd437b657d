//! The thread of a worker: it runs the event loop and takes the plane's orders.

use std::{
    cell::{Cell, RefCell},
    io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Release},
    },
    thread::JoinHandle,
    time::Duration,
};

use control::time::Instant;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{Notify, mpsc, oneshot},
    task::spawn_local,
};

use super::{
    Service, Worker, backend::Passives, buffers::Buffers, chores::Drains, listener::Fate,
    pipes::Pipes, rng::Rng, snapshot::Snapshot, wheel::Wheel,
};
use crate::{
    access_log::{LogHandle, Logs},
    http,
    plane::{Reports, Update},
    shared::PerWorker,
    stats::WorkerCounters,
};

/// How often it is looked whether connections have ended that are waited for.
const LOOK: Duration = Duration::from_millis(10);

/// What the plane asks of a worker.
pub(crate) enum Order {
    /// To become what this says; answered when done.
    Apply(Arc<Update>, oneshot::Sender<()>),
    /// To accept nothing more; answered when done.
    Stop(Fate, oneshot::Sender<()>),
    /// To have connections that came by these addresses finish what they do; answered when none of them is left. Those that
    /// come later are none of them.
    Renew(Arc<[IpAddr]>, oneshot::Sender<()>),
    /// To finish what goes on until then, and cut what is left; answered when nothing goes on.
    Drain(Instant, oneshot::Sender<()>),
}

/// What a worker begins with.
pub(crate) struct Setup {
    pub(crate) index: usize,
    pub(crate) seed: u64,
    /// The core to stay on, if the workers have one each.
    pub(crate) core: Option<usize>,
    pub(crate) reports: Arc<dyn Reports>,
    pub(crate) logs: LogHandle,
    pub(crate) counters: Arc<PerWorker<WorkerCounters>>,
    pub(crate) applied: Arc<PerWorker<AtomicU64>>,
}

/// Starts a worker. It ends when the orders do, and cuts what goes on then.
pub(crate) fn start(
    setup: Setup,
    orders: mpsc::UnboundedReceiver<Order>,
) -> io::Result<JoinHandle<()>> {
    // Built here, so that an error can still be told.
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("proxy-{}", setup.index))
        .spawn(move || {
            let options = LocalOptions::default();
            let runtime = match Builder::new_current_thread()
                .enable_all()
                .build_local(options)
            {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(()));
            if let Some(core) = setup.core {
                stay_on(core);
            }
            runtime.block_on(run(setup, orders));
        })?;
    started
        .recv()
        .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
    Ok(thread)
}

fn stay_on(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
        tracing::warn!(core, %error, "a worker is not bound to its core");
    }
}

async fn run(setup: Setup, mut orders: mpsc::UnboundedReceiver<Order>) {
    let worker = Worker::new(setup);
    spawn_local(Rc::clone(&worker.wheel).turn());
    spawn_local(Rc::clone(&worker).do_chores());
    while let Some(order) = orders.recv().await {
        worker.obey(order).await;
    }
    worker.flush_logs();
}

impl Worker {
    fn new(setup: Setup) -> Rc<Self> {
        let wheel = Wheel::new();
        Rc::new(Self {
            index: setup.index,
            chores: wheel.timer(),
            wheel,
            buffers: Rc::new(Buffers::default()),
            pipes: Rc::new(Pipes::default()),
            http: http::Turns::default(),
            datagrams: RefCell::default(),
            rng: Rng::new(setup.seed, setup.index),
            passives: Passives::default(),
            drains: RefCell::new(Drains::default()),
            applied: setup.applied,
            logs: Logs::new(setup.logs),
            counters: setup.counters,
            reports: setup.reports,
            snapshot: RefCell::new(Snapshot::default()),
            open: Cell::new(0),
            limit: Cell::new(u32::MAX),
            room: Notify::new(),
            cut_at: Cell::new(None),
            leaving: Cell::new(false),
        })
    }

    async fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Apply(update, done) => {
                self.apply(&update);
                self.applied[self.index].0.store(update.generation, Release);
                let _ = done.send(());
            }
            Order::Stop(fate, done) => {
                self.close_doors(fate);
                // The listeners' tasks run before this one does again.
                tokio::task::yield_now().await;
                let _ = done.send(());
            }
            Order::Renew(addresses, done) => {
                let before = self.renew(&addresses);
                spawn_local(Rc::clone(self).ended(before, done));
            }
            Order::Drain(until, done) => {
                self.leaving.set(true);
                self.cut_at.set(Some(until));
                self.wheel.wake_all();
                spawn_local(Rc::clone(self).finished(done));
            }
        }
    }

    /// Answers when these services have no connections here any more, or nobody wants to know.
    async fn ended(self: Rc<Self>, services: Vec<Rc<Service>>, done: oneshot::Sender<()>) {
        let timer = self.wheel.timer();
        while services.iter().any(|service| service.open() > 0) && !done.is_closed() {
            timer.arm(LOOK);
            timer.expired().await;
        }
        let _ = done.send(());
    }

    /// Answers when nothing goes on any more.
    async fn finished(self: Rc<Self>, done: oneshot::Sender<()>) {
        loop {
            let one_ended = self.room.notified();
            if self.open.get() == 0 {
                break;
            }
            one_ended.await;
        }
        self.flush_logs();
        self.report_traffic();
        let _ = done.send(());
    }
}
