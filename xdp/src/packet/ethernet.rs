//! Ethernet and up to two VLAN tags.

use super::{
    Frame, Other,
    header::{Ethernet, Tag},
    merge,
};
use crate::abi::PassReason;

/// 802.1Q.
const CUSTOMER: u16 = 0x8100;
/// 802.1ad.
const PROVIDER: u16 = 0x88a8;

/// The Ethernet type behind the tags, in the machine's order, and where what it speaks of begins.
#[inline(always)]
pub(super) fn parse(frame: Frame) -> Result<(u16, usize), Other> {
    let ethernet: Ethernet = frame.read(0).ok_or(Other::Pass(PassReason::NotIp))?;
    if group(ethernet.target.a) {
        // What was sent to many must not be forwarded by each (RFC 1812, 5.3.4).
        return Err(Other::Pass(PassReason::NotOurs));
    }
    let mut ethertype = u16::from_be(ethernet.ethertype);
    let mut at = size_of::<Ethernet>();
    if is_tag(ethertype) {
        ethertype = tag(frame, at)?;
        at += size_of::<Tag>();
        if is_tag(ethertype) {
            ethertype = tag(frame, at)?;
            at += size_of::<Tag>();
        }
    }
    Ok((ethertype, merge(at)))
}

#[inline(always)]
fn is_tag(ethertype: u16) -> bool {
    ethertype == CUSTOMER || ethertype == PROVIDER
}

#[inline(always)]
fn tag(frame: Frame, at: usize) -> Result<u16, Other> {
    let tag: Tag = frame.read(at).ok_or(Other::Pass(PassReason::NotIp))?;
    Ok(u16::from_be(tag.ethertype))
}

/// Whether an address that begins with these two bytes is one of a group (broadcast is, too).
#[inline(always)]
pub(super) fn group(first: u16) -> bool {
    u16::from_be(first) & 0x0100 != 0
}
