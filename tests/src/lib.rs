//! The rig of the end-to-end tests: the real program as a user starts it, real peers, real sockets.
//!
//! [`Daemon`] runs aplomb with a config, [`Nginx`] is a backend that can be killed, [`Client`] speaks HTTP/1.1
//! over one connection, [`Load`] keeps several of them busy and keeps the score, [`Net`] makes namespaces
//! (root), [`Site`] a whole site of layer 4 (root). Everything is ended when its value is dropped, by pid.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a rig that cannot be set up is a failed test"
)]

mod client;
mod crowd;
mod daemon;
mod echo;
mod echoes;
mod flight;
mod flood;
mod frr;
mod inside;
mod keepalived;
mod load;
mod net;
mod nginx;
mod old_kernel;
mod pair;
mod port;
mod site;
mod twins;

pub use self::{
    client::{Client, Response},
    crowd::{Crowd, raise_file_limit},
    daemon::{Daemon, program},
    echo::Echo,
    flight::{Download, Knocks},
    flood::Flood,
    frr::Frr,
    inside::{Talk, echo_on, states, wait_for_up},
    keepalived::Keepalived,
    load::{Load, Mix, Score},
    net::{Net, needs_root},
    nginx::Nginx,
    old_kernel::without_packet_filter,
    pair::Pair,
    port::{free_port, wait_for},
    site::Site,
    twins::{Twins, vip_state, wait_for_role},
};
