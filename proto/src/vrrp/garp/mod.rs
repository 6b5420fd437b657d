//! Telling the link where an address is now: gratuitous ARP (RFC 5227, 5944) for IPv4, unsolicited neighbour
//! advertisements (RFC 4861, section 7.2.6) for IPv6, as whole Ethernet frames; and when to send them.
//!
//! [`announce`] builds a frame; [`Burst`] says when which address is due.

mod burst;
mod frame;
#[cfg(test)]
mod tests;

pub use self::{
    burst::{Burst, BurstError, BurstPlan, BurstSettings},
    frame::{ArpForm, MacAddr, NaFlags, announce, garp, unsolicited_na},
};
