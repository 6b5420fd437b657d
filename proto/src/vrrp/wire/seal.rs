//! Adverts ready to go: the same code for every receiver, a checksum for each.

use std::net::IpAddr;

use super::{AntiReplay, replay::after};
use crate::{
    checksum::Sum,
    time::Utc,
    vrrp::{
        codec::{Advert, Checksum, Trailer, encode, put_checksum, unsummed},
        limits::PROTOCOL,
        terms::Family,
    },
};

/// An advert to be sent from one address to one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    advert: Advert,
    checksum: Checksum,
    source: IpAddr,
    trailer: Option<Trailer>,
}

impl Sealed {
    pub(super) const fn new(
        advert: Advert,
        checksum: Checksum,
        source: IpAddr,
        trailer: Option<Trailer>,
    ) -> Self {
        Self {
            advert,
            checksum,
            source,
            trailer,
        }
    }

    /// The message to `destination`, all after the IP header. Over IPv6 its checksum is what the kernel would make of it.
    #[must_use]
    pub fn to(&self, destination: IpAddr) -> Vec<u8> {
        let Some(trailer) = &self.trailer else {
            return encode(&self.advert, self.checksum, self.source, destination);
        };
        if self.advert.addresses.family() == Family::V4 {
            let mut message = encode(&self.advert, self.checksum, self.source, destination);
            message.extend(trailer.bytes());
            return message;
        }
        let mut message = unsummed(&self.advert);
        message.extend(trailer.bytes());
        let pseudo = Sum::default().pseudo(self.source, destination, PROTOCOL, message.len());
        put_checksum(&mut message, pseudo);
        message
    }
}

/// Our own sequence: the time, or one more than the last where the clock has not moved on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sequence {
    last: Option<u64>,
}

impl Sequence {
    pub(super) fn next(&mut self, rule: AntiReplay, now: Utc) -> u64 {
        let clock = of(now);
        let next = match self.last {
            Some(last) if !after(clock, last) && !stranded(last, clock, rule) => {
                last.wrapping_add(1)
            }
            _ => clock,
        };
        self.last = Some(next);
        next
    }
}

/// The clock was set back by more than receivers would take: only starting again from it is heard.
fn stranded(last: u64, clock: u64, rule: AntiReplay) -> bool {
    match rule {
        AntiReplay::Window(window) => (last.wrapping_sub(clock) >> 32) > window.as_secs(),
        AntiReplay::Sequence => false,
    }
}

/// Seconds in the upper 32 bits, then a binary fraction of 16 bits, and a counter of 0.
fn of(now: Utc) -> u64 {
    let since = now.since_epoch();
    let fraction = (u64::from(since.subsec_nanos()) << 16) / 1_000_000_000;
    (since.as_secs() << 32) | (fraction << 16)
}
