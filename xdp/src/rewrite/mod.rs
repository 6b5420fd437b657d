//! What a packet must look like when it leaves.
//!
//! Functions on a [`crate::packet::Frame`] and what [`crate::packet::parse`] found in it. None means that the frame was too short for
//! the change (it is then in an undefined state: drop it). Checksums are mended for what changed. What changes the
//! frame's size works on a [`Room`]:
//! [`mod@nat`] and [`mod@icmp`] translate, [`mod@link`] addresses the next hop, [`mod@tunnel`] encapsulates, [`mod@answer`] turns
//! a packet into the ICMP error it causes, [`mod@tcp`] knows the options of a SYN and answers it with a cookie, [`mod@splice`] what flows look like that
//! a cookie opened.

mod answer;
mod checksum;
mod icmp;
mod link;
mod nat;
mod room;
mod splice;
mod sum;
mod tcp;
mod tunnel;

pub(crate) use self::answer::is_one_host;
pub use self::{
    answer::{too_big, ttl_exceeded, unreachable},
    icmp::translate_icmp_error,
    link::link,
    nat::{decrement_ttl, relay, translate},
    room::Room,
    splice::{splice, splice_icmp_error},
    sum::sum_of,
    tcp::{clamp_mss, offered_mss, syn_ack},
    tunnel::{Outer, around, encapsulate, overhead},
};

#[cfg(test)]
mod tests;
