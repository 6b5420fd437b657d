//! The user-space plane: its workers, its sockets, and the one way to tell it what to be.
//!
//! [`Plane::prepare`] binds what a configuration listens on, before it is admitted; [`Plane::apply`] makes every
//! worker what the plan says. [`update`] makes the parts that workers share, [`sockets`] keeps listening
//! sockets, [`registry`] what outlives plans. What a worker makes of it is in [`crate::worker`].

mod registry;
mod sockets;
mod update;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
    time::Duration,
};

use control::{
    balance::{Balancer, Explanation, Pick},
    engine::PassiveSample,
    name::{BackendKey, Name},
    plan::{Plan, PoolPlan},
    spec::{Listen, Spec},
};
use tokio::sync::{mpsc, oneshot};

pub use self::sockets::{BindError, BindErrors, Prepared};
use self::{
    registry::Registry,
    sockets::{Bound, Retired, Stock},
    update::Listening,
};
pub(crate) use self::{
    sockets::SocketKey,
    update::{PerWorkerSockets, PoolPart, ServicePart, Update},
};
use crate::{
    access_log::{LogHandle, LogWriter},
    net,
    shared::{PerWorker, per_worker},
    stats::{Stats, WorkerCounters},
    worker::{
        clock,
        listener::Fate,
        thread::{self, Order, Setup},
    },
};

/// A lock of the plane's own state, which no worker ever takes.
#[expect(clippy::disallowed_types, reason = "not on a worker's path")]
type Lock<T> = std::sync::Mutex<T>;

/// What the plane tells of backends. Called on workers: it must not block.
pub trait Reports: Send + Sync + 'static {
    /// What traffic told of a backend.
    fn traffic(&self, sample: PassiveSample);
    /// A backend that was to finish has nothing in flight any more.
    fn drained(&self, backend: BackendKey);
}

/// What a plane begins with.
pub struct Options {
    /// Worker threads; none: one for each core that this process may run on, bound to it.
    pub workers: Option<u16>,
    /// The listening sockets of the process before, by what they were configured as.
    pub inherited: Vec<(Listen, OwnedFd)>,
    /// Seeds the workers' randomness.
    pub seed: u64,
    /// Who is told of backends.
    pub reports: Arc<dyn Reports>,
}

/// How accepting stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// For good: what is queued is still accepted, then the sockets are closed.
    Final,
    /// Another process has the same sockets, and accepts what is queued.
    HandedOver,
}

/// The user-space plane.
pub struct Plane {
    workers: Vec<WorkerHandle>,
    state: Lock<State>,
    logs: LogWriter,
    counters: Arc<PerWorker<WorkerCounters>>,
}

struct WorkerHandle {
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

struct State {
    registry: Registry,
    bound: BTreeMap<SocketKey, Bound>,
    inherited: BTreeMap<SocketKey, Vec<Arc<OwnedFd>>>,
    retired: Retired,
    generation: u64,
}

/// Every worker's answer to an order. Dropping it changes nothing: the order is carried out all the same.
#[must_use = "the order is carried out some time later"]
pub struct Done(Vec<oneshot::Receiver<()>>);

impl Done {
    /// Resolves when every worker has carried the order out.
    pub async fn wait(self) {
        for answer in self.0 {
            // A worker that is gone has nothing left to do.
            let _ = answer.await;
        }
    }

    /// Waits until every worker has carried the order out. Not for tasks of an event loop.
    pub fn wait_blocking(self) {
        for answer in self.0 {
            let _ = answer.blocking_recv();
        }
    }
}

impl Plane {
    /// Starts the workers, with nothing to do yet.
    ///
    /// # Errors
    /// The system gives no thread or no event loop.
    pub fn start(options: Options) -> io::Result<Self> {
        let cores = cores();
        let count = options.workers.map_or(cores.len(), usize::from).max(1);
        let logs = LogWriter::start()?;
        let counters = Arc::new(per_worker(count));
        let applied = Arc::new(per_worker::<AtomicU64>(count));
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let (orders, received) = mpsc::unbounded_channel();
            let setup = Setup {
                index,
                seed: options.seed,
                core: cores.get(index).copied().filter(|_| count == cores.len()),
                reports: Arc::clone(&options.reports),
                logs: logs.handle(),
                counters: Arc::clone(&counters),
                applied: Arc::clone(&applied),
            };
            let thread = thread::start(setup, received)?;
            workers.push(WorkerHandle { orders, thread });
        }
        let mut inherited: BTreeMap<SocketKey, Vec<Arc<OwnedFd>>> = BTreeMap::new();
        for (listen, socket) in options.inherited {
            inherited
                .entry(listen.into())
                .or_default()
                .push(Arc::new(socket));
        }
        let state = State {
            registry: Registry::new(count),
            bound: BTreeMap::new(),
            inherited,
            retired: Retired::default(),
            generation: 0,
        };
        Ok(Self {
            workers,
            state: Lock::new(state),
            logs,
            counters,
        })
    }

