//! What the kernel knows of devices, routes and neighbours, followed as it changes, for the program's sake: it sends
//! packets out by itself, and needs to be told how.
//!
//! [`Monitor`] is the whole: a thread that listens ([`socket`]), draws a [`picture`] of the messages and tells a
//! [`Sink`] what changed, and that keeps neighbours resolved ([`keep`]). [`wire`] holds the format of netlink,
//! [`link`], [`neighbour`] and [`route`] what the messages mean; [`forwarding`] says where the kernel forwards nothing.

pub(crate) mod forwarding;
mod keep;
mod link;
mod neighbour;
mod picture;
mod route;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod wire;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use rustix::event::{EventfdFlags, eventfd};

pub use self::{link::Device, neighbour::NextHop, route::Route};
use self::{
    socket::Requests,
    worker::{Command, Worker},
};

/// What is done with what changed. Called on the monitor's thread (first, within [`Monitor::start`], on the caller's):
/// it must not take long, and must not call the monitor's methods that wait.
pub trait Sink: Send + 'static {
    /// A device came or changed, or went (`None`). [`Device::transmit`] belongs into the program's table of devices;
    /// without one, what is there under this index must go.
    fn device(&mut self, index: u32, device: Option<&Device>);

    /// Routes, neighbours or devices changed: what the program remembers of next hops may be wrong
    /// ([`xdp::abi::Settings::generation`] must grow). Comes after the [`Sink::device`] that it is about, and at most
    /// every [`Monitor::PACE`].
    fn routing_changed(&mut self);

    /// Addresses of this machine came or went: ask [`Monitor::is_local`] of all backends again.
    fn locals_changed(&mut self);
}

/// Follows the machine's network. Ends with its thread when dropped; neighbours that the kernel was told to keep are
/// kept on, for the program goes on too.
#[derive(Debug)]
pub struct Monitor {
    commands: mpsc::Sender<Command>,
    bell: Arc<OwnedFd>,
    queries: Mutex<Requests>,
    devices: Arc<Mutex<BTreeMap<u32, Device>>>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// The least time between two calls of [`Sink::routing_changed`], or of [`Sink::locals_changed`].
    pub const PACE: std::time::Duration = std::time::Duration::from_millis(20);

    /// Begins to follow the network of the caller's network namespace. The sink has been told all devices when this
    /// returns.
    ///
    /// # Errors
    /// There are no netlink sockets, or no thread.
    pub fn start(sink: impl Sink) -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let devices = Arc::default();
        let (commands, receiver) = mpsc::channel();
        let queries = Mutex::new(Requests::open()?);
        let worker = Worker::new(
            receiver,
            Arc::clone(&bell),
            Arc::clone(&devices),
            Box::new(sink),
        )?;
        let thread = std::thread::Builder::new().name("aplomb-net".into());
        let thread = Some(thread.spawn(move || worker.run())?);
        Ok(Self {
            commands,
            bell,
            queries,
            devices,
            thread,
        })
    }

    /// Keeps the neighbours on the way to these addresses (backends) resolved from now on, and no others. Never waits.
    pub fn watch(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses: BTreeSet<IpAddr> = addresses.into_iter().collect();
        self.command(Command::Watch(addresses));
    }

    /// Has the kernel resolve neighbours that the program met and did not know. Never waits; each is asked for at
    /// most twice a second, however often this is called.
    pub fn resolve(&self, hops: Vec<NextHop>) {
        if !hops.is_empty() {
            self.command(Command::Resolve(hops));
        }
    }

    /// How packets to an address leave this machine now.
    ///
    /// # Errors
    /// `NetworkUnreachable` without a route; what the kernel says.
    pub fn route(&self, address: IpAddr) -> io::Result<Route> {
        // Nobody panics while holding it.
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        keep::lookup(&mut queries, address, false)
    }

    /// Whether an address is one of this machine's own. Without an answer it is not.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.route(address).is_ok_and(|route| route.local)
    }

    /// The MTU towards an address: the route's, else its device's.
    #[must_use]
    pub fn mtu(&self, route: &Route) -> Option<u32> {
        route.mtu.or_else(|| Some(self.device(route.ifindex)?.mtu))
    }

    /// All devices, by their index.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        self.locked().values().cloned().collect()
    }

    /// A device by its index.
    #[must_use]
    pub fn device(&self, index: u32) -> Option<Device> {
        self.locked().get(&index).cloned()
    }

    /// The link-layer address of a neighbour, if the kernel knows it.
    ///
    /// # Errors
    /// `NotFound` if it has none of it; what else the kernel says.
    pub fn neighbour(&self, hop: NextHop) -> io::Result<Option<xdp::abi::Mac>> {
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mac = None;
        queries.ask(neighbour::get(hop), &mut |message| {
            mac = mac.or(neighbour::Neighbour::read(message).and_then(|n| n.mac));
        })?;
        Ok(mac)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, command: Command) {
        // Without its thread nobody is left to care.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.command(Command::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
