//! The kernel data plane: what a packet is, where it goes, and how it must look when it leaves.
//!
//! The same source is compiled twice: for the kernel into the XDP program (`main`), and for the host into a library,
//! where it is tested, fuzzed and asked by `aplomb explain`. A packet's way:
//! [`mod@packet`] reads it → [`mod@decide`] says what becomes of it, from the tables alone → [`mod@rewrite`] makes it so.
//! [`mod@abi`] holds what the program and user space share: the layout of every table, counter and reason.

#![no_std]
#![cfg_attr(
    target_arch = "bpf",
    feature(asm_experimental_arch, core_intrinsics),
    allow(internal_features)
)]
#[cfg(not(target_arch = "bpf"))]
extern crate std;

pub mod abi;
pub mod cookie;
pub mod decide;
pub mod flows;
pub mod packet;
pub mod quic;
pub mod rewrite;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verifier;
