//! What was decided of a packet, with all that `explain` and the trace have to say of it.

use super::Turn;
use crate::abi::{Family, Hop, PassReason, Reason, Tuple};

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes up this machine's stack as it is.
    Pass,
    /// It ends here.
    Drop,
    /// It leaves towards [`Verdict::hop`].
    Forward,
    /// It ends here, and the client is told that it was too big: the largest that fits is [`Verdict::mtu`].
    TooBig,
    /// It ends here, and the client is told that its time to live did.
    TtlExceeded,
    /// It ends here, and the client is told that nobody listens.
    Unreachable,
    /// It becomes the SYN-ACK that answers it, with a cookie ([`super::cookie_for`]) and the MSS [`Verdict::mss`], and goes back.
    Cookie,
}

/// On which road it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// No flow, no service.
    None = 0,
    /// Dropped before a flow or service was found.
    Refused = 1,
    /// A known flow, from the client.
    Established = 2,
    /// A new flow.
    New = 3,
    /// A known flow, from the backend.
    Reply = 4,
}

/// How the backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None was.
    None,
    /// It is the flow's.
    Flow,
    /// By the client's template.
    Template,
    /// By the scheduler.
    Scheduler,
    /// By the connection ID (QUIC-LB).
    ConnectionId,
}

/// No slot.
pub const NO_SLOT: u32 = u32::MAX;

/// What was decided of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<F: Family> {
    /// What becomes of it.
    pub action: Action,
    /// On which road that was found.
    pub road: Road,
    /// How the backend was chosen.
    pub choice: Choice,
    /// Of `Drop` and `TooBig`: a [`Reason`]; of `Pass`: a [`PassReason`].
    pub reason: u8,
    /// A [`crate::abi::Method`], of `Forward`.
    pub method: u8,
    /// Whether a SYN's MSS is to be made no larger than this; 0: no.
    pub mss: u16,
    /// Slot of the service, [`NO_SLOT`] for none.
    pub service: u32,
    /// Slot of the backend, [`NO_SLOT`] for none.
    pub backend: u32,
    /// What the packet's tuple becomes, of `Forward` (the same for `direct` and `tunnel`).
    pub to: Tuple<F>,
    /// The way.
    pub hop: Hop,
    /// The largest packet that fits, of `TooBig`.
    pub mtu: u32,
    /// What else is done to a segment of a spliced flow, of `Forward`.
    pub turn: Turn,
    /// The number that [`Turn`] speaks of.
    pub number: u32,
    /// The cookie that opens the flow.
    pub cookie: u32,
}

impl<F: Family> Verdict<F> {
    /// Nothing decided yet: pass.
    #[inline(always)]
    pub fn new(tuple: Tuple<F>) -> Self {
        Self {
            action: Action::Pass,
            road: Road::None,
            choice: Choice::None,
            reason: PassReason::NotOurs as u8,
            method: crate::abi::Method::Local as u8,
            mss: 0,
            service: NO_SLOT,
            backend: NO_SLOT,
            to: tuple,
            hop: Hop::default(),
            mtu: 0,
            turn: Turn::None,
            number: 0,
            cookie: 0,
        }
    }

    /// As [`Verdict::new`], in place; of the way only that there is none.
    #[inline(always)]
    pub fn renew(&mut self, tuple: Tuple<F>) {
        self.action = Action::Pass;
        self.road = Road::None;
        self.choice = Choice::None;
        self.reason = PassReason::NotOurs as u8;
        self.method = crate::abi::Method::Local as u8;
        self.mss = 0;
        self.service = NO_SLOT;
        self.backend = NO_SLOT;
        self.to = tuple;
        self.hop.forget();
        self.mtu = 0;
        self.turn = Turn::None;
        self.number = 0;
        self.cookie = 0;
    }

    /// It is dropped.
    #[inline(always)]
    pub(super) fn drop(&mut self, reason: Reason) {
        self.action = Action::Drop;
        self.reason = reason as u8;
        if self.road as u8 == Road::None as u8 {
            self.road = Road::Refused;
        }
    }

    /// It goes up the stack.
    #[inline(always)]
    pub(super) fn pass(&mut self, reason: PassReason) {
        self.action = Action::Pass;
        self.reason = reason as u8;
    }

    /// Why it was dropped; none if it was not.
    pub fn dropped(&self) -> Option<Reason> {
        (!matches!(self.action, Action::Pass | Action::Forward | Action::Cookie))
            .then(|| Reason::ALL.get(usize::from(self.reason)).copied())
            .flatten()
    }

    /// Why it was passed; none if it was not.
    pub fn passed(&self) -> Option<PassReason> {
        (self.action == Action::Pass)
            .then(|| PassReason::ALL.get(usize::from(self.reason)).copied())
            .flatten()
    }
}
