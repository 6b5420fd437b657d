//! The kernel data plane's driver: loads the XDP program, keeps its tables what the plan says, reads what it counted.
//!
//! [`mod@status`] is what it tells, [`mod@filter`] which part of it somebody wants, [`mod@trace`] shows decisions live.

pub mod filter;
pub mod status;
pub mod trace;

pub mod net;
pub mod pass;
