//! Wire protocols as state machines, without I/O: bytes, events and time go in, bytes and decisions come out.
//!
//! [`vrrp`] holds virtual addresses together with other nodes, [`sync`] has them know each other's connections. Time is an argument ([`time`]); there is no clock,
//! socket, thread or randomness here, and nothing of the product: who calls decides what an address is for.
//! `tests/sim` runs the machines under virtual time.

mod checksum;
pub mod sync;
pub mod time;
pub mod vrrp;
