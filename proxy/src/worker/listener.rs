//! Listeners: accepting connections, within limits, and handing them to their protocol.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use control::spec::{ServiceKind, ServiceSpec};
use rustix::{
    io::Errno,
    net::{SocketFlags, acceptfrom_with},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::TcpStream,
    sync::Notify,
    task::spawn_local,
};

use super::{Ends, Entry, Service, Worker};
use crate::{
    http, net,
    plane::{PerWorkerSockets, SocketKey},
    proxy_protocol, tcp, udp,
};

/// Connections accepted in a row before others get their turn.
const BATCH: usize = 64;
/// How long those may take whom the kernel has answered but who have not answered it, when a listener closes.
const HANDSHAKE: Duration = Duration::from_millis(250);
/// How long accepting rests when the system has run out of something.
const REST: Duration = Duration::from_millis(100);

/// An address that is listened on, and the service that it leads to now.
pub(crate) struct Door {
    service: RefCell<Rc<Service>>,
    fate: Cell<Fate>,
    changed: Notify,
    /// Its address, where that is no wildcard.
    local: Option<SocketAddr>,
}

/// What becomes of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is open.
    Open,
    /// It goes once what is queued has been accepted: closing a socket resets what is in its queue.
    Closed,
    /// Another process has the same socket and goes on with it.
    HandedOver,
}

impl Door {
    /// Listens on this worker's share of the sockets of an address.
    pub(super) fn open(
        worker: &Rc<Worker>,
        service: &Rc<Service>,
        sockets: &PerWorkerSockets,
        key: &SocketKey,
    ) -> Rc<Self> {
        let own = &sockets[worker.index];
        let address = own.first().and_then(|s| crate::net::local_address(s).ok());
        let door = Rc::new(Self {
            service: RefCell::new(Rc::clone(service)),
            fate: Cell::new(Fate::Open),
            changed: Notify::new(),
            local: address.filter(|a| !a.ip().is_unspecified()),
        });
        for socket in own {
            let (worker, door, socket) = (Rc::clone(worker), Rc::clone(&door), Arc::clone(socket));
            if key.datagram {
                spawn_local(udp::serve(worker, door, socket));
            } else {
                spawn_local(listen(worker, door, socket));
            }
        }
        door
    }

    /// From now on it leads to `service`.
    pub(super) fn lead_to(&self, service: &Rc<Service>) {
        if !Rc::ptr_eq(&self.service.borrow(), service) {
            *self.service.borrow_mut() = Rc::clone(service);
            self.changed.notify_waiters();
        }
    }

    /// Ends it.
    pub(super) fn close(&self, fate: Fate) {
        self.fate.set(fate);
        self.changed.notify_waiters();
    }

    /// The service that it leads to now.
    pub(crate) fn service(&self) -> Rc<Service> {
        Rc::clone(&self.service.borrow())
    }

    /// What becomes of it.
    pub(crate) fn fate(&self) -> Fate {
        self.fate.get()
    }

    /// Its address, where that is no wildcard.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Resolves when the service or the fate has changed since this was called.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.changed.notified()
    }
}

async fn listen(worker: Rc<Worker>, door: Rc<Door>, socket: Arc<OwnedFd>) {
    let socket = match net::readable(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "a listener cannot be waited for"),
    };
    // Set if the socket was closing and has been taken back.
    net::let_in(socket.get_ref());
    loop {
        let changed = door.changed();
        match door.fate() {
            Fate::Open => {}
            Fate::Closed => return close(&worker, &door, socket.into_inner()).await,
            Fate::HandedOver => return,
        }
        let outcome = accept_some(&worker, &door, &socket);
        tokio::select! {
            biased;
            () = changed => {}
            () = pause(&worker, &door, &socket, outcome) => {}
        }
    }
}

/// Why accepting has stopped for now.
enum Outcome {
    /// Nobody waits.
    Empty,
    /// Others shall have their turn.
    Turn,
    /// The worker or the service is at its limit.
    Full,
    /// The system has run out of something.
    Exhausted,
}

async fn pause(worker: &Rc<Worker>, door: &Door, socket: &AsyncFd<Arc<OwnedFd>>, why: Outcome) {
    match why {
        Outcome::Empty => drop(socket.readable().await),
        Outcome::Turn => tokio::task::yield_now().await,
        Outcome::Full => room(worker, &door.service()).await,
        Outcome::Exhausted => {
            let timer = worker.wheel.timer();
            timer.arm(REST);
            timer.expired().await;
        }
    }
}

/// Resolves when there may be room again.
async fn room(worker: &Worker, service: &Service) {
    let (here, anywhere) = (worker.room.notified(), service.part.shared.one_left());
    if !worker.is_full() && service.try_reserve() {
        return service.release();
    }
    tokio::select! {
        () = here => {}
        () = anywhere => {}
    }
}

