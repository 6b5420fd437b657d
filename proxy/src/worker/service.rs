//! A service as one worker sees it, and the connections it has let in.

use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc};

use control::{
    name::Name,
    spec::{ServiceKind, ServiceSpec},
    time::Instant,
};

use tokio::net::TcpStream;

use super::{Worker, pool::Pool};
use crate::{
    access_log::LogBuffer,
    http,
    plane::ServicePart,
    stats::{Fault, ServiceCounters},
};

/// A service under one configuration. It never changes: another configuration makes another of these, and
/// connections keep the one they began with.
pub(crate) struct Service {
    pub(crate) part: Arc<ServicePart>,
    /// The pools that it leads to, in the order of [`ServiceSpec::pools`].
    pub(crate) pools: Vec<Rc<Pool>>,
    /// Where its lines go.
    pub(crate) log: Option<Rc<LogBuffer>>,
    /// What HTTP keeps of it here.
    pub(crate) site: http::SiteCell,
    worker: usize,
    state: Cell<State>,
    /// Connections and flows of it that are open here.
    open: Cell<u32>,
}

/// What became of a service since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is the present configuration.
    Present,
    /// Another configuration of it is present: what goes on, goes on; idle connections may end.
    Replaced,
    /// There is no such service any more: what goes on is cut at this time.
    Gone(Instant),
}

impl Service {
    pub(super) fn new(
        part: &Arc<ServicePart>,
        pools: Vec<Rc<Pool>>,
        log: Option<Rc<LogBuffer>>,
        worker: usize,
    ) -> Rc<Self> {
        Rc::new(Self {
            part: Arc::clone(part),
            pools,
            log,
            site: http::SiteCell::new(),
            worker,
            state: Cell::new(State::Present),
            open: Cell::new(0),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Name {
        &self.part.shared.name
    }

    /// Its configuration.
    pub(crate) fn spec(&self) -> &Arc<ServiceSpec> {
        &self.part.plan.spec
    }

    /// What it does with what comes in.
    pub(crate) fn kind(&self) -> &ServiceKind {
        &self.part.plan.spec.kind
    }

    /// This worker's counters of it.
    pub(crate) fn counters(&self) -> &ServiceCounters {
        &self.part.shared.counters[self.worker].0
    }

    /// Counts an error.
    pub(crate) fn count(&self, fault: Fault) {
        self.counters().errors[fault.index()].one();
    }

    /// What became of it since.
    pub(crate) fn state(&self) -> State {
        self.state.get()
    }

    /// How many connections and flows of it are open here.
    pub(super) fn open(&self) -> u32 {
        self.open.get()
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.set(state);
    }

    /// The most client connections (UDP: flows) at a time over all workers.
    fn limit(&self) -> Option<u32> {
        match self.kind() {
            ServiceKind::Udp(udp) => Some(udp.max_flows),
            _ => self.spec().max_connections,
        }
    }

    /// Takes room for one more connection, if there is; [`Entry::new`] or [`Self::release`] must follow.
    pub(crate) fn try_reserve(&self) -> bool {
        self.limit()
            .is_none_or(|limit| self.part.shared.try_enter(limit))
    }

    /// Takes room for one more connection even if there is none.
    pub(crate) fn reserve_regardless(&self) {
        if self.limit().is_some() {
            self.part.shared.enter();
        }
    }

    /// Gives the room for a connection back.
    pub(super) fn release(&self) {
        if self.limit().is_some() {
            self.part.shared.leave();
        }
    }
}

/// The place of a connection or flow in the limits and counts of its worker and service.
pub(crate) struct Entry {
    pub(crate) worker: Rc<Worker>,
    pub(crate) service: Rc<Service>,
}

impl Entry {
    /// Counts one in, for which [`Service::try_reserve`] took room.
    pub(crate) fn new(worker: &Rc<Worker>, service: &Rc<Service>) -> Self {
        worker.enter();
        service.open.set(service.open.get() + 1);
        service.counters().connections_open.one();
        service.counters().connections.one();
        Self {
            worker: Rc::clone(worker),
            service: Rc::clone(service),
        }
    }

    /// Whether no new work is to begin: the process is leaving, or the service has another configuration or is gone.
    pub(crate) fn is_closing(&self) -> bool {
        self.worker.is_leaving() || self.service.state() != State::Present
    }

    /// When it is cut, whatever it does. Workers wake all tasks when this changes.
    pub(crate) fn cut_at(&self) -> Option<Instant> {
        let gone = match self.service.state() {
            State::Gone(at) => Some(at),
            State::Present | State::Replaced => None,
        };
        earlier(gone, self.worker.cut_at())
    }
}

/// The earlier of two moments.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.service.counters().connections_open.less();
        self.service.release();
        self.service.open.set(self.service.open.get() - 1);
        self.worker.leave();
    }
}

/// Who is at both ends of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// The client: the peer, or whom a trusted PROXY header names.
    pub(crate) client: SocketAddr,
    /// What the client connected to: our address, or what that header names. None if that has to be asked of the
    /// socket, since the listener's address is a wildcard.
    pub(crate) local: Option<SocketAddr>,
}

impl Ends {
    /// What the client connected to.
    pub(crate) fn local(&self, stream: &TcpStream) -> Option<SocketAddr> {
        self.local.or_else(|| stream.local_addr().ok())
    }
}
