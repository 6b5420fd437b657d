//! Runs a program on one packet (`BPF_PROG_TEST_RUN`): for tests, and to see that a program works here.

use std::{io, os::fd::BorrowedFd};

use super::{
    call::{Command, Run, bpf},
    object::number,
};

/// What became of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The program's verdict: `XDP_DROP` 1, `XDP_PASS` 2, `XDP_TX` 3, `XDP_REDIRECT` 4.
    pub verdict: u32,
    /// The packet afterwards.
    pub packet: Vec<u8>,
}

/// `struct xdp_md`: what the program is told of the packet.
#[repr(C)]
#[derive(Default)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// Runs `program` once on `packet`, which came in by `interface` (0: by none in particular), with so many bytes of
/// metadata in front of it, as some drivers put there: they leave so much less room for headers.
///
/// # Errors
/// The kernel did not run it: the packet is shorter than an Ethernet header, metadata is longer than it allows or no
/// multiple of four, or this is not allowed.
pub(crate) fn run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    interface: u32,
    metadata: u32,
) -> io::Result<Outcome> {
    let mut out = vec![0_u8; 4096];
    let input = [&vec![0; metadata as usize], packet].concat();
    let length = u32::try_from(input.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let context = Context {
        data: metadata,
        data_end: length,
        ingress_ifindex: interface,
        ..Context::default()
    };
    let mut argument = Run {
        program: number(program),
        length_in: length,
        length_out: 4096,
        data_in: input.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat: 1,
        ..Run::default()
    };
    if interface != 0 || metadata != 0 {
        argument.context_in = &raw const context as u64;
        argument.context_length_in = u32::try_from(size_of::<Context>()).unwrap_or(0);
    }
    // SAFETY: packet, room for the result and context are as long as is said.
    unsafe { bpf(Command::TestRun, &mut argument) }?;
    out.truncate(argument.length_out as usize);
    out.drain(..out.len().min(metadata as usize));
    Ok(Outcome {
        verdict: argument.verdict,
        packet: out,
    })
}