    /// Binds all that `spec` listens on and is not listened on yet, so that a configuration that cannot be served is known
    /// before it is admitted. Nothing that runs is touched.
    ///
    /// # Errors
    /// Every address that cannot be listened on; then none of the new ones is.
    pub fn prepare(&self, spec: &Spec) -> Result<Prepared, BindErrors> {
        let state = self.lock();
        let stock = Stock {
            present: &state.bound,
            inherited: &state.inherited,
            retired: &state.retired,
            workers: self.workers.len(),
        };
        sockets::prepare(spec, &stock)
    }

    /// Has every worker become what `plan` says. With a changed configuration come the sockets that were prepared
    /// for it; without (health changed), the sockets stay as they are.
    ///
    /// Listeners that go accept what is queued and close; connections of services that go have until
    /// [`control::spec::ProxySpec::drain`]. What did not change is not touched.
    pub fn apply(&self, plan: &Arc<Plan>, prepared: Option<Prepared>) -> Done {
        let mut state = self.lock();
        if let Some(prepared) = prepared {
            let before = std::mem::replace(&mut state.bound, prepared.bound);
            state.retire(&before);
            state.drop_inherited();
        }
        state.generation += 1;
        state.registry.follow(plan);
        let update = Arc::new(state.update(plan));
        // Sent under the lock: workers get updates in the order of their generations.
        self.order(|done| Order::Apply(Arc::clone(&update), done))
    }

    /// The listening sockets, for another process to take over.
    ///
    /// # Errors
    /// No more file descriptors.
    pub fn sockets(&self) -> io::Result<Vec<(Listen, OwnedFd)>> {
        let state = self.lock();
        let mut all = Vec::new();
        for bound in state.bound.values() {
            for socket in distinct(&bound.sockets) {
                all.push((bound.listen, socket.try_clone()?));
            }
        }
        Ok(all)
    }

    /// What is listened on, with the address that it is really bound to (port 0 is the kernel's choice).
    #[must_use]
    pub fn listening(&self) -> Vec<(Listen, SocketAddr)> {
        let state = self.lock();
        let bound = state.bound.values();
        let first = |b: &Bound| b.sockets.first()?.first().cloned();
        bound
            .filter_map(|b| Some((b.listen, crate::net::local_address(&*first(b)?).ok()?)))
            .collect()
    }

    /// Whether connections come by one of these addresses.
    #[must_use]
    pub fn listens_on(&self, addresses: &[IpAddr]) -> bool {
        let state = self.lock();
        let mut streams = state.bound.keys().filter(|key| !key.datagram);
        streams.any(|key| {
            let ip = key.address.ip();
            ip.is_unspecified() || addresses.contains(&ip)
        })
    }

    /// Has connections that came by these addresses finish what they do, as if their services had another configuration;
    /// done when none of them is left. New ones are accepted as ever, and not waited for. Nothing is cut.
    pub fn renew(&self, addresses: &[IpAddr]) -> Done {
        let addresses: Arc<[IpAddr]> = addresses.into();
        self.order(|done| Order::Renew(Arc::clone(&addresses), done))
    }

    /// Whether those who begin to connect to these very addresses are let in, or ignored without a word, so that they
    /// try again a second later.
    pub fn let_in(&self, addresses: &[IpAddr], in_or_not: bool) {
        let state = self.lock();
        let bound = state.bound.iter().filter(|(key, _)| !key.datagram);
        for (_, bound) in bound.filter(|(key, _)| addresses.contains(&key.address.ip())) {
            for socket in distinct(&bound.sockets) {
                if in_or_not {
                    net::let_in(socket);
                } else {
                    net::keep_out(socket);
                }
            }
        }
    }

