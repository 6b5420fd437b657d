//! Making a connection to a backend: choosing one, and another if it fails.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use control::{balance::BackendId, spec::pool::ConnectSpec};
use rustix::io::Errno;
use tokio::{io::Interest, net::TcpStream};

use crate::{
    net,
    stats::{Fault, Reason, Side},
    worker::{Backend, Denied, Entry, Lease, Pool, Timer, Worker, clock},
};

/// A connection to a backend, and its place there.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) lease: Lease,
    /// How long the connection took to be made.
    pub(crate) took: Duration,
    /// Counts it as open.
    _open: Open,
}

/// A connection to a backend, counted for as long as this lives.
pub(crate) struct Open(Rc<Backend>);

impl Open {
    /// Counts one in.
    pub(crate) fn new(backend: &Rc<Backend>) -> Self {
        backend.counters().connections.one();
        backend.counters().connections_open.one();
        Self(Rc::clone(backend))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters().connections_open.less();
    }
}

/// What kind of connection is wanted.
pub(crate) struct Wish {
    /// What the backend is chosen by, if by a key.
    pub(crate) key: Option<u64>,
    /// How many further backends are tried.
    pub(crate) retries: u16,
    /// There is data to be sent at once.
    pub(crate) data_follows: bool,
}

/// Connects to a backend of `pool`, trying others where it fails.
///
/// # Errors
/// The last failure, or why there is no backend; counted on the backend, not on the service.
pub(crate) async fn connect(
    entry: &Entry,
    timer: &Timer,
    pool: &Rc<Pool>,
    wish: &Wish,
) -> Result<Connected, Fault> {
    let worker = &*entry.worker;
    let spec = pool.spec();
    let mut tried: Vec<BackendId> = Vec::new();
    let mut last = None;
    loop {
        let lease = match (pool.lease(worker, wish.key, &tried).await, last) {
            (Ok(lease), _) => lease,
            (Err(Denied::Tried), Some(last)) => return Err(last),
            (Err(denied), _) => return Err(Fault::new(Side::Proxy, denied.reason())),
        };
        if last.is_some() {
            entry.service.counters().retries.one();
            lease.backend().counters().retries.one();
        }
        let fault = match attempt(worker, timer, lease, &spec.connect, wish.data_follows).await {
            Ok(connected) => return Ok(connected),
            Err((fault, id)) => {
                tried.push(id);
                fault
            }
        };
        if fault.side == Side::Proxy || tried.len() > usize::from(wish.retries) {
            return Err(fault);
        }
        last = Some(fault);
    }
}

/// Connects to the backend of `lease`, and tells what it says of it.
async fn attempt(
    worker: &Worker,
    timer: &Timer,
    lease: Lease,
    spec: &ConnectSpec,
    data_follows: bool,
) -> Result<Connected, (Fault, BackendId)> {
    let began = clock::now();
    let backend = lease.backend();
    timer.arm(spec.timeout);
    let dialled = timer
        .guard(establish(backend.address(), spec, data_follows))
        .await;
    timer.disarm();
    let took = clock::now().saturating_since(began);
    let fault = match dialled {
        Some(Ok(stream)) => {
            backend.counters().connect_time.observe(took);
            lease.passed(worker, took);
            let _open = Open::new(backend);
            return Ok(Connected {
                stream,
                lease,
                took,
                _open,
            });
        }
        Some(Err(error)) => fault_of(&error),
        None => Fault::new(Side::Backend, Reason::ConnectTimeout),
    };
    backend.counters().errors[fault.index()].one();
    if fault.side == Side::Backend {
        lease.failed(worker, spec.timeout);
    }
    Err((fault, lease.id()))
}

/// A connection to `address`, once it is made. The caller has data to send at once.
pub(crate) async fn dial(address: SocketAddr, spec: &ConnectSpec) -> io::Result<TcpStream> {
    let stream = establish(address, spec, true).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn establish(
    address: SocketAddr,
    spec: &ConnectSpec,
    data_follows: bool,
) -> io::Result<TcpStream> {
    let stream = net::dial(address, spec.source, data_follows)?;
    let ready = stream.ready(Interest::WRITABLE | Interest::ERROR).await?;
    // Asked only if something is wrong: it is a system call.
    if ready.is_error() || ready.is_write_closed() {
        let error = stream.take_error()?;
        return Err(error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
    }
    Ok(stream)
}

/// Whose fault it is that a connection could not be made.
pub(crate) fn fault_of(error: &io::Error) -> Fault {
    const OURS: [Errno; 7] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::ADDRINUSE,
        Errno::AGAIN,
    ];
    match Errno::from_io_error(error) {
        Some(errno) if OURS.contains(&errno) => Fault::new(Side::Proxy, Reason::Resource),
        Some(Errno::TIMEDOUT) => Fault::new(Side::Backend, Reason::ConnectTimeout),
        _ => Fault::new(Side::Backend, Reason::Connect),
    }
}
