//! `ipvsadm`: its command line, its output and its exit codes, with the daemon in IPVS's place.
//!
//! [`popt`] finds options in arguments as the library of that name does, [`arguments`] makes a [`Command`] of them,
//! [`run()`] carries it out on a [`Keeper`] of the table and writes what [`list`], [`connections`] and [`save`] make
//! of it; [`sync`] is what of connection sync it can ask for. What a script sees of it (columns, messages, exit codes) is ipvsadm 1.31's; the tests hold it against
//! transcripts of that. The daemon's side is `control::ipvs` and the API's `/v1/ipvs`.
//!
//! [`Command`]: arguments::Command

mod address;
pub mod arguments;
mod connections;
mod list;
pub mod names;
mod number;
mod options;
pub mod popt;
mod program;
mod remote;
mod run;
mod save;
mod sync;

pub(crate) use self::program::{called_as, main};
pub use self::{
    names::{Names, System},
    run::{Keeper, Output, run},
    sync::{IpvsSync, Role, SyncDaemon, Wanted},
};
