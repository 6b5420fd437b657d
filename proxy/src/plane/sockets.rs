//! The listening sockets: made, kept across plans, taken over from another process and handed on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{Arc, Weak},
};

use control::{
    name::Name,
    spec::{Listen, ServiceKind, Spec},
};
use socket2::{Domain, Protocol, Socket, Type};

use super::update::PerWorkerSockets;

/// Connections that may wait in a listener's queue; the kernel takes `net.core.somaxconn` if that is less.
const BACKLOG: i32 = 65_535;

/// What a socket is bound to. Services of TCP, HTTP and HTTPS on one address have the same sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SocketKey {
    pub(crate) datagram: bool,
    pub(crate) address: SocketAddr,
}

impl SocketKey {
    /// With the port that the kernel chose, where it was left to it.
    fn really(self, sockets: &PerWorkerSockets) -> Self {
        let first = sockets.iter().flatten().next();
        let address = first.and_then(|socket| crate::net::local_address(socket).ok());
        Self {
            address: address.unwrap_or(self.address),
            ..self
        }
    }
}

impl SocketKey {
    /// Whether the two differ only in that one is a wildcard.
    fn meets(self, other: Self) -> bool {
        let (one, two) = (self.address, other.address);
        self.datagram == other.datagram
            && one.port() == two.port()
            && one.is_ipv4() == two.is_ipv4()
            && (one.ip().is_unspecified() || two.ip().is_unspecified())
    }
}

impl From<Listen> for SocketKey {
    fn from(listen: Listen) -> Self {
        Self {
            datagram: listen.scheme.is_datagram(),
            address: listen.address,
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The service that asks for it.
    pub service: Name,
    /// The address.
    pub listen: Listen,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            listen,
            error,
        } = self;
        write!(f, "service {service} cannot listen on {listen}: {error}")
    }
}

/// All addresses that cannot be listened on; nothing has changed.
#[derive(Debug)]
pub struct BindErrors(pub Vec<BindError>);

impl fmt::Display for BindErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BindErrors {}

/// The addresses of a configuration, all of them bound. Dropped unused, it closes those that are new.
pub struct Prepared {
    pub(super) bound: BTreeMap<SocketKey, Bound>,
}

/// An address that is bound.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) listen: Listen,
    pub(super) service: Name,
    pub(super) sockets: PerWorkerSockets,
}

/// The sockets that are there already, and how many workers share one address.
pub(super) struct Stock<'a> {
    pub(super) present: &'a BTreeMap<SocketKey, Bound>,
    pub(super) inherited: &'a BTreeMap<SocketKey, Vec<Arc<OwnedFd>>>,
    pub(super) retired: &'a Retired,
    pub(super) workers: usize,
}

/// Sockets that are no longer listened on but may still be open: workers accept what is queued, and flows of UDP
/// answer through them. An address that comes back while they are open has to take them, since it is theirs.
#[derive(Default)]
pub(super) struct Retired(BTreeMap<SocketKey, Vec<Weak<OwnedFd>>>);

impl Retired {
    /// Notes what was `bound` and is not among what is `kept`.
    pub(super) fn note(
        &mut self,
        bound: &BTreeMap<SocketKey, Bound>,
        kept: &BTreeMap<SocketKey, Bound>,
    ) {
        self.0
            .retain(|_, sockets| sockets.iter().any(|s| s.strong_count() > 0));
        for (key, one) in bound.iter().filter(|(key, _)| !kept.contains_key(key)) {
            let sockets: Vec<_> = one.sockets.iter().flatten().map(Arc::downgrade).collect();
            self.0.insert(key.really(&one.sockets), sockets);
        }
    }

    fn still_open(&self, key: SocketKey) -> Vec<Arc<OwnedFd>> {
        let sockets = self.0.get(&key).into_iter().flatten();
        sockets.filter_map(Weak::upgrade).collect()
    }
}

