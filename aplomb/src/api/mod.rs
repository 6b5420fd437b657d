//! The admin API: how operators, their scripts and Prometheus speak with a node.
//!
//! [`server`] runs it on a thread of its own, so that no client of it can hold up traffic or the engine;
//! [`listen`] makes its sockets and knows who may use them; [`routes`] is what can be asked; [`model`] is the
//! words; [`node`] is what it asks of the daemon in turn, [`kernel`] of the kernel data plane.

mod auth;
mod bridge;
mod error;
mod guard;
mod kernel;
mod listen;
pub(crate) mod model;
mod node;
mod openapi;
mod rates;
mod routes;
mod server;
#[cfg(test)]
mod tests;

pub use self::{
    kernel::Kernel,
    listen::{BindError, Listeners, Place},
    server::Server,
};
