//! Time as an argument: an instant on the caller's monotonic clock, the same as that of the protocols' machines.
//!
//! Nothing in this crate reads a clock. The daemon makes these from the monotonic clock; the simulator
//! makes them from its own virtual one. A bare integer never means time.

pub use proto::time::Instant;
