//! aplomb, the program: command line, daemon, probes, admin API and metrics, around `control` and the planes.
//!
//! A library so that tests, benchmarks and examples reach its parts; `main` only dispatches. Nobody depends on it.
//! The command line begins in [`cli`], the daemon in [`daemon`], what it asks of backends in
//! [`probe`], how one process takes another's place in [`handoff`]; [`api`] is how operators talk with it.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod handoff;
pub mod ipvsadm;
mod lab;
mod metrics;
pub mod probe;
mod sync;
pub mod system;
mod top;
pub mod vrrp;
