//! The user-space plane of aplomb: TCP, UDP and HTTP.
//!
//! [`plane::Plane`] is the whole surface for the daemon, [`stats`] what it counts. Inside, `worker` is the runtime that
//! every protocol runs on; `tcp`, `udp` and [`http`] are the protocols, [`proxy_protocol`] and
//! [`access_log`] what they share.

pub mod access_log;
pub mod http;
mod net;
pub mod plane;
pub mod proxy_protocol;
mod shared;
pub mod stats;
mod tcp;
mod udp;
mod worker;
