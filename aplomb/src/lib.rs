//! aplomb, the program: command line, daemon, probes, admin API and metrics, around `control` and the planes.
//!
//! A library so that tests, benchmarks and examples reach its parts; `main` only dispatches. Nobody depends on it.
//! The daemon begins in [`daemon`].

pub mod daemon;
