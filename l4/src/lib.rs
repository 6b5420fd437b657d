//! The kernel data plane's driver: loads the XDP program, keeps its tables what the plan says, reads what it counted.
//!
//! [`L4`] is the way in. A plan's way: [`handle`] queues it → [`worker`] → [`mod@tables`] makes of it what the program's
//! tables shall hold → [`maps`] writes that. [`load`] brings the program into the kernel and onto interfaces;
//! [`mod@net`] follows the machine's network for the program's sake; [`report`] tells how it is, in the types of
//! [`mod@status`], of which [`mod@filter`] chooses; [`mod@trace`] lets decisions be watched; [`sys`] is the system call
//! behind all of it. [`mod@sync`] exchanges flows with other nodes. [`mod@ending`] says when flows end, [`mod@harness`] is the program for tests.

pub mod ending;
pub mod explain;
pub mod filter;
mod handle;
pub mod harness;
mod load;
mod maps;
pub mod net;
pub mod pass;
pub mod pcap;
mod plane;
mod report;
pub mod status;
pub mod sync;
mod sys;
pub mod tables;
pub mod trace;
mod worker;

pub use self::{
    handle::{ApplyError, L4, Options, is_needed},
    load::{StartError, give_pins},
    plane::interface_of,
    worker::Reports,
};
