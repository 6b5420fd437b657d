//! The interfaces of this machine as the kernel tells of them: up or down, their addresses, at once when they change.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd},
};

use l4::net::{
    socket::{Events, Requests},
    wire::{Message, address, u32_at},
};
use proto::vrrp::{garp::MacAddr, terms::Family};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
/// Lengths of `ifinfomsg` and `ifaddrmsg`.
const LINK_FIXED: usize = 16;
const ADDRESS_FIXED: usize = 8;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// An address that is being tried, or was found to be somebody's: nothing can be sent from it.
const UNUSABLE: u32 = 0x40 | 0x08;
/// `AF_BRIDGE`: about a device as a port of a bridge.
const BRIDGE: u8 = 7;
/// Datagrams read before others have their turn.
const AT_A_TIME: usize = 64;

/// What is known of all interfaces.
#[derive(Debug)]
pub(super) struct Links {
    events: Events,
    requests: Requests,
    links: BTreeMap<u32, Link>,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    name: String,
    /// Up, and with carrier.
    pub(super) running: bool,
    pub(super) mac: Option<MacAddr>,
    addresses: Vec<IpAddr>,
}

impl Link {
    /// The address that adverts of `family` come from: the one that is asked for if the interface has it; else the first
    /// that is none of `ours`, over IPv6 of the link alone (RFC 9568, section 5.1.2.1).
    pub(super) fn primary(
        &self,
        family: Family,
        wanted: Option<IpAddr>,
        ours: impl Fn(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let fits = |address: &&IpAddr| match (wanted, address) {
            (Some(wanted), address) => wanted == **address,
            (None, IpAddr::V4(_)) => family == Family::V4 && !ours(**address),
            (None, IpAddr::V6(v6)) => {
                family == Family::V6 && v6.is_unicast_link_local() && !ours(**address)
            }
        };
        self.addresses.iter().find(fits).copied()
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

impl Links {
    /// Begins to listen, and takes in what there is.
    pub(super) fn open() -> io::Result<Self> {
        let mut links = Self {
            // Before asking what there is: nothing that changes in between is missed.
            events: Events::of_links()?,
            requests: Requests::open()?,
            links: BTreeMap::new(),
        };
        links.take_in()?;
        Ok(links)
    }

    /// The interface of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// Reads what has changed; whether anything has.
    pub(super) fn read(&mut self) -> bool {
        let mut changed = false;
        let links = &mut self.links;
        let read = self.events.read(AT_A_TIME, &mut |message| {
            changed |= note(links, message);
        });
        if read.is_err() {
            // Events were lost. What cannot be asked for now is told with the next change.
            let _ = self.take_in();
            return true;
        }
        changed
    }

    fn take_in(&mut self) -> io::Result<()> {
        let mut links = BTreeMap::new();
        let mut each = |message: &Message<'_>| {
            let _ = note(&mut links, message);
        };
        self.requests.dump(GET_LINK, &[0; LINK_FIXED], &mut each)?;
        self.requests
            .dump(GET_ADDRESS, &[0; ADDRESS_FIXED], &mut each)?;
        self.links = links;
        Ok(())
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// Takes note of a message; whether it says anything new.
fn note(links: &mut BTreeMap<u32, Link>, message: &Message<'_>) -> bool {
    match message.kind {
        NEW_LINK => note_link(links, message).unwrap_or(false),
        DELETE_LINK if message.body.first() != Some(&BRIDGE) => {
            let index = u32_at(message.body, 4).unwrap_or_default();
            links.remove(&index).is_some()
        }
        NEW_ADDRESS | DELETE_ADDRESS => note_address(links, message).unwrap_or(false),
        _ => false,
    }
}

fn note_link(links: &mut BTreeMap<u32, Link>, message: &Message<'_>) -> Option<bool> {
    let body = message.body;
    (*body.first()? != BRIDGE).then_some(())?;
    let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
    let has = |flag: i32| flags & flag.cast_unsigned() != 0;
    let link = links.entry(index).or_default();
    let before = link.clone();
    link.index = index;
    link.running = has(libc::IFF_UP) && has(libc::IFF_RUNNING);
    for (kind, value) in message.attributes(LINK_FIXED) {
        match kind {
            IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(value).ok().map(MacAddr),
            IFLA_IFNAME => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                link.name = String::from_utf8_lossy(name).into_owned();
            }
            _ => {}
        }
    }
    Some(*link != before)
}

fn note_address(links: &mut BTreeMap<u32, Link>, message: &Message<'_>) -> Option<bool> {
    let index = u32_at(message.body, 4)?;
    let (mut local, mut peer) = (None, None);
    let mut flags = u32::from(*message.body.get(2)?);
    for (kind, value) in message.attributes(ADDRESS_FIXED) {
        match kind {
            IFA_LOCAL => local = address(value),
            IFA_ADDRESS => peer = address(value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    let its = local.or(peer)?;
    let link = links.entry(index).or_default();
    link.index = index;
    let here = message.kind == NEW_ADDRESS && flags & UNUSABLE == 0;
    let was = link.has(its);
    if here && !was {
        link.addresses.push(its);
    }
    if !here {
        link.addresses.retain(|address| *address != its);
    }
    Some(here != was)
}
