//! The running daemon: who owns the engine, how it is spoken to, how it starts and ends.
//!
//! [`start`](mod@start) brings it up, [`conductor`] runs it: one at a time it applies configurations, hands over and ends.
//! [`engine`] is the thread that owns the engine and waits for nothing but events and deadlines.
//! [`handle::Handle`] is the way in for all who ask something of it: the admin API, and tests.

mod about;
mod apply;
pub(crate) mod clock;
mod conductor;
mod drain;
mod engine;
pub mod handle;
mod ipvs;
mod kernel;
mod leave;
mod reports;
mod signals;
mod start;
mod succession;
pub(crate) mod vips;

pub use self::start::{Options, run};
