//! The programs that are loaded: the benchmark's own, built here, and the balancer's, as it is shipped.

use crate::Result;
use std::path::PathBuf;

/// The benchmark's programs, built unless they are there and `build` is not wanted; where they are.
pub(crate) fn source(build: bool) -> Result<PathBuf> {
    let name = "aplomb-xdp-bench";
    let there = crate::root().join(format!("target/bpf/{name}.bpf.o"));
    if !build && there.exists() {
        return Ok(there);
    }
    crate::bpf::build(name)
}

/// The balancer's program: the one given, or the one that is shipped.
pub(crate) fn balancer(given: Option<&PathBuf>) -> Result<PathBuf> {
    let shipped = crate::root().join("xdp/aplomb-xdp.bpf.o");
    let path = given.cloned().unwrap_or(shipped);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{}: build it with `cargo xtask bpf`",
            path.display()
        ))
    }
}
