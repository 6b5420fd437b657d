//! The programs that are loaded: the benchmark's own, built here, and the balancer's, as it is shipped.

use crate::Result;
use std::path::PathBuf;
use std::process::Command;

/// Flags of the toolchain that builds the balancer's program: see `cargo xtask bpf`.
const FLAGS: &str = "-C debuginfo=2 -C link-arg=--btf -C target-cpu=v3";
const TARGET: &str = "bpfel-unknown-none";
const NAME: &str = "aplomb-xdp-bench";

/// Builds the benchmark's programs; where they are.
pub(super) fn source(build: bool) -> Result<PathBuf> {
    let folder = crate::root().join("target/bpf");
    let path = folder.join(TARGET).join("release").join(NAME);
    if !build && path.exists() {
        return Ok(path);
    }
    let status = Command::new("cargo")
        .args(["build", "--locked", "--release", "--quiet"])
        .args(["--package", "xdp", "--features", "kernel", "--bin", NAME])
        .args(["-Z", "build-std=core", "--target", TARGET, "--target-dir"])
        .arg(&folder)
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(crate::root())
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if status.success() {
        Ok(path)
    } else {
        Err(
            "the benchmark's kernel programs do not build: see CONTRIBUTING.md for their toolchain"
                .into(),
        )
    }
}

/// The balancer's program.
pub(super) fn balancer() -> Result<PathBuf> {
    let path = crate::root().join("xdp/aplomb-xdp.bpf.o");
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{}: build it with `cargo xtask bpf`",
            path.display()
        ))
    }
}
