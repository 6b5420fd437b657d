//! IPVS's table as `ipvsadm` knows it: services, destinations, the edits to them, and what they come to as a [`Spec`].
//!
//! [`Table`] is the model, [`Edit`] what can be done to it, with IPVS's own errors ([`Error`]). A file's kernel
//! services are read into it by [`Table::of`]. What `ipvsadm` changed since is an [`Overlay`], the difference
//! between the file's table and the edited one; [`Overlay::effective`] makes the configuration that is in force.
//! [`listing`] is the table with what is counted. Words, columns and exit codes are the business of the program.
//!
//! [`Spec`]: crate::spec::Spec

mod effective;
mod error;
pub mod listing;
mod model;
mod order;
mod overlay;
mod read;
mod table;

#[cfg(test)]
mod tests;

pub use self::{
    error::Error,
    model::{
        Checksum, Destination, Edit, Method, Persistence, Protocol, SchedulerFlags, Service,
        ServiceId, Timeouts, Tunnel, TunnelKind,
    },
    order::{Order, Seed, by_address},
    overlay::Overlay,
    table::{Features, SCHEDULERS, Table},
};