    /// Accepts nothing more. UDP flows keep relaying answers until they are idle.
    pub fn stop_accepting(&self, stop: Stop) -> Done {
        let mut state = self.lock();
        state.bound.clear();
        state.inherited.clear();
        let fate = match stop {
            Stop::Final => Fate::Closed,
            Stop::HandedOver => Fate::HandedOver,
        };
        self.order(|done| Order::Stop(fate, done))
    }

    /// Lets what goes on finish for at most `limit`, then cuts it; done when nothing goes on any more. How much
    /// was cut is in [`crate::stats::WorkerStats::cut`].
    pub fn drain(&self, limit: Duration) -> Done {
        let until = clock::now() + limit;
        self.order(|done| Order::Drain(until, done))
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.lock().registry.stats();
        for worker in self.counters.iter() {
            worker.0.add_to(&mut stats.workers);
            stats
                .worker_connections
                .push(worker.0.connections_open.value());
        }
        stats.workers.log_lines_dropped += self.logs.handle().lost_lines();
        stats
    }

    /// Whom of a pool a request of this key would get now, and why, with the plan that this is by; none: there is no such
    /// pool. A worker's place in its turns is its own: algorithms that go by turns are asked for their first.
    #[must_use]
    pub fn explain(&self, pool: &Name, key: Option<u64>) -> Option<(Arc<PoolPlan>, Explanation)> {
        let part = self.lock().registry.pool_parts.get(pool).cloned()?;
        let pick = Pick {
            now: clock::now(),
            key,
            avoid: &[],
        };
        let balancer = Balancer::new(Arc::clone(&part.members), 0);
        Some((Arc::clone(&part.plan), balancer.explain(&pick)))
    }

    /// The way to the access logs: to have files opened anew after they were rotated.
    #[must_use]
    pub fn logs(&self) -> LogHandle {
        self.logs.handle()
    }

    /// Ends the workers, cutting what still goes on, and writes what was logged.
    pub fn stop(self) {
        for worker in self.workers {
            drop(worker.orders);
            if worker.thread.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        self.logs.stop();
    }

    fn order(&self, order: impl Fn(oneshot::Sender<()>) -> Order) -> Done {
        let ask = |worker: &WorkerHandle| {
            let (done, answer) = oneshot::channel();
            // A worker that is gone drops the sender, which is an answer too.
            let _ = worker.orders.send(order(done));
            answer
        };
        Done(self.workers.iter().map(ask).collect())
    }

    fn lock(&self) -> impl std::ops::DerefMut<Target = State> + '_ {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn update(&self, plan: &Plan) -> Update {
        let listening = self.bound.iter().map(|(key, bound)| {
            let listening = Listening {
                service: bound.service.clone(),
                sockets: bound.sockets.clone(),
            };
            (*key, listening)
        });
        Update {
            generation: self.generation,
            services: self.registry.service_parts.clone(),
            pools: self.registry.pool_parts.clone(),
            listening: listening.collect(),
            max_connections: plan.proxy.max_connections,
            drain: plan.proxy.drain,
        }
    }

    fn retire(&mut self, before: &BTreeMap<SocketKey, Bound>) {
        self.retired.note(before, &self.bound);
    }

    /// What was inherited is in use by now, or nobody wants it.
    fn drop_inherited(&mut self) {
        for key in sockets::unused(&self.inherited, &self.bound) {
            tracing::info!(address = %key.address, "an inherited listener is no longer configured");
        }
        self.inherited.clear();
    }
}

/// The sockets of one address, each once: several workers may share one.
fn distinct(sockets: &PerWorkerSockets) -> Vec<&Arc<OwnedFd>> {
    let mut seen: Vec<&Arc<OwnedFd>> = Vec::new();
    for socket in sockets.iter().flatten() {
        if !seen.iter().any(|known| Arc::ptr_eq(known, socket)) {
            seen.push(socket);
        }
    }
    seen
}

/// The cores that this process may run on.
fn cores() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU)
            .filter(|&core| set.is_set(core))
            .collect(),
        Err(_) => vec![0],
    }
}