/// Binds what a configuration listens on, as far as it is not bound already.
pub(super) fn prepare(spec: &Spec, stock: &Stock<'_>) -> Result<Prepared, BindErrors> {
    let mut bound = BTreeMap::new();
    let mut errors = Vec::new();
    for service in &spec.services {
        if matches!(service.kind, ServiceKind::Kernel(_)) {
            continue;
        }
        for &listen in &service.listen {
            let service = service.name.clone();
            match stock.sockets(listen.into(), spec.is_vip(listen.address.ip())) {
                Ok(sockets) => {
                    let one = Bound {
                        listen,
                        service,
                        sockets,
                    };
                    bound.insert(SocketKey::from(listen), one);
                }
                Err(error) => errors.push(BindError {
                    service,
                    listen,
                    error,
                }),
            }
        }
    }
    if errors.is_empty() {
        Ok(Prepared { bound })
    } else {
        Err(BindErrors(errors))
    }
}

impl Stock<'_> {
    fn sockets(&self, key: SocketKey, floating: bool) -> io::Result<PerWorkerSockets> {
        if let Some(present) = self.present.get(&key) {
            return Ok(present.sockets.clone());
        }
        if let Some(inherited) = self.inherited.get(&key) {
            return self.adopt(key, inherited, floating);
        }
        match self.retired.still_open(key).as_slice() {
            [] => bind_group(key, self.workers, self.meets_own(key), floating),
            open => self.adopt(key, open, floating),
        }
    }

    /// Whether an address that we listen on covers this one, or the other way round: the new configuration may
    /// have the one in place of the other, but both are bound for a while.
    fn meets_own(&self, key: SocketKey) -> bool {
        let own = self.present.keys().chain(self.inherited.keys());
        own.chain(self.retired.0.keys()).any(|own| own.meets(key))
    }

    /// All sockets of the process before are served on, whatever their number: each has its own queue of
    /// connections, and what no worker serves would be lost.
    fn adopt(
        &self,
        key: SocketKey,
        inherited: &[Arc<OwnedFd>],
        floating: bool,
    ) -> io::Result<PerWorkerSockets> {
        let mut sockets: PerWorkerSockets = vec![Vec::new(); self.workers];
        for (i, socket) in inherited.iter().enumerate() {
            sockets[i % self.workers].push(Arc::clone(socket));
        }
        let Some(first) = inherited.first() else {
            return bind_group(key, self.workers, false, floating);
        };
        let address = crate::net::local_address(first)?;
        for own in sockets.iter_mut().filter(|own| own.is_empty()) {
            // Binding may no longer be allowed; then this worker shares a socket with another.
            let more = bind(key.datagram, address, true, floating).map(Arc::new);
            own.push(more.unwrap_or_else(|_| Arc::clone(first)));
        }
        Ok(sockets)
    }
}

/// Sockets for each worker. `shared`: part of the address is ours already. `floating`: it is a vip, which may be another
/// node's now.
fn bind_group(
    key: SocketKey,
    workers: usize,
    shared: bool,
    floating: bool,
) -> io::Result<PerWorkerSockets> {
    let mut address = key.address;
    if address.port() != 0 && !shared {
        // Fails if anybody listens there, also another process of ours, which SO_REUSEPORT would silently
        // share the address with.
        drop(bind(key.datagram, address, false, floating)?);
    }
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = bind(key.datagram, address, true, floating)?;
        address = crate::net::local_address(&socket)?;
        sockets.push(vec![Arc::new(socket)]);
    }
    Ok(sockets)
}

/// A socket bound to `address`: one of a group, which for TCP listens, or one that only tries the address.
fn bind(
    datagram: bool,
    address: SocketAddr,
    in_group: bool,
    floating: bool,
) -> io::Result<OwnedFd> {
    let (kind, protocol) = match datagram {
        true => (Type::DGRAM, Protocol::UDP),
        false => (Type::STREAM, Protocol::TCP),
    };
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, kind.nonblocking().cloexec(), Some(protocol))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    if !datagram {
        // Connections of a process before that linger do not keep the address.
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it.
        socket.set_tcp_nodelay(true)?;
    }
    if in_group {
        socket.set_reuse_port(true)?;
    }
    if floating {
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
    }
    socket.bind(&address.into())?;
    if datagram {
        crate::udp::configure(&socket, address)?;
    } else if in_group {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// Which of the inherited sockets no configuration asked for.
pub(super) fn unused(
    inherited: &BTreeMap<SocketKey, Vec<Arc<OwnedFd>>>,
    bound: &BTreeMap<SocketKey, Bound>,
) -> BTreeSet<SocketKey> {
    inherited
        .keys()
        .filter(|key| !bound.contains_key(key))
        .copied()
        .collect()
}
