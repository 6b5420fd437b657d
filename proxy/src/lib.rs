//! The user-space plane of aplomb: TCP, UDP and HTTP.

pub mod access_log;
pub mod http;
