//! The program in the kernel, by tables that a plan made: packets in, packets out, compared byte for byte.
//!
//! Needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON); without it, each test says that it was skipped. Nothing is attached
//! and nothing pinned.

#![expect(clippy::unwrap_used, reason = "tests")]

mod behaviour;
mod cases;
mod cookies;
mod flows;
mod host;
mod life;
mod packet;
mod plans;
mod quic;
mod rig;
mod room;
mod sync;
mod sync_heard;
mod sync_kinds;
mod weights;
