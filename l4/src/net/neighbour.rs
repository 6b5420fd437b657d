//! Neighbours: who has which link-layer address, and how the kernel is made to find out.

use std::net::IpAddr;

use xdp::abi::{Addr6, Mac};

use super::{
    link::mac,
    wire::{Message, Request, address, family, flags, u16_at, u32_at},
};

/// A neighbour came or changed (`RTM_NEWNEIGH`); also the request to make one.
pub(super) const NEW: u16 = 28;
/// A neighbour was forgotten.
pub(super) const DELETE: u16 = 29;
/// The request for one or all.
pub(super) const GET: u16 = 30;
/// Length of `ndmsg`.
pub(super) const FIXED: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_FLAGS_EXT: u16 = 15;
/// In `ndm_flags`: resolve it now.
const NTF_USE: u8 = 1;
/// In `ndm_flags`: an entry of a proxy, not a neighbour.
const NTF_PROXY: u8 = 8;
/// In `NDA_FLAGS_EXT`: keep it resolved (Linux 5.16).
const NTF_EXT_MANAGED: u32 = 1;
/// Reachable, stale, delayed, probed, permanent, without ARP: its address may be used.
const NUD_VALID: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;

/// An address on the link of a device: where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The device.
    pub ifindex: u32,
    /// The address on its link.
    pub address: IpAddr,
}

impl NextHop {
    /// From the words in which the program asks for it: the family is `AF_INET` or `AF_INET6`.
    #[must_use]
    pub fn of_words(ifindex: u32, family: u32, address: Addr6) -> Option<Self> {
        let words = [address.a, address.b, address.c, address.d];
        let address = match i32::try_from(family).ok()? {
            libc::AF_INET => IpAddr::from(address.a.to_ne_bytes()),
            libc::AF_INET6 => {
                let mut bytes = [0; 16];
                for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
                    four.copy_from_slice(&word.to_ne_bytes());
                }
                IpAddr::from(bytes)
            }
            _ => return None,
        };
        Some(Self { ifindex, address })
    }
}

/// What the kernel says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) hop: NextHop,
    /// Its link-layer address, while it may be used.
    pub(super) mac: Option<Mac>,
    /// Whether nobody answered for it.
    pub(super) failed: bool,
    /// Whether the kernel keeps it resolved.
    pub(super) managed: bool,
}

impl Neighbour {
    /// What a message says, if it is about a neighbour on an Ethernet.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let body = message.body;
        let is_ip = [libc::AF_INET as u8, libc::AF_INET6 as u8].contains(body.first()?);
        let (ifindex, state) = (u32_at(body, 4)?, u16_at(body, 8)?);
        if !is_ip || body.get(10)? & NTF_PROXY != 0 {
            return None;
        }
        let attributes = message.attributes(FIXED);
        let address = address(attributes.find_kind(NDA_DST)?)?;
        let valid = state & NUD_VALID != 0 && message.kind == NEW;
        let more = attributes.find_kind(NDA_FLAGS_EXT);
        Some(Self {
            hop: NextHop { ifindex, address },
            mac: attributes
                .find_kind(NDA_LLADDR)
                .filter(|_| valid)
                .and_then(mac),
            failed: state & NUD_FAILED != 0,
            managed: more
                .and_then(|v| u32_at(v, 0))
                .is_some_and(|f| f & NTF_EXT_MANAGED != 0),
        })
    }
}

/// Nobody answered.
const NUD_FAILED: u16 = 0x20;

fn header(hop: NextHop, flags: u8) -> [u8; FIXED] {
    let mut fixed = [0; FIXED];
    fixed[0] = family(hop.address);
    fixed[4..8].copy_from_slice(&hop.ifindex.to_ne_bytes());
    fixed[10] = flags;
    fixed
}

/// Has the kernel resolve a neighbour now, or confirm it if what is known is old.
pub(super) fn resolve(hop: NextHop) -> Request {
    let flags = flags::ACK | flags::CREATE | flags::REPLACE;
    Request::new(NEW, flags, &header(hop, NTF_USE)).address(NDA_DST, hop.address)
}

/// Has the kernel keep a neighbour resolved from now on, or no longer.
pub(super) fn manage(hop: NextHop, keep: bool) -> Request {
    let flags = flags::ACK | flags::CREATE | flags::REPLACE;
    let more = if keep { NTF_EXT_MANAGED } else { 0 };
    Request::new(NEW, flags, &header(hop, NTF_USE))
        .address(NDA_DST, hop.address)
        .attribute(NDA_FLAGS_EXT, &more.to_ne_bytes())
}

/// Asks for one.
pub(super) fn get(hop: NextHop) -> Request {
    Request::new(GET, flags::ACK, &header(hop, 0)).address(NDA_DST, hop.address)
}
