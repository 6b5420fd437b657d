//! The running daemon: who owns the engine, how it is spoken to, how it starts and ends.
//!
//! [`handle::Handle`] is the way in for all who ask something of it: the admin API, signals, a successor.

pub mod handle;
