//! HTTP with real sockets on loopback: what clients and backends see of it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "tests play clients and backends, which may block"
)]

#[allow(
    dead_code,
    reason = "shared with the tests of the plane, which use all of it"
)]
#[path = "../plane/rig.rs"]
mod rig;

mod bodies;
mod change;
mod failures;
mod keep_alive;
mod log;
mod peers;
mod queue;
mod retries;
mod routes;
mod tunnels;
