//! The mind of aplomb: what was asked, who is alive, and what the planes shall be. No I/O.
//!
//! Three facts, one road: [`spec::Spec`] (what was asked, made by [`config`]), [`health`] (who is alive)
//! and the node's role become a [`plan::Plan`] in [`engine::Engine`], which takes events and hands out
//! actions. Time is an argument ([`time::Instant`]), so are seeds; there is no clock, socket or thread here,
//! and `tests/sim` runs the engine under virtual time.
//!
//! [`balance`] chooses a backend and [`route`] a pool, for every plane alike.

pub mod balance;
pub mod config;
pub mod engine;
pub mod health;
pub mod ipvs;
pub mod name;
pub mod plan;
mod rng;
pub mod role;
pub mod route;
pub mod spec;
pub mod status;
pub mod time;
