//! Clients' datagrams: finding their flow or beginning one.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use control::{
    balance::BackendId,
    plan::Duty,
    spec::{ServiceKind, service::UdpSpec},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::spawn_local,
};

use super::{
    batch::Batch,
    flow::Flow,
    table::{FlowKey, Table},
};
use crate::{
    net,
    stats::{Fault, Reason, Side},
    worker::{
        Entry, Lease, Service, Worker,
        listener::{Door, Fate},
    },
};

/// Batches in a row before other tasks get their turn.
const TURN: usize = 8;

/// How long receiving rests after an error.
const REST: Duration = Duration::from_millis(100);

/// What came of receiving.
enum Taken {
    /// There is no more.
    All,
    /// There may be more.
    Some,
    /// It failed.
    Failed,
}

/// The socket that clients speak to.
pub(super) struct Clients {
    socket: Arc<OwnedFd>,
}

impl Clients {
    /// Sends datagrams to a client, from the address that it spoke to.
    pub(super) fn send(
        &self,
        batch: &mut Batch,
        which: Range<usize>,
        client: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<usize> {
        batch.send(self.socket.as_fd(), which, Some(client), from)
    }
}

/// What serves one listening socket.
struct Listener {
    worker: Rc<Worker>,
    door: Rc<Door>,
    clients: Rc<Clients>,
    flows: Rc<RefCell<Table<Flow>>>,
}

/// Serves a listening socket until its door closes. Flows go on after that.
pub(crate) async fn serve(worker: Rc<Worker>, door: Rc<Door>, socket: Arc<OwnedFd>) {
    let readable = match net::readable(Arc::clone(&socket)) {
        Ok(readable) => readable,
        Err(error) => return tracing::error!(%error, "a listener cannot be waited for"),
    };
    let listener = Listener {
        worker,
        door,
        clients: Rc::new(Clients { socket }),
        flows: Rc::default(),
    };
    loop {
        let changed = listener.door.changed();
        match listener.door.fate() {
            Fate::Open => {}
            Fate::Closed => {
                while matches!(listener.take_some(&readable), Taken::Some) {}
                return;
            }
            Fate::HandedOver => return,
        }
        let taken = listener.take_some(&readable);
        tokio::select! {
            biased;
            () = changed => {}
            () = listener.pause(&readable, taken) => {}
        }
    }
}

impl Listener {
    async fn pause(&self, socket: &AsyncFd<Arc<OwnedFd>>, taken: Taken) {
        match taken {
            Taken::All => drop(socket.readable().await),
            Taken::Some => tokio::task::yield_now().await,
            Taken::Failed => {
                let timer = self.worker.wheel.timer();
                timer.arm(REST);
                timer.expired().await;
            }
        }
    }

    /// Takes what has come, a few batches at most.
    fn take_some(&self, socket: &AsyncFd<Arc<OwnedFd>>) -> Taken {
        let service = self.door.service();
        let ServiceKind::Udp(spec) = service.kind() else {
            return Taken::All;
        };
        let spec = Rc::new(spec.clone());
        let batch = &mut *self.worker.datagrams.borrow_mut();
        for _ in 0..TURN {
            let received =
                socket.try_io(Interest::READABLE, |socket| batch.receive(socket.as_fd()));
            match received {
                Ok(count) => self.take(batch, count, &service, &spec),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Taken::All,
                // Out of memory, say. Trying again at once would keep the worker from everything else.
                Err(error) => {
                    self.worker.note_exhausted(&service, &error);
                    return Taken::Failed;
                }
            }
        }
        Taken::Some
    }

    /// Hands a batch to its flows, consecutive datagrams of one flow together.
    fn take(&self, batch: &mut Batch, count: usize, service: &Rc<Service>, spec: &Rc<UdpSpec>) {
        let mut start = 0;
        while start < count {
            let key = key_of(batch, start);
            let mut end = start + 1;
            while end < count && key_of(batch, end) == key {
                end += 1;
            }
            match key {
                Some(key) => self.hand_on(batch, start..end, key, service, spec),
                None => service
                    .counters()
                    .datagrams_dropped
                    .add((end - start) as u64),
            }
            start = end;
        }
    }

