//! Services as the program sees them.

use super::{Addr6, Family, Plain};

/// Where a packet must be addressed to: found in the table of endpoints, which leads to the service's slot.
///
/// An endpoint of protocol 0 and port 0 only says that the address is a virtual one: it is there for each of them, and
/// what it leads to does not count. By it, a fragment that came too early is told from one that is none of ours. One of a
/// backend tells an answer whose flow is not known from what is none of ours, and one of a source of full NAT such an answer from
/// what this machine asked for itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint<F: Family> {
    /// The virtual address, the backend's, or the source's.
    pub address: F::Addr,
    /// Its port, network byte order; 0: any that no other endpoint names.
    pub port: u16,
    /// IP protocol.
    pub proto: u8,
    /// Who is there: [`Self::CLIENTS`] are served, [`Self::BACKENDS`] answer, or they answer to [`Self::SOURCES`].
    pub side: u8,
}

// SAFETY: 4-aligned address and 4 bytes.
unsafe impl<F: Family> Plain for Endpoint<F> {}

impl<F: Family> Endpoint<F> {
    /// Clients turn to it.
    pub const CLIENTS: u8 = 0;
    /// A backend of address translation answers from it. What it leads to does not count.
    pub const BACKENDS: u8 = 1;
    /// Backends of full NAT answer to it, at ports of [`Settings::source_ports`](super::Settings::source_ports); its own is 0.
    /// What it leads to does not count.
    pub const SOURCES: u8 = 2;
}

/// How a backend is chosen, by IPVS's names.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheduler {
    /// `rr` and `wrr`: the ring in turn.
    Ring = 0,
    /// `lc`: the least of active * 256 + inactive.
    Lc = 1,
    /// `wlc`: the same by weight.
    Wlc = 2,
    /// `sed`: the least of (active + 1) / weight.
    Sed = 3,
    /// `nq`: an idle one, else as `sed`.
    Nq = 4,
    /// `sh`: the table by the client's address.
    SourceHash = 5,
    /// `dh`: the table by the virtual address.
    DestinationHash = 6,
    /// `mh`: the table by the client's address, members of weight 0 left out.
    Maglev = 7,
    /// `lblc`: by destination, moved only off a server that is overloaded.
    Lblc = 8,
    /// `lblcr`: the same with sets of servers.
    Lblcr = 9,
    /// `fo`: the highest weight that is not full.
    Fo = 10,
    /// `ovf`: the highest weight with no more active connections than its weight.
    Ovf = 11,
    /// `twos`: the less busy of two drawn by weight.
    Twos = 12,
}

impl Scheduler {
    /// From its number; an unknown one is the ring.
    #[inline(always)]
    pub fn of(n: u8) -> Self {
        match n {
            1 => Self::Lc,
            2 => Self::Wlc,
            3 => Self::Sed,
            4 => Self::Nq,
            5 => Self::SourceHash,
            6 => Self::DestinationHash,
            7 => Self::Maglev,
            8 => Self::Lblc,
            9 => Self::Lblcr,
            10 => Self::Fo,
            11 => Self::Ovf,
            12 => Self::Twos,
            _ => Self::Ring,
        }
    }
}

/// Bits of [`Service::flags`].
pub mod service_flags {
    /// The slot is in use.
    pub const PRESENT: u32 = 1;
    /// Persistence templates are kept.
    pub const PERSISTENT: u32 = 2;
    /// One-packet scheduling: no flow is kept.
    pub const ONE_PACKET: u32 = 4;
    /// A TCP packet that is no SYN may begin a flow too (`sloppy_tcp`).
    pub const SLOPPY: u32 = 8;
    /// The hash takes the client's port too (`sh-port`, `mh-port`).
    pub const HASH_PORT: u32 = 16;
    /// A hash that leads to a member that takes nothing tries further (`sh-fallback`, `mh-fallback`).
    pub const FALLBACK: u32 = 32;
    /// Full NAT: the source becomes one of ours.
    pub const FULL_NAT: u32 = 64;
    /// A template whose backend takes nothing more is forgotten (`expire_quiescent_template`).
    pub const EXPIRE_QUIESCENT: u32 = 128;
    /// QUIC connection IDs may name the backend (QUIC-LB).
    pub const QUIC_LB: u32 = 256;
    /// SYN cookies answer for the backend (`nat` alone).
    pub const SYN_COOKIES: u32 = 512;
    /// Decisions are sampled into the trace ring.
    pub const TRACE: u32 = 1024;
    /// With `SYN_COOKIES`: only while many handshakes are open ([`crate::abi::Guard`]).
    pub const COOKIES_AUTO: u32 = 2048;
}

/// One service. Its slot outlives its flows. 72 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Service {
    /// Of [`service_flags`].
    pub flags: u32,
    /// A [`Scheduler`].
    pub scheduler: u8,
    /// Zero.
    pub zero: u8,
    /// MSS to clamp the SYN's to; 0: leave it.
    pub mss: u16,
    /// Where its table (ring or hash slots: backend slots) begins in the schedule map. Changed in one store, after the
    /// table is there. High 32 bits: its length in entries, low 32 bits: where it begins.
    pub table: u64,
    /// The same for the list of its members, in the order in which IPVS goes through them: last added first.
    pub members: u64,
    /// How long a template is remembered, ticks.
    pub persistence: u32,
    /// UDP and others: how long a flow is remembered, ticks; 0: the setting for all.
    pub timeout: u32,
    /// The client's network for persistence.
    pub mask: Addr6,
    /// Source addresses of full NAT: the first of them; more follow by counting up the last 32 bits.
    pub source: Addr6,
    /// How many source addresses there are.
    pub sources: u32,
    /// Of QUIC-LB: a bit for each rotation id that has a configuration.
    pub quic: u32,
}

// SAFETY: `repr(C)`: 8 + 8 + 8 + 8 + 16 + 16 + 8 = 72 bytes, 8-aligned, filled.
unsafe impl Plain for Service {}

const _: () = assert!(size_of::<Service>() == 72);
