//! What holds for all services, and the program's clock.

use super::{FlowState, Mac, Plain};

/// The program's clock: CLOCK_MONOTONIC_COARSE in units of 2^26 ns (67 ms), which wraps after nine years.
///
/// Compare with [`Tick::is_past`], never with `<`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick(pub u32);

impl Tick {
    /// Nanoseconds in one tick, as a power of two.
    pub const SHIFT: u32 = 26;

    /// The tick of a point of CLOCK_MONOTONIC, nanoseconds.
    #[inline(always)]
    pub fn of_nanos(nanos: u64) -> Self {
        Self((nanos >> Self::SHIFT) as u32)
    }

    /// Ticks in so many seconds, rounded up.
    #[inline(always)]
    pub const fn in_seconds(seconds: u32) -> u32 {
        (((seconds as u64 * 1_000_000_000) + (1 << Self::SHIFT) - 1) >> Self::SHIFT) as u32
    }

    /// Whether `then` is before this.
    #[inline(always)]
    pub fn is_past(self, then: u32) -> bool {
        (self.0.wrapping_sub(then) as i32) > 0
    }
}

/// What holds for all services; one entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Grows when a route, a neighbour or a device changes: what was remembered of next hops is then stale. Never 0.
    pub generation: u32,
    /// One packet in so many is traced where tracing is on; 0: none.
    pub trace: u32,
    /// Seeds the choice of full-NAT ports and of random schedulers.
    pub seed: u32,
    /// First and last source port of full NAT, machine's order, in the high and low half.
    pub source_ports: u32,
    /// Timeout of each [`FlowState`], ticks.
    pub timeouts: [u32; FlowState::COUNT],
    /// Of [`settings_flags`].
    pub flags: u32,
    /// Until when anything is traced: who listens pushes it on, and without that the program switches tracing off itself.
    pub trace_until: Tick,
    /// Zero: room up to 16 states.
    pub zero: u32,
    /// What the places of flows depend on, in two halves: made with the tables, and kept as long as they are. The program has
    /// it as a constant.
    pub secret: [u32; 2],
}

// SAFETY: numbers.
unsafe impl Plain for Settings {}

/// Bits of [`Settings::flags`].
pub mod settings_flags {
    /// There are port ranges: look for them when no endpoint matches.
    pub const RANGES: u32 = 1;
    /// There is a service: without one, packets of flows go up the stack (as with IPVS, whose hooks are gone then).
    pub const SERVICES: u32 = 2;
    /// Flows are on their way from other tables or another node: a packet that belongs to none may soon belong to one.
    pub const CARRYING: u32 = 4;
    /// Another node takes over in a moment: who begins to connect by TCP is not heard, and tries again there.
    pub const HOLDING: u32 = 8;
    /// An address has just come or gone: what a backend answers may be of a flow that another node still tells of.
    pub const MOVING: u32 = 16;
}

/// A network device, by its index: what a next hop through it needs. Only devices that carry forwarded traffic.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Iface {
    /// The device that transmits: itself, or the lower device of a VLAN.
    pub ifindex: u32,
    /// Its link-layer address.
    pub mac: Mac,
    /// VLAN tag (the whole TCI in the machine's order), 0: none.
    pub vlan: u16,
    /// Its MTU.
    pub mtu: u32,
    /// Our IPv4 address there, 0 if there is none: the source of tunnels and of ICMP errors. The entry of a lower device
    /// of VLANs has any of ours.
    pub source4: super::Addr4,
    /// The same for IPv6; not a link-local one.
    pub source6: super::Addr6,
}

// SAFETY: 4 + 6 + 2 + 4 + 4 + 16 = 36 bytes.
unsafe impl Plain for Iface {}
