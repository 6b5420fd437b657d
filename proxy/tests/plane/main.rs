//! The plane with real sockets on loopback: what clients and backends see of it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "tests play clients and backends, which may block"
)]

mod change;
mod proxied;
mod rig;
mod tcp;
mod udp;
