//! Memory: what ten million flows take, and how many of them the table really holds.

use super::balancer::Balancer;
use super::case::Case;
use super::source::Source;
use crate::Result;
use std::path::Path;
use xdp::abi::Method;

/// What is found out.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
pub(super) struct Room {
    pub(super) flows: u32,
    /// What the kernel says the table takes, bytes.
    pub(super) said: u64,
    /// By how much less memory was free afterwards, bytes.
    pub(super) taken: u64,
    /// Of as many flows as the table has room for, the share that was still there when the last had come.
    pub(super) held: f64,
}

/// Loads the program in `file` with a table for `flows` flows of IPv4, and fills it.
pub(super) fn measure(file: &Path, flows: u32, source: &mut Source) -> Result<Room> {
    let case = Case::plain("room", Method::Direct, flows);
    let before = available()?;
    let mut balancer = Balancer::load(file, flows, &[case], false)?;
    // The table of IPv6 is as large and empty; it is allocated beforehand too, but it is not what is asked for.
    let other = balancer.memory("FLOWS6")?;
    let taken = before.saturating_sub(available()?).saturating_sub(other);
    let said = balancer.memory("FLOWS4")?;
    balancer.prepare(&case, 0, source)?;
    let begun = balancer.connections()?;
    source.run(flows)?;
    let again = balancer.connections()? - begun;
    Ok(Room {
        flows,
        said,
        taken,
        held: 1.0 - again as f64 / f64::from(flows),
    })
}

/// Memory that is available, bytes.
fn available() -> Result<u64> {
    let text =
        std::fs::read_to_string("/proc/meminfo").map_err(|e| format!("/proc/meminfo: {e}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map(|kib| kib << 10)
        .ok_or_else(|| "the kernel does not say how much memory is available".to_owned())
}
