//! Stories of an engine: what happens to a node, and what it does about it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod checks;
mod hand_over;
mod kernel;
mod operators;
mod reload;
mod rig;
mod traffic;
mod vips;
