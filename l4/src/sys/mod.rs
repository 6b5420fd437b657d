//! The `bpf` system call, as far as it is needed beside loading: typed tables, shared memory, pins and links.
//!
//! [`Table`] is a map with the types of [`xdp::abi`], [`Shared`] one that is mapped into memory, [`Flows`] a
//! table of flows in such memory; [`object`] has what
//! concerns maps, programs and links as such. Loading an object is aya's.

mod call;
mod flows;
pub(crate) mod object;
mod shared;
mod table;
pub(crate) mod test_run;

pub(crate) use self::{
    flows::Flows,
    shared::Shared,
    table::{Batch, PerCpu, Put, Table},
};

/// How many CPUs the kernel keeps per-CPU values for.
pub(crate) fn possible_cpus() -> std::io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit([',', '-']).next().unwrap_or("0");
    last.parse::<usize>()
        .map(|last| last + 1)
        .map_err(|_| std::io::Error::other("the list of possible CPUs is not a list of numbers"))
}
