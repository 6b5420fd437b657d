//! Labs: a small site on this machine, to see what aplomb does and to try things.
//!
//! [`http`] puts one together from [`backend`]s, a [`balancer`] (the real daemon, as a child) and some [`load`], on
//! loopback. [`l4`] does the same across network namespaces: a [`site`] wires them, a [`stage`] has servers at work in
//! them ([`unwrap`] at the far end of tunnels). What runs beside the view is in [`aside`]. [`vrrp`]
//! has two balancers in such namespaces, of which one dies.

mod aside;
mod backend;
mod balancer;
pub(crate) mod http;
pub(crate) mod l4;
mod load;
pub(crate) mod site;
mod stage;
mod unwrap;
pub(crate) mod vrrp;
