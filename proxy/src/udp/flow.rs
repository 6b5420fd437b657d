//! A flow: a client, its backend, and the socket between us and that backend.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use control::{spec::service::UdpSpec, time::Instant};
use tokio::io::unix::AsyncFd;

use super::{
    batch::Batch,
    listen::Clients,
    table::{FlowKey, Table},
};
use crate::{
    access_log::connection::{Ending, Line},
    net,
    stats::{Fault, Reason, Side},
    tcp::Open,
    worker::{Entry, Lease, Timer, clock, service::earlier},
};

/// A flow.
pub(super) struct Flow {
    pub(super) key: FlowKey,
    pub(super) entry: Entry,
    pub(super) lease: Lease,
    upstream: AsyncFd<Arc<OwnedFd>>,
    /// Through which the answers go.
    clients: Rc<Clients>,
    timer: Timer,
    began: Instant,
    /// When either side last sent something.
    spoke: Cell<Instant>,
    /// Why it is to end, said by someone else than its own task.
    told_to_end: Cell<Option<Fault>>,
    counts: Counts,
    _open: Open,
}

#[derive(Default)]
struct Counts {
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    questions: Cell<u64>,
    answers: Cell<u64>,
}

impl Flow {
    /// Begins a flow to the backend of `lease`.
    ///
    /// # Errors
    /// No socket could be made.
    pub(super) fn begin(
        key: FlowKey,
        entry: Entry,
        lease: Lease,
        clients: &Rc<Clients>,
    ) -> io::Result<Rc<Self>> {
        let source = lease.pool().spec().connect.source;
        let upstream = net::connect_datagrams(lease.backend().address(), source)?;
        let now = clock::coarse();
        Ok(Rc::new(Self {
            key,
            timer: entry.worker.wheel.timer(),
            upstream: net::readable(Arc::new(upstream))?,
            clients: Rc::clone(clients),
            began: now,
            spoke: Cell::new(now),
            told_to_end: Cell::new(None),
            counts: Counts::default(),
            _open: Open::new(lease.backend()),
            entry,
            lease,
        }))
    }

    /// Sends datagrams of the client on to the backend.
    ///
    /// # Errors
    /// The backend refuses datagrams; the first `Err.0` of these had been sent.
    pub(super) fn forward(&self, batch: &mut Batch, which: Range<usize>) -> Result<(), usize> {
        self.spoke.set(clock::coarse());
        let mut next = which.start;
        while next < which.end {
            let socket = self.upstream.get_ref().as_fd();
            match batch.send(socket, next..which.end, None, None) {
                Ok(sent) => {
                    let bytes = (next..next + sent)
                        .filter_map(|i| batch.datagram(i))
                        .map(<[u8]>::len);
                    self.count_in(sent as u64, bytes.sum::<usize>() as u64);
                    next += sent;
                }
                Err(error) if is_refusal(&error) => return Err(next - which.start),
                // Too long for the path, or no room: as on any network, it is lost.
                Err(_) => {
                    self.entry.service.counters().datagrams_dropped.one();
                    next += 1;
                }
            }
        }
        Ok(())
    }

    /// Has it end, for this reason.
    pub(super) fn end(&self, fault: Fault) {
        self.told_to_end.set(Some(fault));
        self.timer.wake();
    }

    /// Carries answers back until the flow ends.
    pub(super) async fn run(self: Rc<Self>, spec: Rc<UdpSpec>, table: Rc<RefCell<Table<Self>>>) {
        let outcome = poll_fn(|cx| self.poll(cx, &spec)).await;
        table.borrow_mut().remove(&self.key, &self);
        self.finish(outcome);
    }

