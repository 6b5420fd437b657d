//! What the worker's thread and those who ask share: the loaded program, the tables' meaning, the network.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicBool},
};

use control::spec::L4Spec;
use xdp::abi::Tick;

use crate::{
    load::object::Loaded,
    net::Monitor,
    status::{Attachment, Fill, SweepStatus},
    tables::{Surroundings, Tables},
    worker::rates::Meter,
};

/// What the worker's thread and those who ask share.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) loaded: Arc<RwLock<Arc<Loaded>>>,
    pub(crate) tables: Mutex<Tables>,
    pub(crate) meter: Mutex<Meter>,
    pub(crate) condition: Mutex<Condition>,
    pub(crate) monitor: Monitor,
    /// Whether addresses are this machine's, as far as asked since that last changed.
    pub(crate) locals: Mutex<HashMap<IpAddr, bool>>,
    /// Flows are on their way from another node: what tables that are exchanged have of that says nothing.
    pub(crate) expects: AtomicBool,
}

/// How it is, apart from the tables.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) spec: Arc<L4Spec>,
    pub(crate) adopted: bool,
    pub(crate) interfaces: Vec<Attachment>,
    pub(crate) fills: Vec<Fill>,
    pub(crate) sweep: Option<SweepStatus>,
    pub(crate) trouble: Option<String>,
}

/// A lock whose holder panicked has ended the process; what it guards is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plane {
    /// The program and its maps.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Surroundings for Plane {
    fn is_local(&self, ip: IpAddr) -> bool {
        let known = lock(&self.locals).get(&ip).copied();
        known.unwrap_or_else(|| {
            let local = self.monitor.is_local(ip);
            lock(&self.locals).insert(ip, local);
            local
        })
    }

    fn source_towards(&self, ip: IpAddr) -> Option<IpAddr> {
        let any: IpAddr = match ip {
            IpAddr::V4(_) => [0; 4].into(),
            IpAddr::V6(_) => [0; 16].into(),
        };
        // Connecting sends nothing; it only chooses an address.
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(SocketAddr::new(ip, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    fn turns(&self, service: u32) -> u32 {
        self.loaded().maps.turns(service)
    }
}

/// The program's clock: coarse, monotonic.
pub(crate) fn now() -> Tick {
    Tick::of_nanos(nanos(rustix::time::ClockId::MonotonicCoarse))
}

/// The clock of plans.
pub(crate) fn instant() -> control::time::Instant {
    control::time::Instant::from_nanos(nanos(rustix::time::ClockId::Monotonic))
}

fn nanos(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The addresses of this machine with the interfaces they are on.
pub(crate) fn addresses() -> io::Result<Vec<(String, IpAddr)>> {
    let mut first = std::ptr::null_mut();
    // SAFETY: on success it gives a list that `freeifaddrs` takes back.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut at = first;
    while !at.is_null() {
        // SAFETY: an element of the list, which is whole until it is given back.
        let entry = unsafe { &*at };
        if let Some(ip) = address_of(entry.ifa_addr) {
            // SAFETY: each element has a name, which ends with a zero byte.
            let name = unsafe { std::ffi::CStr::from_ptr(entry.ifa_name) };
            found.push((name.to_string_lossy().into_owned(), ip));
        }
        at = entry.ifa_next;
    }
    // SAFETY: the list of above, of which nothing is kept.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

/// The interface that has an address of this machine.
#[must_use]
pub fn interface_of(ip: IpAddr) -> Option<String> {
    let all = addresses().ok()?;
    all.into_iter()
        .find(|(_, at)| *at == ip)
        .map(|(name, _)| name)
}

fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the family says which structure it is; each is at least as long.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = &*address.cast::<libc::sockaddr_in>();
                Some(v4.sin_addr.s_addr.to_ne_bytes().into())
            }
            libc::AF_INET6 => {
                let v6 = &*address.cast::<libc::sockaddr_in6>();
                Some(v6.sin6_addr.s6_addr.into())
            }
            _ => None,
        }
    }
}