    fn hand_on(
        &self,
        batch: &mut Batch,
        mut which: Range<usize>,
        key: FlowKey,
        service: &Rc<Service>,
        spec: &Rc<UdpSpec>,
    ) {
        // As often as there may be backends that refuse, in reason.
        const TRIES: usize = 3;
        let mut avoid: Vec<BackendId> = Vec::new();
        for _ in 0..TRIES {
            let known = self.flows.borrow_mut().touch(&key);
            // What goes on on a backend that is down may be given up.
            let known = known.filter(|flow| flow.lease.backend().duty() != Duty::Avoid);
            let Some(flow) = known.or_else(|| self.begin(key, service, spec, &avoid)) else {
                break;
            };
            match flow.forward(batch, which.clone()) {
                Ok(()) => return,
                Err(sent) => {
                    which.start += sent;
                    avoid.push(flow.lease.id());
                    let fault = flow.refused();
                    self.flows.borrow_mut().remove(&key, &flow);
                    flow.end(fault);
                }
            }
        }
        service.counters().datagrams_dropped.add(which.len() as u64);
    }

    /// Begins a flow, if there is a backend and room for it.
    fn begin(
        &self,
        key: FlowKey,
        service: &Rc<Service>,
        spec: &Rc<UdpSpec>,
        avoid: &[BackendId],
    ) -> Option<Rc<Flow>> {
        if self.door.fate() == Fate::HandedOver {
            return None;
        }
        let lease = match self.lease(key.0.ip(), service, avoid) {
            Ok(lease) => lease,
            Err(fault) => {
                service.count(fault);
                return None;
            }
        };
        self.make_room(service)?;
        let entry = Entry::new(&self.worker, service);
        match Flow::begin(key, entry, lease, &self.clients) {
            Ok(flow) => {
                self.replace(key, &flow);
                spawn_local(Rc::clone(&flow).run(Rc::clone(spec), Rc::clone(&self.flows)));
                Some(flow)
            }
            Err(error) => {
                service.count(Fault::new(Side::Proxy, Reason::Resource));
                self.worker.note_exhausted(service, &error);
                None
            }
        }
    }

    fn lease(
        &self,
        client: IpAddr,
        service: &Service,
        avoid: &[BackendId],
    ) -> Result<Lease, Fault> {
        let none = Fault::new(Side::Proxy, Reason::NoBackend);
        let pool = service.pools.first().ok_or(none)?;
        pool.try_lease(pool.source_key(client), avoid)
            .map_err(|error| match error {
                control::balance::NoBackend::Full => Fault::new(Side::Proxy, Reason::QueueFull),
                _ => none,
            })
    }

    /// Takes room for a flow, from the one whose client has been silent for the longest time if need be.
    fn make_room(&self, service: &Rc<Service>) -> Option<()> {
        if !self.worker.is_full() && service.try_reserve() {
            return Some(());
        }
        let oldest = self.flows.borrow_mut().take_oldest();
        let Some(oldest) = oldest else {
            service.count(Fault::new(Side::Proxy, Reason::Resource));
            return None;
        };
        oldest.end(Fault::new(Side::Proxy, Reason::Resource));
        // The other one gives its room back when its task runs, within this turn of the event loop.
        service.reserve_regardless();
        Some(())
    }

    /// Puts a flow into the table; one that it replaces ends.
    fn replace(&self, key: FlowKey, flow: &Rc<Flow>) {
        let before = self.flows.borrow_mut().insert(key, Rc::clone(flow));
        if let Some(before) = before {
            before.end(Fault::new(Side::Backend, Reason::Closed));
        }
    }
}

fn key_of(batch: &Batch, index: usize) -> Option<FlowKey> {
    batch.datagram(index)?;
    Some((batch.sender(index)?, batch.destination(index)))
}