    fn poll(&self, cx: &mut Context<'_>, spec: &UdpSpec) -> Poll<Result<(), Fault>> {
        if let Poll::Ready(outcome) = self.poll_answers(cx, spec) {
            return Poll::Ready(outcome);
        }
        if let Some(fault) = self.told_to_end.get() {
            return Poll::Ready(Err(fault));
        }
        let idle_until = self.spoke.get() + spec.idle_timeout;
        let cut_at = earlier(self.entry.cut_at(), self.lease.backend().cut_at());
        let until = cut_at.map_or(idle_until, |cut_at| cut_at.min(idle_until));
        self.timer.arm_at(until);
        ready!(self.timer.poll_expired(cx));
        if cut_at == Some(until) {
            self.entry.worker.count_cut();
            return Poll::Ready(Err(Fault::new(Side::Proxy, Reason::Cut)));
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when answers say that the flow ends.
    fn poll_answers(&self, cx: &mut Context<'_>, spec: &UdpSpec) -> Poll<Result<(), Fault>> {
        /// Batches in a row before other tasks get their turn.
        const TURN: usize = 8;
        for _ in 0..TURN {
            let Ok(mut ready) = ready!(self.upstream.poll_read_ready(cx)) else {
                return Poll::Ready(Err(Fault::new(Side::Proxy, Reason::Resource)));
            };
            let batch = &mut *self.entry.worker.datagrams.borrow_mut();
            match ready.try_io(|socket| batch.receive(socket.get_ref().as_fd())) {
                Err(_not_ready) => continue,
                Ok(Ok(count)) => self.answer(batch, count),
                Ok(Err(error)) if is_refusal(&error) => {
                    return Poll::Ready(Err(self.refused()));
                }
                Ok(Err(_)) => return Poll::Ready(Err(Fault::new(Side::Backend, Reason::Closed))),
            }
            if let Some(responses) = spec.responses
                && self.counts.answers.get() >= self.counts.questions.get() * u64::from(responses)
            {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends answers on to the client.
    fn answer(&self, batch: &mut Batch, count: usize) {
        if self.counts.answers.get() == 0 {
            let took = clock::coarse().saturating_since(self.began);
            self.lease.passed(&self.entry.worker, took);
        }
        self.spoke.set(clock::coarse());
        let bytes: usize = (0..count)
            .filter_map(|i| batch.datagram(i))
            .map(<[u8]>::len)
            .sum();
        self.count_out(count as u64, bytes as u64);
        let mut next = 0;
        while next < count {
            let (client, local) = self.key;
            match self.clients.send(batch, next..count, client, local) {
                Ok(sent) => next += sent,
                Err(_) => {
                    self.entry.service.counters().datagrams_dropped.one();
                    next += 1;
                }
            }
        }
    }

    /// The backend refuses datagrams (ICMP port unreachable): that is told of it.
    pub(super) fn refused(&self) -> Fault {
        let fault = Fault::new(Side::Backend, Reason::Connect);
        if self.told_to_end.replace(Some(fault)).is_none() {
            let counts_as = self.lease.pool().spec().connect.timeout;
            self.lease.failed(&self.entry.worker, counts_as);
            self.lease.backend().counters().errors[fault.index()].one();
        }
        fault
    }

    fn count_in(&self, datagrams: u64, bytes: u64) {
        let counts = &self.counts;
        counts.questions.set(counts.questions.get() + datagrams);
        counts.bytes_in.set(counts.bytes_in.get() + bytes);
        self.entry.service.counters().bytes_in.add(bytes);
        self.lease.backend().counters().bytes_out.add(bytes);
    }

    fn count_out(&self, datagrams: u64, bytes: u64) {
        let counts = &self.counts;
        counts.answers.set(counts.answers.get() + datagrams);
        counts.bytes_out.set(counts.bytes_out.get() + bytes);
        self.entry.service.counters().bytes_out.add(bytes);
        self.lease.backend().counters().bytes_in.add(bytes);
    }

    fn finish(&self, outcome: Result<(), Fault>) {
        let service = &self.entry.service;
        let lasted: Duration = clock::coarse().saturating_since(self.began);
        service.counters().duration.observe(lasted);
        if let Err(fault) = outcome {
            service.count(fault);
        }
        let Some(log) = &service.log else { return };
        let mut line = Line::new(self.key.0);
        line.backend = Some(self.lease.backend().address());
        line.bytes_in = self.counts.bytes_in.get();
        line.bytes_out = self.counts.bytes_out.get();
        let ending = Ending { outcome, lasted };
        log.line(clock::wall_millis(), |out, stamp| {
            line.write(out, stamp, log.is_json(), service.name(), &ending);
        });
    }
}

/// Whether an error says that nobody listens at the backend.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
