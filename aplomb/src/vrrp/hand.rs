//! The thread that puts addresses on interfaces and takes them off, with the routes and rules that belong to them: the kernel
//! does so under a lock that others hold for milliseconds, and adverts must not wait for that.

use std::{
    fs, io,
    net::IpAddr,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use control::spec::vip::{Scope, VipAddress};
use l4::net::{
    socket::Requests,
    wire::{Request, family, flags},
};
use proto::vrrp::garp::MacAddr;
use rustix::net::netdevice::name_to_index;
use tokio::sync::oneshot;

use super::{
    filter::Filter,
    grace::Grace,
    mailbox::{Beside, Command, Sender},
    ways::{Ways, WaysOf},
};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_MACVLAN_MODE: u16 = 1;
/// The master's adverts come from the MAC address that our own device has too. In this mode the interface below hears
/// them all the same; as a private one, the device would take them for its own echo.
const MACVLAN_BRIDGE: u32 = 4;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const GEN_MODE_NONE: u8 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_FLAGS: u16 = 8;
/// Duplicates are VRRP's business; waiting a second for others to object would be a second without the address.
const IFA_F_NODAD: u32 = 2;

/// Where addresses go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) interface: String,
    pub(super) virtual_mac: Option<VirtualMac>,
}

/// A macvlan device with the virtual router's own MAC address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VirtualMac {
    pub(super) device: String,
    pub(super) mac: MacAddr,
    pub(super) v4: bool,
}

impl Place {
    /// The interface that has the addresses.
    pub(super) fn device(&self) -> &str {
        let device = self.virtual_mac.as_ref().map(|mac| &*mac.device);
        device.unwrap_or(&self.interface)
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Job {
    /// Make the device of a virtual MAC address, if there is one.
    Arm(Place),
    /// Take it away again.
    Disarm(Place),
    /// Put addresses there, and say so to the seat.
    Take(u64, Place, Vec<VipAddress>),
    /// Take them off.
    Give(Place, Vec<VipAddress>),
    /// Have a seat have these routes and rules, and no others.
    Ways(u64, WaysOf),
    /// Take away what a process that died may have left of these.
    Clear(WaysOf),
    /// Put back routes and rules that vanished.
    Restore,
    /// Refuse packets to these addresses of a seat, and to no others of it.
    Refuse(u64, Vec<IpAddr>),
    /// What a process that died left behind goes: all that should be there has been said.
    Settle,
    /// Say when all before it is done.
    Barrier(oneshot::Sender<()>),
}

/// Who is told before addresses come or go.
pub(super) struct Moves {
    pub(super) grace: Arc<Grace>,
    pub(super) told: Box<dyn Fn() + Send>,
}

impl Moves {
    fn before(&self, job: &Job) {
        if matches!(job, Job::Take(..)) {
            self.grace.comes();
        }
        if matches!(job, Job::Take(..) | Job::Give(..)) {
            (self.told)();
        }
    }
}

/// Starts the thread. It ends when its jobs' sender is dropped.
pub(super) fn start(
    mailbox: Sender,
    moves: Moves,
    prepare: impl FnOnce() + Send + 'static,
) -> io::Result<(mpsc::Sender<Job>, JoinHandle<()>)> {
    let mut hand = Hand {
        requests: Requests::open()?,
        ways: Ways::open()?,
        filter: Filter::default(),
    };
    let (jobs, arriving) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("vip-addresses".into())
        .spawn(move || {
            prepare();
            for job in arriving {
                moves.before(&job);
                hand.perform(job, &mailbox);
            }
        })?;
    Ok((jobs, thread))
}

struct Hand {
    requests: Requests,
    ways: Ways,
    filter: Filter,
}

impl Hand {
    fn perform(&mut self, job: Job, mailbox: &Sender) {
        match job {
            Job::Arm(place) => {
                // Said when addresses are to go there.
                let _ = self.arm(&place);
            }
            Job::Disarm(place) => self.disarm(&place),
            Job::Take(seat, place, addresses) => {
                let outcome = self.take(&place, &addresses);
                mailbox.send(Command::Taken(seat, outcome));
            }
            Job::Give(place, addresses) => self.give(&place, &addresses),
            Job::Ways(seat, ways) => {
                let outcome = self.ways.set(seat, ways);
                mailbox.send(Command::Beside(seat, Beside::Ways, outcome));
            }
            Job::Clear(ways) => self.ways.clear(&ways),
            Job::Restore => {
                for (seat, outcome) in self.ways.restore() {
                    mailbox.send(Command::Beside(seat, Beside::Ways, outcome));
                }
            }
            Job::Refuse(seat, addresses) => {
                for (seat, outcome) in self.filter.refuse(seat, addresses) {
                    mailbox.send(Command::Beside(seat, Beside::Refusal, outcome));
                }
            }
            Job::Settle => {
                self.ways.sweep();
                for (seat, outcome) in self.filter.settle() {
                    mailbox.send(Command::Beside(seat, Beside::Refusal, outcome));
                }
            }
            Job::Barrier(reply) => {
                let _ = reply.send(());
            }
        }
    }

    fn take(&mut self, place: &Place, addresses: &[VipAddress]) -> Result<(), String> {
        self.arm(place)?;
        let device = place.device();
        let index = index_of(device).map_err(|e| format!("{device}: {e}"))?;
        for address in addresses {
            let request =
                address_request(NEW_ADDRESS, flags::CREATE | flags::REPLACE, index, address);
            self.requests
                .perform(request)
                .map_err(|e| format!("{} on {device}: {e}", address.address))?;
        }
        Ok(())
    }

    fn give(&mut self, place: &Place, addresses: &[VipAddress]) {
        let Ok(index) = index_of(place.device()) else {
            return;
        };
        for address in addresses {
            // One that is not there is gone, which is what is wanted.
            let _ = self
                .requests
                .perform(address_request(DELETE_ADDRESS, 0, index, address));
        }
    }

    fn arm(&mut self, place: &Place) -> Result<(), String> {
        let Some(virtual_mac) = &place.virtual_mac else {
            return Ok(());
        };
        let device = &virtual_mac.device;
        let fail = |e: io::Error| format!("{device} on {}: {e}", place.interface);
        let index = match index_of(device) {
            Ok(index) => index,
            Err(_) => {
                let below = index_of(&place.interface).map_err(fail)?;
                self.requests
                    .perform(new_macvlan(virtual_mac, below))
                    .map_err(fail)?;
                let index = index_of(device).map_err(fail)?;
                self.requests.perform(no_addresses(index)).map_err(fail)?;
                if virtual_mac.v4 {
                    quiet(&place.interface, device);
                }
                index
            }
        };
        self.requests.perform(up(index)).map_err(fail)
    }

    fn disarm(&mut self, place: &Place) {
        let device = place.virtual_mac.as_ref().map(|mac| &mac.device);
        if let Some(index) = device.and_then(|device| index_of(device).ok()) {
            let _ = self.requests.perform(Request::new(
                DELETE_LINK,
                flags::ACK,
                &link_header(index, 0),
            ));
        }
    }
}

/// The index of a device.
pub(super) fn index_of(device: &str) -> io::Result<u32> {
    let any = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    Ok(name_to_index(&any, device)?)
}

/// An interface answers for its own addresses alone, so that the virtual ones are at the virtual MAC address only.
fn quiet(interface: &str, device: &str) {
    let set = |interface: &str, key: &str, value: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/{key}");
        if let Err(error) = fs::write(&path, value) {
            tracing::warn!(%error, path, "cannot be set to {value}");
        }
    };
    set(interface, "arp_ignore", "1");
    // Who answers for a virtual address by the interface asks for its neighbour with the interface's own address, or
    // everybody would learn that the virtual one is there.
    set(interface, "arp_announce", "2");
    set(device, "arp_ignore", "1");
    set(device, "rp_filter", "0");
    set(device, "accept_local", "1");
}

fn link_header(index: u32, link_flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&link_flags.to_ne_bytes());
    header[12..].copy_from_slice(&link_flags.to_ne_bytes());
    header
}

