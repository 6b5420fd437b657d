//! The user-space plane of aplomb: TCP, UDP and HTTP.

pub mod http;
