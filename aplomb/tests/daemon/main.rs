//! The daemon as a process: configurations, signals, hand-overs, the service manager.

#![expect(clippy::unwrap_used, reason = "tests")]

mod config;
mod end;
mod rig;
mod succession;
mod systemd;
