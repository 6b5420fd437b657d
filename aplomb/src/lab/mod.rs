//! Labs: a small site on this machine, to see what aplomb does and to try things.
//!
//! [`http`] puts one together from [`backend`]s, a [`balancer`] (the real daemon, as a child) and some [`load`].

mod backend;
mod balancer;
pub(crate) mod http;
mod load;
