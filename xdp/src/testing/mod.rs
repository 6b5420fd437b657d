//! Packets for tests, made and judged by plain code that shares nothing with what it tests. Behind the feature `testing`.
//!
//! [`Builder`] makes a frame with right checksums, [`verify`] computes every checksum of one anew (tunnels and ICMP errors
//! with what is inside), [`Buffer`] is a frame that can change its size.

mod buffer;
mod build;
mod verify;

pub use self::{
    buffer::Buffer,
    build::{Builder, tcp_options},
    verify::{checksum, verify},
};
