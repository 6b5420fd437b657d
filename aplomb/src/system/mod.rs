//! What the operating system is asked for beyond sockets: limits, privileges, users, the log, the supervisor.

pub mod limits;
pub mod log;
pub mod panic;
pub mod privileges;
pub(crate) mod server;
pub mod systemd;
pub mod user;
