//! Backends as the program sees them: one slot for each pair of service and backend, as IPVS has it.

use super::{Addr6, Plain};

/// How packets reach a backend.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Address translation, both ways through us.
    Nat = 0,
    /// Only link-layer addresses change.
    Direct = 1,
    /// Encapsulated.
    Tunnel = 2,
    /// It is this machine: the packet goes up its stack as it is.
    Local = 3,
}

impl Method {
    /// From its number; an unknown one is `Local`: the packet is left alone.
    #[inline(always)]
    pub fn of(n: u8) -> Self {
        match n {
            0 => Self::Nat,
            1 => Self::Direct,
            2 => Self::Tunnel,
            _ => Self::Local,
        }
    }
}

/// What goes around a packet to a `tunnel` backend.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encap {
    /// IP in IP of any two families (RFC 2003, 2473, 4213).
    IpIp = 0,
    /// Generic UDP encapsulation, variant 1's direct encapsulation is not used: version 0, no options
    /// (as Linux's `fou` with `gue`, which IPVS speaks).
    Gue = 1,
    /// GRE without options (RFC 2784).
    Gre = 2,
}

impl Encap {
    /// From its number; an unknown one is IP in IP.
    #[inline(always)]
    pub fn of(n: u8) -> Self {
        match n {
            1 => Self::Gue,
            2 => Self::Gre,
            _ => Self::IpIp,
        }
    }
}

/// Bits of [`Backend::flags`].
pub mod backend_flags {
    /// The slot is in use; without it, packets of flows that name it are dropped.
    pub const PRESENT: u32 = 1;
    /// It may be given new work; its weight counts.
    pub const TAKES: u32 = 2;
    /// The backend's address is of IPv6.
    pub const V6: u32 = 4;
    /// The outer UDP or GRE header carries a checksum.
    pub const TUNNEL_CHECKSUM: u32 = 8;
    /// Removed: its flows' packets are dropped until it is back (IPVS with `expire_nodest_conn` 0).
    pub const REMOVED: u32 = 16;
    /// With `REMOVED`: its flows end at their next packet, which is treated as new (`expire_nodest_conn` 1).
    pub const EXPIRE: u32 = 32;
}

/// One backend of one service. 44 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backend {
    /// Of [`backend_flags`].
    pub flags: u32,
    /// Its share, as IPVS: 0 takes no new work.
    pub weight: u32,
    /// Its address; an IPv4 one in the first word.
    pub address: Addr6,
    /// Its port in network byte order; 0: the one the client asked for.
    pub port: u16,
    /// Where GUE goes, network byte order.
    pub tunnel_port: u16,
    /// A [`Method`].
    pub method: u8,
    /// An [`Encap`].
    pub encap: u8,
    /// MTU learned from ICMP on the way of the tunnel; 0: only the route's.
    pub path_mtu: u16,
    /// Connections at which it is full (`-x`); 0: never.
    pub upper: u32,
    /// Connections below which it is no longer full (`-y`); 0: three quarters of `upper`.
    pub lower: u32,
    /// Slot of its service.
    pub service: u32,
}

// SAFETY: `repr(C)`, 4-aligned, 44 bytes filled.
unsafe impl Plain for Backend {}

const _: () = assert!(size_of::<Backend>() == 44);

/// How busy a backend is: changed atomically by the program and by user space (the map is shared memory).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Load {
    /// Connections in states that count as active.
    pub active: u32,
    /// The others that have not expired.
    pub inactive: u32,
    /// Not 0: it reached `upper` and has not come below `lower` since.
    pub full: u32,
    /// Persistence templates that lead to it. Written by user space alone.
    pub persistent: u32,
}

// SAFETY: four numbers.
unsafe impl Plain for Load {}
