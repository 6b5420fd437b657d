//! HTTP in user space. [`h1`] is the codec.

mod buf;
pub mod h1;
mod io;
mod lane;