fn accept_some(worker: &Rc<Worker>, door: &Rc<Door>, socket: &AsyncFd<Arc<OwnedFd>>) -> Outcome {
    let service = door.service();
    for _ in 0..BATCH {
        if worker.is_full() || !service.try_reserve() {
            return Outcome::Full;
        }
        let accepted = socket.try_io(Interest::READABLE, |socket| accept(socket));
        let error = match accepted {
            Ok((stream, peer)) => {
                start(worker, &service, door, stream, peer);
                continue;
            }
            Err(error) => error,
        };
        service.release();
        match error.kind() {
            io::ErrorKind::WouldBlock => return Outcome::Empty,
            _ if is_passing(&error) => {}
            _ => {
                worker.note_exhausted(&service, &error);
                return Outcome::Exhausted;
            }
        }
    }
    Outcome::Turn
}

/// Closes a listener without losing anybody: whoever has been answered by the kernel is accepted.
async fn close(worker: &Rc<Worker>, door: &Rc<Door>, socket: Arc<OwnedFd>) {
    net::keep_out(&socket);
    accept_rest(worker, door, &socket);
    let timer = worker.wheel.timer();
    timer.arm(HANDSHAKE);
    timer.expired().await;
    // Unless the address has come back meanwhile, and another door serves the socket.
    if Arc::strong_count(&socket) == 1 {
        accept_rest(worker, door, &socket);
    }
}

/// Accepts all that is queued, whatever the limits: there are no more than the queue holds.
fn accept_rest(worker: &Rc<Worker>, door: &Rc<Door>, socket: &OwnedFd) {
    let service = door.service();
    loop {
        match accept(socket) {
            Ok((stream, peer)) => {
                service.reserve_regardless();
                start(worker, &service, door, stream, peer);
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => return,
        }
    }
}

fn accept(socket: &OwnedFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (stream, peer) = acceptfrom_with(socket, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok((stream, peer.ok_or(Errno::CONNABORTED)?))
}

/// Errors of the connection that was to be accepted rather than of the listener (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    const PASSING: [Errno; 10] = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
    ];
    Errno::from_io_error(error).is_some_and(|errno| PASSING.contains(&errno))
}

/// Begins a connection that was accepted, and for which room was taken.
fn start(
    worker: &Rc<Worker>,
    service: &Rc<Service>,
    door: &Door,
    stream: OwnedFd,
    peer: SocketAddr,
) {
    let entry = Entry::new(worker, service);
    let ends = Ends {
        client: peer,
        local: door.local(),
    };
    if trusts(service.spec(), peer) {
        match crate::net::stream(stream) {
            Ok(stream) => drop(spawn_local(introduce(entry, stream, ends))),
            Err(error) => worker.note_exhausted(service, &error),
        }
    } else {
        begin(entry, stream, ends);
    }
}

/// Whether what this peer says in a PROXY header is believed.
fn trusts(spec: &ServiceSpec, peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    spec.accept_proxy_protocol
        .iter()
        .any(|net| net.contains(&ip))
}

/// Reads the PROXY header of a trusted peer, without which there is no connection.
async fn introduce(entry: Entry, stream: TcpStream, mut ends: Ends) {
    match proxy_protocol::receive(&entry.worker, &stream).await {
        Ok(Some((client, local))) => (ends.client, ends.local) = (client, Some(local)),
        Ok(None) => {}
        Err(fault) => return entry.service.count(fault),
    }
    match stream.into_std() {
        Ok(stream) => begin(entry, stream.into(), ends),
        Err(error) => entry.worker.note_exhausted(&entry.service, &error),
    }
}

/// Hands a connection to its protocol. TLS is to come between the two.
fn begin(entry: Entry, socket: OwnedFd, ends: Ends) {
    match entry.service.kind() {
        ServiceKind::Tcp(_) => match crate::net::stream(socket) {
            Ok(stream) => drop(spawn_local(tcp::serve(entry, stream, ends))),
            Err(error) => entry.worker.note_exhausted(&entry.service, &error),
        },
        ServiceKind::Http(_) => http::start(entry, socket, ends),
        // These have no listeners of connections.
        ServiceKind::Udp(_) | ServiceKind::Kernel(_) => {}
    }
}

impl Worker {
    /// Notes that the system has run out of something that a connection needs.
    pub(crate) fn note_exhausted(&self, service: &Service, error: &io::Error) {
        let counter = &self.counters().accept_errors;
        counter.one();
        // The 1st, 2nd, 4th … time: it tends to come in floods.
        if counter.value().is_power_of_two() {
            tracing::error!(service = %service.name(), %error, "connections cannot be accepted");
        }
    }
}
