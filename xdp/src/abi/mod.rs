//! What the kernel program and user space share: the layout of every table, and the meaning of every number in it.
//!
//! All types are `repr(C)`, without padding and valid for any bits, so that either side may read what the other wrote
//! (an enumeration is stored as a number, and read back by a function that has an answer for any). Addresses
//! and ports are in network byte order, as in packets; all else is in the machine's.
//!
//! A change to a layout here is a new [`LAYOUT`]: user space then carries the old tables' entries over.

mod backend;
mod bucket;
mod cookie;
mod counters;
mod family;
mod flow;
mod limits;
mod quic;
mod service;
mod settings;
mod tuple;

pub use self::{
    backend::{Backend, Encap, Load, Method, backend_flags},
    bucket::{Bucket, LANES, Slot, buckets, held, near},
    cookie::{Cookies, Guard, Secret},
    counters::{Counters, PassReason, Reason, TraceEvent},
    family::{Addr4, Addr6, Family, V4, V6},
    flow::{Flow, FlowState, Hop, Mac, Role, Template, TemplateKey, Way, flow_flags},
    limits::*,
    quic::{QuicCipher, QuicConfig, QuicId, QuicKey},
    service::{Endpoint, Scheduler, Service, service_flags},
    settings::{Iface, Settings, Tick, settings_flags},
    tuple::{Fragment, FragmentKey, Locality, LocalityKey, RangeKey, ResolveKey, Tuple},
};

/// The version of all layouts here. Pinned tables live under a directory of this name.
pub const LAYOUT: u32 = 3;

/// A type that any bits are a valid value of, that has no padding and may be copied byte by byte.
///
/// # Safety
/// The type must be `repr(C)`, without padding, made of numbers alone.
pub unsafe trait Plain: Copy + 'static {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for u16 {}
// SAFETY: numbers.
unsafe impl Plain for u32 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