fn new_macvlan(virtual_mac: &VirtualMac, below: u32) -> Request {
    let mut name = virtual_mac.device.clone().into_bytes();
    name.push(0);
    let mode = attribute(IFLA_MACVLAN_MODE, &MACVLAN_BRIDGE.to_ne_bytes());
    let mut info = attribute(IFLA_INFO_KIND, b"macvlan");
    info.extend(attribute(IFLA_INFO_DATA, &mode));
    Request::new(NEW_LINK, flags::ACK | flags::CREATE, &link_header(0, 0))
        .attribute(IFLA_IFNAME, &name)
        .attribute(IFLA_LINK, &below.to_ne_bytes())
        .attribute(IFLA_ADDRESS, &virtual_mac.mac.0)
        .attribute(IFLA_LINKINFO, &info)
}

/// It makes no link-local address of its own.
fn no_addresses(index: u32) -> Request {
    let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[GEN_MODE_NONE]);
    let of_v6 = attribute(libc::AF_INET6 as u16, &mode);
    Request::new(NEW_LINK, flags::ACK, &link_header(index, 0)).attribute(IFLA_AF_SPEC, &of_v6)
}

fn up(index: u32) -> Request {
    let header = link_header(index, libc::IFF_UP.cast_unsigned());
    Request::new(NEW_LINK, flags::ACK, &header)
}

/// An attribute within another.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (value.len() + 4) as u16;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn address_request(kind: u16, more: u16, index: u32, address: &VipAddress) -> Request {
    let ip = address.address.addr();
    let scope = match address.scope {
        Scope::Global => libc::RT_SCOPE_UNIVERSE,
        Scope::Link => libc::RT_SCOPE_LINK,
        Scope::Host => libc::RT_SCOPE_HOST,
    };
    let mut header = [
        family(ip),
        address.address.prefix_len(),
        0,
        scope,
        0,
        0,
        0,
        0,
    ];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    let mut request = Request::new(kind, flags::ACK | more, &header)
        .address(IFA_LOCAL, ip)
        .address(IFA_ADDRESS, ip);
    if let Some(label) = &address.label {
        let mut label = label.clone().into_bytes();
        label.push(0);
        request = request.attribute(IFA_LABEL, &label);
    }
    if matches!(ip, IpAddr::V6(_)) {
        request = request.attribute(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes());
    }
    request
}
