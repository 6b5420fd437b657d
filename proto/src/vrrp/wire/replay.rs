//! The sequence of each sender, so that an advert counts once.

use std::net::IpAddr;

use super::{AntiReplay, keys::skew};
use crate::{
    time::Utc,
    vrrp::{limits::MAX_SENDERS, machine::Cast, refusal::Refusal},
};

/// The greatest sequence of each sender that was heard, the least recently heard first. Bounded: only who has a key gets
/// in, and the least recent makes room.
#[derive(Clone, Debug)]
pub(super) struct Senders {
    heard: Vec<(IpAddr, u64)>,
    room: usize,
}

impl Senders {
    pub(super) fn new(cast: &Cast) -> Self {
        let mut senders = Self {
            heard: Vec::new(),
            room: 0,
        };
        senders.resize(cast);
        senders
    }

    /// Room for every peer, or for as many as may be master about the same time.
    pub(super) fn resize(&mut self, cast: &Cast) {
        let peers = match cast {
            Cast::Multicast { .. } => 0,
            Cast::Unicast { peers, .. } => peers.len(),
        };
        self.room = peers.max(MAX_SENDERS);
        let over = self.heard.len().saturating_sub(self.room);
        self.heard.drain(..over);
    }

    /// Takes an advert of `from` with `sequence` for new, or says that it is not.
    pub(super) fn advance(
        &mut self,
        from: IpAddr,
        sequence: u64,
        rule: AntiReplay,
        now: Utc,
    ) -> Result<(), Refusal> {
        let at = self.heard.iter().position(|(sender, _)| *sender == from);
        if let Some(at) = at {
            let last = self.heard[at].1;
            if counts(last, rule, now) && !after(sequence, last) {
                return Err(Refusal::Replayed);
            }
            self.heard.remove(at);
        } else if self.heard.len() >= self.room {
            self.heard.remove(0);
        }
        self.heard.push((from, sequence));
        Ok(())
    }
}

/// A mark outside the window refuses nothing that the window does not, and would keep out a sender whose clock was set
/// back.
fn counts(mark: u64, rule: AntiReplay, now: Utc) -> bool {
    match rule {
        AntiReplay::Window(window) => skew(mark, now).as_secs() <= window.as_secs(),
        AntiReplay::Sequence => true,
    }
}

/// Serial number arithmetic (RFC 1982): it holds when the seconds wrap in 2106.
pub(super) const fn after(a: u64, b: u64) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}
