//! What the operating system is asked for beyond sockets: users and groups.

pub mod user;
