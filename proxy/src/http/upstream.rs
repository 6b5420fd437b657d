//! Connections to backends: kept for the next request, or made.
//!
//! A worker keeps idle connections with the backend they lead to, the last one used on top: so few are kept warm
//! and the rest time out. The event loop has them registered, so one that the backend closed is known without a
//! system call, in nearly all cases; what slips through is tried again on a new connection.

use std::{cell::RefCell, io, os::fd::AsFd, rc::Rc};

use control::{
    plan::Duty,
    spec::{http::RetryOn, pool::ConnectSpec},
    time::Instant,
};
use rustix::net::RecvFlags;
use tokio::net::TcpStream;

use super::{client::Client, failure::Failure, forward::Trouble, io::Stream, turn::Turn};
use crate::{
    stats::{BackendCounters, Reason, Side},
    tcp,
    worker::{Backend, Lease, clock},
};

/// A connection to a backend, in use and counted.
pub(crate) struct Upstream {
    /// None only while being kept or dropped.
    stream: Option<TcpStream>,
    backend: Rc<Backend>,
}

impl Upstream {
    /// The connection itself.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        #[expect(
            clippy::expect_used,
            reason = "only `keep` and `drop` take it, and they take `self`"
        )]
        self.stream.as_mut().expect("in use")
    }

    /// Keeps the connection for another request, if its pool keeps any.
    pub(crate) fn keep(mut self, lease: &Lease) {
        let limit = lease
            .pool()
            .with_connect(|connect| match connect.proxy_protocol {
                // Its header named one client; the next request may be another's.
                Some(_) => 0,
                None => connect.keep_idle,
            });
        let backend = &self.backend;
        if backend.duty() != Duty::Take {
            return;
        }
        let mut kept = backend.idle.kept.borrow_mut();
        if kept.len() < limit as usize
            && let Some(stream) = self.stream.take()
        {
            kept.push(Kept {
                stream,
                since: clock::coarse(),
            });
            backend.counters().connections_idle.one();
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if self.stream.is_some() {
            self.backend.counters().connections_open.less();
        }
    }
}

/// The idle connections to one backend.
#[derive(Default)]
pub(crate) struct Idle {
    /// The last one used is the last.
    kept: RefCell<Vec<Kept>>,
}

struct Kept {
    stream: TcpStream,
    since: Instant,
}

impl Idle {
    /// Closes those that have been idle since before `before`.
    pub(crate) fn expire(&self, before: Instant, counters: &BackendCounters) {
        let mut kept = self.kept.borrow_mut();
        let expired = kept.partition_point(|k| k.since < before);
        for _ in kept.drain(..expired) {
            counters.connections_idle.less();
            counters.connections_open.less();
        }
    }

    /// Closes all.
    pub(crate) fn clear(&self, counters: &BackendCounters) {
        self.expire(Instant::from_nanos(u64::MAX), counters);
    }

    /// One that seems to be alive.
    fn take(&self, since: Instant, peek: bool, counters: &BackendCounters) -> Option<TcpStream> {
        let mut kept = self.kept.borrow_mut();
        while let Some(mut last) = kept.pop() {
            counters.connections_idle.less();
            if last.since >= since && last.stream.is_quiet() && !(peek && has_news(&last.stream)) {
                return Some(last.stream);
            }
            counters.connections_open.less();
        }
        None
    }
}

/// Asks the kernel, for the event loop may not have heard yet.
fn has_news(stream: &TcpStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let peeked = rustix::net::recv(stream.as_fd(), &mut [0u8; 1][..], flags);
    !matches!(peeked, Err(rustix::io::Errno::AGAIN))
}

/// A kept connection to the backend of `lease`. `sure`: a request that cannot be sent twice is to go over it, so
/// that it is worth a system call to know that the backend has not closed it.
pub(crate) fn kept(lease: &Lease, sure: bool) -> Option<Upstream> {
    let backend = lease.backend();
    let timeout = lease.pool().with_connect(|connect| connect.idle_timeout);
    let since = clock::coarse() - timeout;
    let stream = backend.idle.take(since, sure, backend.counters())?;
    Some(Upstream {
        stream: Some(stream),
        backend: Rc::clone(backend),
    })
}

/// A new connection to the backend of `lease`.
pub(crate) async fn connect<S: Stream>(
    client: &Client<S>,
    turn: &mut Turn,
    lease: &Lease,
) -> Result<Upstream, Trouble> {
    let backend = lease.backend();
    let spec: ConnectSpec = lease.pool().with_connect(Clone::clone);
    let began = clock::now();
    client.watch.begin(spec.timeout);
    let dialled = client
        .watch
        .guard(tcp::dial(backend.address(), &spec), Some(backend))
        .await;
    let took = clock::now().saturating_since(began);
    turn.note.connected = Some(took);
    let stream = match dialled {
        Err(late) => {
            return Err(Trouble {
                harmless: true,
                ..late.into_trouble(Failure::CONNECT_TIMEOUT, RetryOn::Connect)
            });
        }
        Ok(Err(error)) => return Err(refused(&error)),
        Ok(Ok(stream)) => stream,
    };
    backend.counters().connect_time.observe(took);
    backend.counters().connections.one();
    backend.counters().connections_open.one();
    Ok(Upstream {
        stream: Some(stream),
        backend: Rc::clone(backend),
    })
}

fn refused(error: &io::Error) -> Trouble {
    let fault = tcp::fault_of(error);
    let failure = match (fault.side, fault.reason) {
        (Side::Proxy, _) => Failure::RESOURCE,
        (_, Reason::ConnectTimeout) => Failure::CONNECT_TIMEOUT,
        _ => Failure::CONNECT,
    };
    let kind = (fault.side == Side::Backend).then_some(RetryOn::Connect);
    Trouble {
        failure,
        kind,
        harmless: true,
        silent: false,
    }
}
