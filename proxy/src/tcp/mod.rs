//! TCP carried in user space.
//!
//! [`serve`](serve()) is the life of a connection: choose and [`connect`](mod@connect), [`relay`](mod@relay), tell.

mod connect;
mod lane;
mod relay;
mod serve;

pub(crate) use self::{
    connect::{Open, dial, fault_of},
    serve::serve,
};
