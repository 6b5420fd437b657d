//! The link layer: who sends, who receives, in which VLAN.

use super::Room;
use crate::{
    abi::{Family, Hop, Plain},
    packet::{
        Frame, Part,
        header::{Ethernet, Tag},
    },
};

/// Where the ethertype is: behind both addresses.
const ETHERTYPE: usize = 12;
/// 802.1Q, network byte order.
const TAG: u16 = 0x8100_u16.to_be();

/// Makes the frame one for the next hop; `l3` is where the IP header begins. The frame's size may change.
#[inline(always)]
pub fn link<F: Family, R: Room>(room: &mut R, l3: usize, hop: &Hop) -> Option<()> {
    let wanted = header_length(hop);
    if l3 < wanted {
        room.grow(wanted - l3)?;
    } else if l3 > wanted {
        room.shrink(l3 - wanted)?;
    }
    put::<F>(room.frame(), hop)
}

/// How long the link-layer header towards a next hop is, bytes.
#[inline(always)]
pub(super) fn header_length(hop: &Hop) -> usize {
    if hop.vlan == 0 {
        size_of::<Ethernet>()
    } else {
        size_of::<Ethernet>() + size_of::<Tag>()
    }
}

/// Writes the link-layer header of a packet of family `F`, for which there is just enough room.
#[inline(always)]
fn put<F: Family>(frame: Frame, hop: &Hop) -> Option<()> {
    if hop.vlan == 0 {
        return untagged::<F>(frame.part(0, size_of::<Ethernet>())?, hop);
    }
    let header = frame.part(0, size_of::<Ethernet>() + size_of::<Tag>())?;
    header.write(0, hop.addresses())?;
    header.write(ETHERTYPE, TAG)?;
    let tag = Tag {
        tci: hop.vlan.to_be(),
        ethertype: F::ETHERTYPE.to_be(),
    };
    header.write(size_of::<Ethernet>(), tag)
}

/// Writes the link-layer header, which is `l3` bytes long, and the IP header behind it.
#[inline(always)]
pub(super) fn put_before<F: Family, H: Plain>(
    frame: Frame,
    hop: &Hop,
    l3: usize,
    ip: H,
) -> Option<()> {
    const SHORT: usize = size_of::<Ethernet>();
    if l3 == SHORT {
        let headers = frame.part(0, SHORT + size_of::<H>())?;
        untagged::<F>(headers, hop)?;
        return headers.write(SHORT, ip);
    }
    put::<F>(frame, hop)?;
    frame.write(l3, ip)
}

/// Writes one without a tag.
#[inline(always)]
fn untagged<F: Family>(header: Part, hop: &Hop) -> Option<()> {
    header.write(0, hop.addresses())?;
    header.write(ETHERTYPE, F::ETHERTYPE.to_be())
}
