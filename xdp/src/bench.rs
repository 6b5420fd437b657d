//! Programs of the benchmark (`cargo xtask bench l4`): a source of packets, and ends for them. Not shipped.
//!
//! [`fn@vary`] writes one packet of a script into the frame it is run with and goes on in the program that was put into
//! [`static@NEXT`]: the balancer as it is shipped, or one of the ends. Run repeatedly (`BPF_PROG_TEST_RUN`), it is a
//! stream of packets of many flows, and what the ends cost is what must be subtracted.
//! No type here is a contract: whoever changes [`Script`] changes `xtask/src/bench/l4/script.rs`.

#![no_std]
#![no_main]
// Of what the macros make for the kernel to find.
#![allow(missing_docs, unreachable_pub)]

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::generated::bpf_xdp_adjust_head;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, ProgramArray};
use aya_ebpf::programs::XdpContext;
use core::ptr;

/// What packets to write. All numbers are in the machine's order.
#[repr(C)]
#[derive(Clone, Copy)]
struct Script {
    /// The first bytes of the frame, as the first flow has them but for what varies.
    words: [u64; WORDS],
    /// The flow that is next.
    cursor: u32,
    /// How far it moves each time.
    step: u32,
    /// How many flows there are; it must have no factor in common with `step`.
    flows: u32,
    /// Length of the frame, bytes; what the balancer put before it is taken away again.
    length: u32,
    /// Of the address that varies, the last 32 bits in the first flow.
    address: u32,
    /// Sum of the IPv4 header's 16-bit words without what varies and without the checksum.
    ip_sum: u32,
    /// The same of the pseudo header, the transport header and its payload.
    l4_sum: u32,
    /// Bits of what it is: 1 IPv6, 2 the destination varies, 4 TCP.
    kind: u32,
    /// The first flow's number.
    first: u32,
    /// Zero.
    zero: u32,
}

/// Eight bytes each: all headers of any kind fit in.
const WORDS: usize = 10;

/// Flows of one address: ports from [`FIRST_PORT`] on.
const PORT_BITS: u32 = 15;
const FIRST_PORT: u32 = 1024;

/// The script.
#[map]
static SCRIPT: Array<Script> = Array::with_max_entries(1, 0);

/// Where packets go when they are written.
#[map]
static NEXT: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Writes the next packet and goes on in the program of [`static@NEXT`].
#[xdp]
fn vary(ctx: XdpContext) -> u32 {
    if written(&ctx).is_some() {
        // SAFETY: the map holds XDP programs alone; the kernel checks it.
        let _ = unsafe { NEXT.tail_call(&ctx, 0) };
    }
    XDP_ABORTED
}

/// An end: the packet is dropped.
#[xdp]
fn drop(_: XdpContext) -> u32 {
    XDP_DROP
}

/// An end: the packet goes to the machine's own stack.
#[xdp]
fn pass(_: XdpContext) -> u32 {
    XDP_PASS
}

fn written(ctx: &XdpContext) -> Option<()> {
    let script = SCRIPT.get_ptr_mut(0)?;
    // SAFETY: an array's entry is always there; nobody else runs the script.
    let script = unsafe { &mut *script };
    let grown = (ctx.data_end() - ctx.data()) as i64 - i64::from(script.length);
    // SAFETY: the context is the one of this run.
    if grown != 0 && unsafe { bpf_xdp_adjust_head(ctx.ctx, grown as i32) } != 0 {
        return None;
    }
    let flow = script.first + script.cursor;
    let next = script.cursor + script.step;
    script.cursor = if next >= script.flows {
        next - script.flows
    } else {
        next
    };
    let start = ctx.data();
    if start + WORDS * 8 > ctx.data_end() {
        return None;
    }
    let varied = Varied {
        start,
        address: script.address + (flow >> PORT_BITS),
        port: FIRST_PORT + (flow & ((1 << PORT_BITS) - 1)),
    };
    for index in 0..WORDS {
        // SAFETY: it was seen above that all words lie in the frame.
        unsafe { ptr::write_unaligned((start as *mut u64).add(index), script.words[index]) };
    }
    match script.kind & 7 {
        0 => varied.write::<26, 34, 24, 40>(script),
        1 => varied.write::<34, 54, 0, 60>(script),
        2 => varied.write::<30, 36, 24, 40>(script),
        3 => varied.write::<50, 56, 0, 60>(script),
        4 => varied.write::<26, 34, 24, 50>(script),
        5 => varied.write::<34, 54, 0, 70>(script),
        6 => varied.write::<30, 36, 24, 50>(script),
        _ => varied.write::<50, 56, 0, 70>(script),
    }
    Some(())
}

/// What differs between packets.
struct Varied {
    /// Where the frame begins.
    start: usize,
    address: u32,
    port: u32,
}

impl Varied {
    /// Puts it where address, port and the two checksums are in the frame; an IP checksum at 0 is none.
    #[inline(always)]
    fn write<const ADDRESS: usize, const PORT: usize, const IP: usize, const L4: usize>(
        &self,
        script: &Script,
    ) {
        let address = (self.address >> 16) + (self.address & 0xffff);
        self.put(ADDRESS, self.address.to_be());
        self.put(PORT, (self.port as u16).to_be());
        self.put(L4, folded(script.l4_sum + address + self.port));
        if IP != 0 {
            self.put(IP, folded(script.ip_sum + address));
        }
    }

    #[inline(always)]
    fn put<T>(&self, at: usize, value: T) {
        // SAFETY: `written` saw that the first `WORDS * 8` bytes lie in the frame, and no place is beyond them.
        unsafe { ptr::write_unaligned((self.start + at) as *mut T, value) };
    }
}

/// The checksum of these words' sum, as it is in a packet.
#[inline(always)]
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (!sum as u16).to_be()
}

/// The kernel asks for it; the programs call nothing that is GPL only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
