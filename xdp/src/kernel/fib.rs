//! The next hop, from the kernel's routes and neighbours.

use aya_ebpf::helpers::bpf_fib_lookup;
use xdp::decide::{Entry, Journey, Route};

use super::tables::{Kernel, lookup, map, update};
use crate::abi::{Addr6, Family, Hop, Iface, Mac, ResolveKey, Tick, V4, V6};

/// `struct bpf_fib_lookup`, in words.
#[repr(C)]
struct Lookup {
    family: u8,
    l4: u8,
    sport: u16,
    dport: u16,
    /// In: 0, no check; out: the route's MTU.
    mtu: u16,
    ifindex: u32,
    /// ToS in the first byte, or IPv6's flow information.
    tos: u32,
    src: Addr6,
    dst: Addr6,
    vlan: u32,
    smac: Mac,
    dmac: Mac,
}

const _: () = assert!(size_of::<Lookup>() == 64);

/// Found.
const SUCCESS: i64 = 0;
/// No neighbour entry (`BPF_FIB_LKUP_RET_NO_NEIGH`).
const NO_NEIGHBOUR: i64 = 7;

/// The way from one address to another.
#[inline(always)]
pub(super) fn route<F: Family>(kernel: &Kernel, journey: &Journey<F>, hop: &mut Hop) -> Route {
    let (src, dst) = (F::widen(journey.src), F::widen(journey.dst));
    let question = Question {
        src,
        dst,
        family: F::AF,
        tos: journey.tos,
    };
    ask(kernel, &question, hop)
}

/// The way to an address of any family, from anywhere.
#[inline(always)]
pub(super) fn route_other(kernel: &Kernel, dst: &Addr6, v6: bool, hop: &mut Hop) -> Route {
    let question = Question {
        src: Addr6::default(),
        dst: *dst,
        family: if v6 { V6::AF } else { V4::AF },
        tos: 0,
    };
    ask(kernel, &question, hop)
}

struct Question {
    src: Addr6,
    dst: Addr6,
    family: u8,
    tos: u8,
}

#[inline(always)]
fn ask(kernel: &Kernel, question: &Question, hop: &mut Hop) -> Route {
    match search(kernel, question, hop) {
        0 => Route::Found,
        2 => Route::NoNeighbour,
        3 => Route::NoDevice,
        _ => Route::NoRoute,
    }
}

/// A [`Route`] as a number.
#[inline(never)]
fn search(kernel: &Kernel, question: &Question, hop: &mut Hop) -> u32 {
    let v6 = question.family == V6::AF;
    let mut lookup_ = Lookup {
        family: question.family,
        l4: 0,
        sport: 0,
        dport: 0,
        mtu: 0,
        ifindex: kernel.ifindex,
        tos: if v6 {
            (u32::from(question.tos) << 20).to_be()
        } else {
            u32::from(question.tos)
        },
        src: question.src,
        dst: question.dst,
        vlan: 0,
        smac: Mac::default(),
        dmac: Mac::default(),
    };
    let size = size_of::<Lookup>() as i32;
    // SAFETY: the structure is as large as the kernel's, and lives through the call.
    let result = unsafe { bpf_fib_lookup(kernel.ctx, (&raw mut lookup_).cast(), size, 0) };
    if result == NO_NEIGHBOUR {
        let key = ResolveKey {
            ifindex: lookup_.ifindex,
            family: if lookup_.family == V6::AF { 6 } else { 4 },
            address: if lookup_.family == V6::AF {
                lookup_.dst
            } else {
                Addr6 {
                    a: lookup_.dst.a,
                    b: 0,
                    c: 0,
                    d: 0,
                }
            },
        };
        let now = <Kernel as xdp::decide::Tables<V4>>::now(kernel);
        let Tick(tick) = now;
        let _ = update(map!(RESOLVE), &key, &tick, 0);
        return Route::NoNeighbour as u32;
    }
    if result != SUCCESS {
        return Route::NoRoute as u32;
    }
    let iface: Option<Entry<Iface>> = lookup(map!(IFACES), &lookup_.ifindex);
    let Some(iface) = iface else {
        return Route::NoDevice as u32;
    };
    // SAFETY: a map's value is readable.
    let iface = unsafe { &*iface.as_ptr() };
    hop.ifindex = iface.ifindex;
    hop.source = iface.mac;
    hop.target = lookup_.dmac;
    hop.vlan = iface.vlan;
    let device = if iface.mtu > 0xffff {
        0xffff
    } else {
        iface.mtu as u16
    };
    hop.mtu = if lookup_.mtu != 0 && lookup_.mtu < device {
        lookup_.mtu
    } else {
        device
    };
    Route::Found as u32
}
