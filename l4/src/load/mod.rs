//! Brings the program into the kernel and onto interfaces, and takes over what a predecessor left there.
//!
//! [`object`] loads program and maps, [`attach`](mod@attach) attaches it, [`bpffs`] is where both are pinned.

pub(crate) mod attach;
mod bpffs;
mod error;
pub(crate) mod object;

pub(crate) use self::attach::detach;
pub use self::error::StartError;
