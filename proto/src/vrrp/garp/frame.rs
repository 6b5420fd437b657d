//! The frames, byte by byte.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    checksum::Sum,
    vrrp::terms::{Family, Vrid},
};

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Everybody on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The virtual router's own: 00:00:5e:00:01:ID over IPv4, 00:00:5e:00:02:ID over IPv6 (RFC 9568, section 7.3).
    #[must_use]
    pub const fn of_virtual_router(family: Family, vrid: Vrid) -> Self {
        let kind = match family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        Self([0x00, 0x00, 0x5e, 0x00, kind, vrid.number()])
    }

    /// Where frames to a multicast address go (RFC 1112, section 6.4; RFC 2464, section 7).
    #[must_use]
    pub const fn of_group(group: IpAddr) -> Self {
        match group {
            IpAddr::V4(v4) => {
                let [_, b, c, d] = v4.octets();
                Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(v6) => {
                let [.., a, b, c, d] = v6.octets();
                Self([0x33, 0x33, a, b, c, d])
            }
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The form of a gratuitous ARP. Hosts take either; some old ones only one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ArpForm {
    /// A request for the own address (RFC 5227, section 3 calls it an announcement), as keepalived sends.
    #[default]
    Request,
    /// A reply that nobody asked for.
    Reply,
}

/// What an unsolicited advertisement says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct NaFlags {
    /// It is a router: for addresses that are somebody's gateway (RFC 9568, section 6.4.2). Hosts that have it as a
    /// router and hear that it is none drop their routes through it.
    pub router: bool,
}

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// The answer replaces what the receiver knew.
const OVERRIDE: u8 = 0x20;
const ROUTER: u8 = 0x80;
const TARGET_LINK_LAYER: u8 = 2;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The frame that tells everybody on the link that `address` is at `mac`: [`garp`] or [`unsolicited_na`].
#[must_use]
pub fn announce(address: IpAddr, mac: MacAddr, form: ArpForm, flags: NaFlags) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => garp(v4, mac, form).to_vec(),
        IpAddr::V6(v6) => unsolicited_na(v6, mac, flags).to_vec(),
    }
}

/// A gratuitous ARP: sender and target are `address`, the sender's Ethernet address is `mac`.
#[must_use]
pub fn garp(address: Ipv4Addr, mac: MacAddr, form: ArpForm) -> [u8; 42] {
    let operation: u16 = match form {
        ArpForm::Request => 1,
        ArpForm::Reply => 2,
    };
    let mut frame = [0; 42];
    put_ethernet(&mut frame, MacAddr::BROADCAST, mac, ETHERTYPE_ARP);
    // Ethernet, IPv4, and the lengths of their addresses.
    frame[14..20].copy_from_slice(&[0x00, 0x01, 0x08, 0x00, 6, 4]);
    frame[20..22].copy_from_slice(&operation.to_be_bytes());
    frame[22..28].copy_from_slice(&mac.0);
    frame[28..32].copy_from_slice(&address.octets());
    // Nobody's business in a request; in a reply to all it is all.
    frame[32..38].copy_from_slice(&MacAddr::BROADCAST.0);
    frame[38..].copy_from_slice(&address.octets());
    frame
}

/// An unsolicited neighbour advertisement from `address`, which is at `mac`, to all nodes: override, not solicited.
#[must_use]
pub fn unsolicited_na(address: Ipv6Addr, mac: MacAddr, flags: NaFlags) -> [u8; 86] {
    let mut frame = [0; 86];
    let group = MacAddr::of_group(IpAddr::V6(ALL_NODES));
    put_ethernet(&mut frame, group, mac, ETHERTYPE_IPV6);
    let (ip, icmp) = frame[14..].split_at_mut(40);
    ip[0] = 0x60;
    ip[4..6].copy_from_slice(&32_u16.to_be_bytes());
    ip[6] = ICMPV6;
    // Receivers refuse anything that a router could have passed on.
    ip[7] = 255;
    ip[8..24].copy_from_slice(&address.octets());
    ip[24..].copy_from_slice(&ALL_NODES.octets());
    icmp[0] = NEIGHBOR_ADVERTISEMENT;
    icmp[4] = OVERRIDE | if flags.router { ROUTER } else { 0 };
    icmp[8..24].copy_from_slice(&address.octets());
    // The option's length is in units of eight bytes.
    icmp[24..26].copy_from_slice(&[TARGET_LINK_LAYER, 1]);
    icmp[26..].copy_from_slice(&mac.0);
    let sum = Sum::default()
        .pseudo(IpAddr::V6(address), IpAddr::V6(ALL_NODES), ICMPV6, 32)
        .add(icmp)
        .finish();
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn put_ethernet(frame: &mut [u8], to: MacAddr, from: MacAddr, kind: u16) {
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&from.0);
    frame[12..14].copy_from_slice(&kind.to_be_bytes());
}
