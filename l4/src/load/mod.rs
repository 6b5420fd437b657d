//! Brings the program into the kernel and onto interfaces, and takes over what a predecessor left there.
//!
//! [`object`] loads program and maps, [`attach`](mod@attach) attaches it, [`bpffs`] is where both are pinned, [`carry`](mod@carry) brings
//! flows from tables of other sizes or layouts.

pub(crate) mod attach;
mod bpffs;
pub(crate) mod carry;
mod error;
pub(crate) mod object;

pub(crate) use self::attach::detach;
pub use self::error::StartError;

/// Makes the directory of pins, and gives it with all that a predecessor left in it to another user: done before a
/// process becomes that user, it can take over and leave pins as root could.
///
/// # Errors
/// There is no BPF file system, or no right to do it.
pub fn give_pins(pin: &std::path::Path, user: u32, group: u32) -> Result<(), StartError> {
    bpffs::give(pin, user, group)
}
