//! Network devices: what the kernel says of one, and how a packet leaves through it.

use xdp::abi::{Iface, Mac};

use super::wire::{Attributes, Message, u16_at, u32_at};

/// A device came or changed (`RTM_NEWLINK`).
pub(super) const NEW: u16 = 16;
/// A device went.
pub(super) const DELETE: u16 = 17;
/// The request for all.
pub(super) const GET: u16 = 18;
/// Length of `ifinfomsg`.
pub(super) const FIXED: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
/// `AF_BRIDGE`: messages about a device as a port of a bridge, which say nothing of the device.
const BRIDGE: u8 = 7;

/// The MAC address as the program has it.
pub(super) fn mac(bytes: &[u8]) -> Option<Mac> {
    (bytes.len() == 6).then_some(())?;
    Some(Mac {
        a: u16_at(bytes, 0)?,
        b: u16_at(bytes, 2)?,
        c: u16_at(bytes, 4)?,
    })
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is by the kernel's word: `veth`, `vlan`, `bond`, `bridge`, `macvlan` …; empty for hardware.
    pub kind: String,
    /// Whether it is loopback.
    pub loopback: bool,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it is up and has carrier (`IFF_RUNNING`).
    pub running: bool,
    /// Its link-layer address, if it is an Ethernet device.
    pub mac: Option<Mac>,
    /// Its MTU.
    pub mtu: u32,
    /// The bridge or bond that it is part of.
    pub master: Option<u32>,
    /// The device below (of a VLAN or macvlan), if it is in this network namespace.
    pub lower: Option<u32>,
    /// The tag of a VLAN device, and the EtherType that announces it.
    pub vlan: Option<(u16, u16)>,
    /// How packets leave through it, for the program's table of devices. `None`: from XDP they cannot: it is down, has
    /// no Ethernet header, or would need two VLAN tags.
    pub transmit: Option<Iface>,
}

impl Device {
    /// What a message says, if it is about a device.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let body = message.body;
        (*body.first()? != BRIDGE).then_some(())?;
        let kind = u16_at(body, 2)?;
        let flags = u32_at(body, 8)?;
        let has = |flag: i32| flags & flag as u32 != 0;
        let mut device = Self {
            index: u32_at(body, 4)?,
            name: String::new(),
            kind: String::new(),
            loopback: has(libc::IFF_LOOPBACK),
            up: has(libc::IFF_UP),
            running: has(libc::IFF_UP) && has(libc::IFF_RUNNING),
            mac: None,
            mtu: 0,
            master: None,
            lower: None,
            vlan: None,
            transmit: None,
        };
        let mut elsewhere = false;
        for (attribute, value) in message.attributes(FIXED) {
            match attribute {
                IFLA_ADDRESS if kind == libc::ARPHRD_ETHER => device.mac = mac(value),
                IFLA_IFNAME => device.name = text(value),
                IFLA_MTU => device.mtu = u32_at(value, 0).unwrap_or_default(),
                IFLA_LINK => device.lower = u32_at(value, 0).filter(|index| *index != 0),
                IFLA_MASTER => device.master = u32_at(value, 0).filter(|index| *index != 0),
                IFLA_LINK_NETNSID => elsewhere = true,
                IFLA_LINKINFO => device.read_info(Attributes(value)),
                _ => {}
            }
        }
        // A veth's peer is told by the same attribute as a VLAN's lower device.
        if elsewhere || !matches!(device.kind.as_str(), "vlan" | "macvlan") {
            device.lower = None;
        }
        Some(device)
    }

    fn read_info(&mut self, info: Attributes<'_>) {
        if let Some(kind) = info.find_kind(IFLA_INFO_KIND) {
            self.kind = text(kind);
        }
        if self.kind != "vlan" {
            return;
        }
        let data = Attributes(info.find_kind(IFLA_INFO_DATA).unwrap_or_default());
        let id = data.find_kind(IFLA_VLAN_ID).and_then(|v| u16_at(v, 0));
        let protocol = data
            .find_kind(IFLA_VLAN_PROTOCOL)
            .and_then(|v| u16_at(v, 0));
        self.vlan = id.map(|id| (id, protocol.map_or(0x8100, u16::from_be)));
    }

    /// [`Device::transmit`], where `lower` finds another device by its index.
    pub(super) fn way_out<'a>(&self, lower: impl Fn(u32) -> Option<&'a Self>) -> Option<Iface> {
        let mac = self.mac?;
        if self.loopback || !self.up || mac == Mac::default() {
            return None;
        }
        let (ifindex, vlan) = match self.kind.as_str() {
            "vlan" => (self.below(&lower)?, self.tag()?),
            // Only those it receives for itself tell the two apart; what leaves is the same.
            "macvlan" => (self.below(&lower)?, 0),
            _ => (self.index, 0),
        };
        Some(Iface {
            ifindex,
            mac,
            vlan,
            mtu: self.mtu,
            ..Iface::default()
        })
    }

    fn below<'a>(&self, lower: &impl Fn(u32) -> Option<&'a Self>) -> Option<u32> {
        let device = lower(self.lower?)?;
        // A device on top of another such device: tags or addresses on two levels.
        let plain = !matches!(device.kind.as_str(), "vlan" | "macvlan");
        (device.up && plain).then_some(device.index)
    }

    /// 802.1Q only: an 802.1ad tag has another EtherType, which the table has no room for.
    fn tag(&self) -> Option<u16> {
        let (id, protocol) = self.vlan?;
        (protocol == 0x8100 && id != 0).then_some(id)
    }
}

/// A string of the kernel's, which ends with a zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
