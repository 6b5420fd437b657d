//! Flows: what the program remembers of a connection, one entry for each direction that passes it.

use super::{Addr6, Family, Plain};
use crate::decide::Entry;

/// A link-layer address as three 16-bit words, each as in the packet (`u16::from_ne_bytes`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mac {
    /// Bytes 0 and 1.
    pub a: u16,
    /// Bytes 2 and 3.
    pub b: u16,
    /// Bytes 4 and 5.
    pub c: u16,
}

// SAFETY: three numbers, no padding.
unsafe impl Plain for Mac {}

/// The next hop a flow's packets take, remembered until routes or neighbours change.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Hop {
    /// [`super::Settings::generation`] when it was looked up; another one now: look it up again. 0: never was.
    pub generation: u32,
    /// The device that transmits (the lower device of a VLAN).
    pub ifindex: u32,
    /// Destination link-layer address.
    pub target: Mac,
    /// Source link-layer address.
    pub source: Mac,
    /// VLAN tag to carry (the whole TCI in the machine's order, 0: none).
    pub vlan: u16,
    /// MTU towards it: the least of route's and device's.
    pub mtu: u16,
}

// SAFETY: 4 + 4 + 6 + 6 + 2 + 2 = 24 bytes, no padding.
unsafe impl Plain for Hop {}

impl Hop {
    /// Becomes another one, field by field: for the whole, the kernel's compiler would call a function that copies bytes.
    #[inline(always)]
    pub fn become_of(&mut self, other: &Self) {
        self.generation = other.generation;
        self.ifindex = other.ifindex;
        self.target.become_of(&other.target);
        self.source.become_of(&other.source);
        self.vlan = other.vlan;
        self.mtu = other.mtu;
    }

    /// Copies one in a table to another, word by word.
    #[inline(always)]
    pub fn copy(from: Entry<Self>, to: Entry<Self>) {
        let (from, to): (*const u32, *mut u32) = (from.as_ptr().cast(), to.as_ptr().cast());
        let mut n = 0;
        while n < size_of::<Self>() / 4 {
            // SAFETY: a hop is so many words. Volatile: else it were a call, as above.
            unsafe { to.add(n).write_volatile(from.add(n).read_volatile()) };
            n += 1;
        }
    }

    /// Both link-layer addresses, as a frame has them.
    #[inline(always)]
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let words: *const u32 = (&raw const self.target).cast();
        // SAFETY: twelve bytes, of two fields that follow one another at an offset that is a multiple of four. Volatile:
        // else a copy from table to frame were a call.
        let word = |n: usize| unsafe { words.add(n).read_volatile() };
        Addresses([word(0), word(1), word(2)])
    }

    /// What is remembered no longer counts.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.generation = 0;
        self.ifindex = 0;
    }
}

/// Two link-layer addresses, target and source.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Addresses([u32; 3]);

// SAFETY: three numbers.
unsafe impl Plain for Addresses {}

const _: () = assert!(core::mem::offset_of!(Hop, target) % 4 == 0);
const _: () = assert!(core::mem::offset_of!(Hop, source) == core::mem::offset_of!(Hop, target) + 6);

impl Mac {
    #[inline(always)]
    fn become_of(&mut self, other: &Self) {
        self.a = other.a;
        self.b = other.b;
        self.c = other.c;
    }
}

/// The way to a backend as a processor last found it: what a new flow takes over, and what goes around packets to it.
/// It is that backend's only while address and family are its own. 64 bytes: a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Way {
    /// The next hop, valid as one of a flow is.
    pub hop: Hop,
    /// The address it leads to.
    pub address: Addr6,
    /// Of a tunnel: our address on the way, 0 if there is none.
    pub source: Addr6,
    /// 1: both addresses are of IPv6, else 0.
    pub v6: u32,
    /// Zero.
    pub zero: u32,
}

// SAFETY: 24 + 16 + 16 + 8 = 64 bytes, no padding.
unsafe impl Plain for Way {}

const _: () = assert!(size_of::<Way>() == 64);

/// One direction of a flow, found by the tuple that its packets carry.
///
/// An entry says what that tuple becomes, so both directions of `nat` are handled alike; the key of the other
/// direction's entry is [`Flow::becomes`] reversed. `direct` and `tunnel` have no entry for the replies, which do not
/// pass. 56 bytes for IPv4, 80 for IPv6.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow<F: Family> {
    /// The tick after which it counts no more; moved on by each packet of this direction. Of two directions, a flow ends
    /// when both are past.
    pub expires: u32,
    /// A [`FlowState`]. Kept in the client's direction; the other's copy is only a hint.
    pub state: u8,
    /// A [`Role`].
    pub role: u8,
    /// A [`super::Method`].
    pub method: u8,
    /// Of [`flow_flags`].
    pub flags: u8,
    /// Slot of the backend.
    pub backend: u32,
    /// Slot of the service.
    pub service: u32,
    /// What the source address becomes.
    pub src: F::Addr,
    /// What the destination address becomes.
    pub dst: F::Addr,
    /// What the source port becomes.
    pub sport: u16,
    /// What the destination port becomes.
    pub dport: u16,
    /// The way to the next hop.
    pub hop: Hop,
    /// Of a spliced flow ([`flow_flags::SPLICED`]), once the backend has answered: what is added to its sequence numbers
    /// on their way to the client. Before that, in the client's direction the client's initial sequence number, in
    /// the backend's the cookie, which is ours. Machine's order.
    pub delta: u32,
}

