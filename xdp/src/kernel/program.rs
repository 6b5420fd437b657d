//! The program: a packet's road from the device to a verdict of XDP.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use xdp::{
    decide::{self, Action, Table, Tables, Verdict},
    packet::{self, Kind, Packet, Parsed},
    rewrite::Room,
};

use super::{
    act::{self, Context},
    tables::{Kernel, lookup, map},
    trace,
};
use crate::abi::{Family, Flow, Reason, V4, V6};

/// The program.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn aplomb(ctx: *mut xdp_md) -> u32 {
    let context = Context(ctx);
    match packet::parse(context.frame()) {
        Parsed::V4(mut packet) => road::<V4>(ctx, &mut packet),
        Parsed::V6(mut packet) => road::<V6>(ctx, &mut packet),
        Parsed::Pass(reason) => passed(reason as u32),
        Parsed::Drop(reason) => dropped(reason as u32),
    }
}

/// A packet's road: the short one if it is of an established flow and nothing special, else the whole one.
#[inline(always)]
fn road<F: Family>(ctx: *mut xdp_md, packet: &mut Packet<F>) -> u32
where
    Kernel: Tables<F>,
{
    // SAFETY: the context is the program's argument.
    let ifindex = unsafe { (*ctx).ingress_ifindex };
    let kernel = Kernel {
        ctx: ctx.cast(),
        ifindex,
    };
    if packet.kind == Kind::Whole {
        if let Some(flow) = <Kernel as Tables<F>>::flow(&kernel, Table::Established, &packet.tuple) {
            if let Some(kept) = decide::established(&kernel, packet, flow) {
                // SAFETY: a map's value is readable.
                let flow: &Flow<F> = unsafe { &*flow.as_ptr() };
                let to = flow.becomes(packet.tuple.proto);
                let hop = flow.hop;
                let mut context = Context(ctx);
                if act::rewrite(&mut context, packet, kept.method, &to, &hop).is_some() {
                    return act::leave(hop.ifindex, ifindex);
                }
                return dropped(Reason::NoRoom as u32);
            }
        }
    }
    whole_road(&kernel, packet)
}

/// The whole road.
#[inline(never)]
fn whole_road<F: Family>(kernel: &Kernel, packet: &mut Packet<F>) -> u32
where
    Kernel: Tables<F>,
{
    let mut verdict = Verdict::new(packet.tuple);
    decide::decide(kernel, packet, &mut verdict);
    let context = Context(kernel.ctx.cast());
    trace::trace(kernel, context.frame(), packet, &verdict);
    let action = act::act(kernel, packet, &mut verdict);
    match verdict.action {
        Action::Forward => action,
        Action::Pass => passed(u32::from(verdict.reason)),
        _ => {
            let _ = dropped(u32::from(verdict.reason));
            action
        }
    }
}

/// Counts a packet that is dropped.
#[inline(always)]
fn dropped(reason: u32) -> u32 {
    if let Some(count) = lookup::<u32, u64>(map!(DROPS), &reason) {
        // SAFETY: this processor's value, which no other writes.
        unsafe { *count.as_ptr() += 1 };
    }
    xdp_action::XDP_DROP
}

/// Counts a packet that is left to the stack.
#[inline(always)]
fn passed(reason: u32) -> u32 {
    if let Some(count) = lookup::<u32, u64>(map!(PASSES), &reason) {
        // SAFETY: this processor's value, which no other writes.
        unsafe { *count.as_ptr() += 1 };
    }
    xdp_action::XDP_PASS
}
