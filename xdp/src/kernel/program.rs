//! The program: a packet's road from the device to a verdict of XDP.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use xdp::{
    decide::{self, Action, Tables, Verdict},
    packet::{self, Kind, Packet, Parsed},
    rewrite::Room,
};

use super::{
    act::{self, Context},
    stages::{Staged, bounded},
    tables::{Kernel, lookup, map},
};
use crate::abi::{Flow, Reason, V4, V6};

/// What [`fn@short_road`] returns of a packet that must go the whole road.
const WHOLE4: u32 = 0x104;
const WHOLE6: u32 = 0x106;

/// The program.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn aplomb(ctx: *mut xdp_md) -> u32 {
    let action = match common_road(ctx) {
        OTHER => short_road(ctx),
        action => action,
    };
    match action {
        WHOLE4 => whole_road::<V4>(ctx),
        WHOLE6 => whole_road::<V6>(ctx),
        action => action,
    }
}

/// What [`fn@common_road`] returns of a packet that it does not know or whose flow it does not find.
const OTHER: u32 = 0x100;

/// The short road for the most common packets alone: all offsets are constants, and few registers are needed.
#[inline(never)]
fn common_road(ctx: *mut xdp_md) -> u32 {
    let Some(packet) = packet::common(Context(ctx).frame()) else {
        return OTHER;
    };
    established(ctx, &packet).unwrap_or(OTHER)
}

/// Reads the packet, and goes the short road with it if it may. What it needs of the stack is free again for the whole
/// road.
#[inline(never)]
fn short_road(ctx: *mut xdp_md) -> u32 {
    let context = Context(ctx);
    match packet::parse(context.frame()) {
        Parsed::V4(packet) => road::<V4>(ctx, &packet, WHOLE4),
        Parsed::V6(packet) => road::<V6>(ctx, &packet, WHOLE6),
        Parsed::Pass(reason) => passed(reason as u32),
        Parsed::Drop(reason) => dropped(reason as u32),
    }
}

/// The short road, of a packet of an established flow that is nothing special; else what `whole` says.
#[inline(always)]
fn road<F: Staged>(ctx: *mut xdp_md, packet: &Packet<F>, whole: u32) -> u32
where
    Kernel: Tables<F>,
{
    if packet.kind == Kind::Whole
        && let Some(action) = established(ctx, &bounded(packet))
    {
        return action;
    }
    let Some(work) = F::work() else {
        return dropped(Reason::NoRoom as u32);
    };
    // SAFETY: this processor's value, which nobody else uses while the program runs.
    let work = unsafe { &mut *work.as_ptr() };
    work.packet = *packet;
    work.verdict = Verdict::new(packet.tuple);
    whole
}

/// The short road of a whole packet; none if it must go the whole one.
#[inline(always)]
fn established<F: Staged>(ctx: *mut xdp_md, packet: &Packet<F>) -> Option<u32>
where
    Kernel: Tables<F>,
{
    let kernel = Kernel {
        ctx: ctx.cast(),
        ifindex: 0,
    };
    let flow = F::established(&packet.tuple)?;
    let kept = decide::established(&kernel, packet, flow)?;
    // SAFETY: a map's value is readable.
    let flow: &Flow<F> = unsafe { &*flow.as_ptr() };
    let to = flow.becomes(packet.tuple.proto);
    let hop = flow.hop;
    if act::rewrite(&mut Context(ctx), packet, kept.method, &to, &hop).is_none() {
        return Some(dropped(Reason::NoRoom as u32));
    }
    // SAFETY: the context is the program's argument.
    Some(act::leave(hop.ifindex, unsafe { (*ctx).ingress_ifindex }))
}

/// The whole road.
#[inline(always)]
fn whole_road<F: Staged>(ctx: *mut xdp_md) -> u32
where
    Kernel: Tables<F>,
{
    let Some(work) = F::work() else {
        return dropped(Reason::NoRoom as u32);
    };
    // SAFETY: this processor's value; the stages change it, between the uses here.
    let work = unsafe { &*work.as_ptr() };
    decide::road(work.packet.kind, |stage| F::run(ctx, stage));
    F::trace(ctx);
    let reason = u32::from(work.verdict.reason);
    match work.verdict.action {
        Action::Pass => {
            if work.packet.kind == Kind::IcmpError {
                F::learn(ctx);
            }
            passed(reason)
        }
        Action::Drop => dropped(reason),
        Action::Forward => {
            if F::rewrite(ctx) {
                // SAFETY: the context is the program's argument.
                return act::leave(work.verdict.hop.ifindex, unsafe { (*ctx).ingress_ifindex });
            }
            dropped(Reason::NoRoom as u32)
        }
        Action::TooBig | Action::TtlExceeded | Action::Unreachable => {
            if F::answer(ctx) {
                let _ = dropped(reason);
                return xdp_action::XDP_TX;
            }
            let silent = work.verdict.action == Action::TooBig;
            dropped(if silent {
                Reason::TooBigSilent as u32
            } else {
                reason
            })
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