// SAFETY: `repr(C)` of 4-aligned parts, all filled.
unsafe impl<F: Family> Plain for Flow<F> {}

impl<F: Family> Default for Flow<F> {
    fn default() -> Self {
        Self {
            expires: 0,
            state: 0,
            role: 0,
            method: 0,
            flags: 0,
            backend: 0,
            service: 0,
            src: F::Addr::default(),
            dst: F::Addr::default(),
            sport: 0,
            dport: 0,
            hop: Hop::default(),
            delta: 0,
        }
    }
}

const _: () = assert!(size_of::<Flow<super::V4>>() == 56);
const _: () = assert!(size_of::<Flow<super::V6>>() == 80);

/// Bits of [`Flow::flags`].
pub mod flow_flags {
    /// It is counted among its backend's active connections, else among the inactive.
    pub const ACTIVE: u8 = 1;
    /// It is in the table of handshakes (of UDP: only one packet was seen), not of established flows.
    pub const PENDING: u8 = 2;
    /// Its source was chosen by us (full NAT).
    pub const FULL_NAT: u8 = 4;
    /// It hangs on a persistence template.
    pub const PERSISTENT: u8 = 8;
    /// It came by synchronisation from a peer.
    pub const SYNCED: u8 = 16;
    /// Its client's direction has no entry for replies (`direct`, `tunnel`, local).
    pub const ONE_WAY: u8 = 32;
    /// In the backend's direction of `nat`: the backend has sent a packet. Of a spliced flow, in both: it has answered the
    /// SYN.
    pub const ANSWERED: u8 = 64;
    /// A SYN cookie opened it: the client's handshake was with us, the backend's is with us too, and sequence numbers of
    /// the two sides differ.
    pub const SPLICED: u8 = 128;
}

/// Which direction of a flow an entry is for.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// From the client.
    Forward = 0,
    /// From the backend.
    Reverse = 1,
}

impl Role {
    /// From its number.
    #[inline(always)]
    pub fn of(n: u8) -> Self {
        if n == 1 { Self::Reverse } else { Self::Forward }
    }
}

/// The states of a connection, by IPVS's names and numbers for TCP; the other protocols use some of them.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowState {
    /// `NONE`
    None = 0,
    /// `ESTABLISHED`
    Established = 1,
    /// `SYN_SENT`
    SynSent = 2,
    /// `SYN_RECV`
    SynRecv = 3,
    /// `FIN_WAIT`
    FinWait = 4,
    /// `TIME_WAIT`
    TimeWait = 5,
    /// `CLOSE`
    Close = 6,
    /// `CLOSE_WAIT`
    CloseWait = 7,
    /// `LAST_ACK`
    LastAck = 8,
    /// `LISTEN`
    Listen = 9,
    /// `SYNACK`
    SynAck = 10,
    /// `UDP`: the one state of UDP.
    Udp = 11,
    /// `ESTABLISHED` of SCTP: its one state here.
    Sctp = 12,
}

impl FlowState {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// From its number; an unknown one is `NONE`.
    #[inline(always)]
    pub fn of(n: u8) -> Self {
        match n {
            1 => Self::Established,
            2 => Self::SynSent,
            3 => Self::SynRecv,
            4 => Self::FinWait,
            5 => Self::TimeWait,
            6 => Self::Close,
            7 => Self::CloseWait,
            8 => Self::LastAck,
            9 => Self::Listen,
            10 => Self::SynAck,
            11 => Self::Udp,
            12 => Self::Sctp,
            _ => Self::None,
        }
    }

    /// Whether IPVS counts a connection in it as active.
    #[inline(always)]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck | Self::Sctp
        )
    }
}

impl<F: Family> Flow<F> {
    /// The tuple that its packets carry when they leave.
    #[inline(always)]
    pub fn becomes(&self, proto: u8) -> super::Tuple<F> {
        super::Tuple::new(self.src, self.dst, self.sport, self.dport, proto)
    }
}

/// What names a persistence template: the client's network and the service.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TemplateKey<F: Family> {
    /// The client's address under the service's mask.
    pub client: F::Addr,
    /// Slot of the service.
    pub service: u32,
}

// SAFETY: 4-aligned parts.
unsafe impl<F: Family> Plain for TemplateKey<F> {}

/// Where a client's connections go while it is remembered.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Slot of the backend.
    pub backend: u32,
    /// The tick after which it counts no more; each new connection moves it on.
    pub expires: u32,
}

// SAFETY: two numbers.
unsafe impl Plain for Template {}
