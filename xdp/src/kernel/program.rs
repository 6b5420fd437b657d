//! The program: a packet's road from the device to a verdict of XDP.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use xdp::{
    decide::{self, Action, Entry, Fresh, Road, Stage, Table, Tables},
    flows::Place,
    packet::{
        self, Kind, Packet, Parsed,
        header::{Ethernet, proto, tcp_flags::SYN},
    },
    rewrite::Room,
};

use super::{
    act::{self, Context},
    stages::{NO_DEVICE, Staged, apart, bounded, kernel},
    tables::{Kernel, lookup, map},
};
use crate::abi::{Encap, Family, Flow, Hop, Method, Reason, Tuple, V4, V6, Way, backend_flags};

/// What [`fn@short_road`] returns of a packet that must go the whole road.
const WHOLE4: u32 = 0x104;
const WHOLE6: u32 = 0x106;

/// The program.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn aplomb(ctx: *mut xdp_md) -> u32 {
    let action = match ethertype(ctx) {
        Some(V4::ETHERTYPE) => common::<V4>(ctx, WHOLE4),
        Some(V6::ETHERTYPE) => common::<V6>(ctx, WHOLE6),
        _ => OTHER,
    };
    let action = match action {
        OTHER => short_road(ctx),
        action => action,
    };
    match action {
        WHOLE4 => whole_road::<V4>(ctx),
        WHOLE6 => whole_road::<V6>(ctx),
        action => action,
    }
}

/// The roads of common packets.
#[inline(always)]
fn common<F: Staged>(ctx: *mut xdp_md, whole: u32) -> u32
where
    Kernel: Tables<F>,
{
    // Of a packet whose flow is not found, where that would be; of one that leaves through a tunnel, the way. (As one
    // structure, they would be made 0 by a function.)
    let mut place = Place::default();
    let mut way = core::ptr::null();
    let mut action = common_road::<F>(ctx, &mut place, &mut way);
    if action == FRESH {
        action = fresh_road::<F>(ctx, place, &mut way, whole);
    }
    if action & WRAP != 0 {
        let backend = action & !WRAP;
        action = wrapped::<F>(ctx, backend, way);
        if action != OTHER {
            return action;
        }
        return match F::wrap(ctx, backend) {
            NO_DEVICE => dropped(Reason::NoRoom as u32),
            // SAFETY: the context is the program's argument.
            device => act::leave(device, unsafe { (*ctx).ingress_ifindex }),
        };
    }
    action
}

/// What the roads of common packets return of one that is not for them.
const OTHER: u32 = 0x100;
/// What [`fn@common_road`] returns of a packet whose flow it does not find.
const FRESH: u32 = 0x101;

/// What [`fn@begun`] returns of a packet that goes the whole road with what was chosen for it.
const CHOSEN: u32 = 0x102;

/// With the slot of a backend, what they return of a packet that leaves through its tunnel: the stack of both together
/// would be too large.
const WRAP: u32 = 1 << 31;

/// Puts IP in IP around a packet of the most common kind, by the way to the backend of a slot, and sends it. [`OTHER`]: this
/// tunnel is another, or its device has tags.
#[inline(never)]
fn wrapped<F: Staged>(ctx: *mut xdp_md, slot: u32, way: *const Way) -> u32
where
    Kernel: Tables<F>,
{
    let Some(backend) = Tables::<F>::backend(&apart(), slot) else {
        return OTHER;
    };
    if way.is_null() {
        return OTHER;
    }
    // SAFETY: tables' values are readable.
    let (backend, way) = unsafe { (&*backend.as_ptr(), &*way) };
    let hop = &way.hop;
    if Encap::of(backend.encap) != Encap::IpIp || hop.vlan != 0 {
        return OTHER;
    }
    let done = if backend.flags & backend_flags::V6 != 0 {
        act::wrap::<F, V6>(ctx, (way.source, backend.address), hop)
    } else {
        act::wrap::<F, V4>(ctx, (way.source.a, backend.address.a), hop)
    };
    if done.is_none() {
        return dropped(Reason::NoRoom as u32);
    }
    // SAFETY: the context is the program's argument.
    act::leave(hop.ifindex, unsafe { (*ctx).ingress_ifindex })
}

/// What the Ethernet header says that follows.
#[inline(always)]
fn ethertype(ctx: *mut xdp_md) -> Option<u16> {
    let header: Ethernet = Context(ctx).frame().read(0)?;
    Some(u16::from_be(header.ethertype))
}

/// The short road for the most common packets alone: all offsets are constants, and few registers are needed.
#[inline(never)]
fn common_road<F: Staged>(ctx: *mut xdp_md, place: &mut Place, way: &mut *const Way) -> u32
where
    Kernel: Tables<F>,
{
    let Some(packet) = F::common(Context(ctx).frame()) else {
        return OTHER;
    };
    let its = apart().place(&packet.tuple);
    let Some(flow) = apart().look(Table::Established, its, &packet.tuple) else {
        *place = its;
        return FRESH;
    };
    established(ctx, &packet, flow, Some(way)).unwrap_or(OTHER)
}

/// The short road of a flow's first packet, in two functions: each needs the stack, and would take the established
/// ones' registers, which are many times as many. So each reads the packet again.
#[inline(always)]
fn fresh_road<F: Staged>(ctx: *mut xdp_md, place: Place, way: &mut *const Way, whole: u32) -> u32
where
    Kernel: Tables<F>,
{
    let chosen = elected::<F>(ctx, place);
    if chosen == NONE {
        return OTHER;
    }
    let action = begun::<F>(ctx, place, chosen, way);
    if action != CHOSEN {
        return action;
    }
    if F::chosen(ctx, (chosen >> 32) as u32, chosen as u32) {
        whole
    } else {
        dropped(Reason::NoRoom as u32)
    }
}

/// No slots.
const NONE: u64 = u64::MAX;

/// [`fn@decide::elect`]: the slots of service (high) and backend, or [`NONE`].
#[inline(never)]
fn elected<F: Staged>(ctx: *mut xdp_md, place: Place) -> u64
where
    Kernel: Tables<F>,
{
    let kernel = kernel(ctx);
    let Some(packet) = F::common(Context(ctx).frame()) else {
        return NONE;
    };
    match decide::elect(&kernel, &packet, place) {
        Some((service, backend)) => u64::from(service) << 32 | u64::from(backend),
        None => NONE,
    }
}

/// [`fn@decide::fresh`], and the packet is sent; [`CHOSEN`] if the rest is for the whole road.
#[inline(never)]
fn begun<F: Staged>(ctx: *mut xdp_md, place: Place, chosen: u64, way: &mut *const Way) -> u32
where
    Kernel: Tables<F>,
{
    let kernel = kernel(ctx);
    let Some(mut packet) = F::known(Context(ctx).frame()) else {
        return OTHER;
    };
    if packet.tuple.proto == proto::TCP {
        // As every segment for which a backend was found.
        packet.tcp_flags = SYN;
    }
    let (service, backend) = ((chosen >> 32) as u32, chosen as u32);
    match decide::fresh(&kernel, &packet, place, (service, backend)) {
        Fresh::Left(leaves) if leaves.method == Method::Tunnel => {
            *way = leaves.way.as_ptr();
            WRAP | backend
        }
        Fresh::Left(leaves) => {
            // SAFETY: of the flow in hand, which nobody else uses while the program runs.
            let hop = unsafe { &*leaves.hop.as_ptr() };
            sent(ctx, &packet, leaves.method, &leaves.to, hop)
        }
        Fresh::Chosen => CHOSEN,
    }
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
        && let Some(flow) = apart().flow(Table::Established, &packet.tuple)
        && let Some(action) = established(ctx, &bounded(packet), flow, None)
    {
        return action;
    }
    let Some(work) = F::work() else {
        return dropped(Reason::NoRoom as u32);
    };
    // SAFETY: this processor's value, which nobody else uses while the program runs.
    let work = unsafe { &mut *work.as_ptr() };
    work.packet = *packet;
    work.verdict.renew(packet.tuple);
    whole
}

/// The short road of a whole packet; none if it must go the whole one. One that leaves through a tunnel may go it too if
/// its way is asked for; the tunnel is not done here ([`WRAP`]).
#[inline(always)]
fn established<F: Staged>(
    ctx: *mut xdp_md,
    packet: &Packet<F>,
    flow: Entry<Flow<F>>,
    way: Option<&mut *const Way>,
) -> Option<u32>
where
    Kernel: Tables<F>,
{
    let kernel = Kernel {
        ctx: ctx.cast(),
        ifindex: 0,
    };
    let kept = decide::established(&kernel, packet, flow, way.is_some())?;
    if let (Some(to), Some(way)) = (kept.way, way) {
        *way = to.as_ptr();
        return Some(WRAP | kept.backend);
    }
    // SAFETY: a map's value is readable.
    let flow: &Flow<F> = unsafe { &*flow.as_ptr() };
    let to = flow.becomes(packet.tuple.proto);
    let hop = flow.hop;
    Some(sent(ctx, packet, kept.method, &to, &hop))
}

/// Changes a packet of `nat` or `direct`, and sends it.
#[inline(always)]
fn sent<F: Family>(
    ctx: *mut xdp_md,
    packet: &Packet<F>,
    method: Method,
    to: &Tuple<F>,
    hop: &Hop,
) -> u32 {
    if act::rewrite(&mut Context(ctx), packet, method, to, hop).is_none() {
        return dropped(Reason::NoRoom as u32);
    }
    // SAFETY: the context is the program's argument.
    act::leave(hop.ifindex, unsafe { (*ctx).ingress_ifindex })
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
    if work.verdict.road as u8 == Road::New as u8 {
        let _ = F::run(ctx, Stage::Take) && F::run(ctx, Stage::Begin);
    } else {
        decide::road(work.packet.kind, |stage| F::run(ctx, stage));
    }
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
        Action::Cookie => {
            if F::greet(ctx) {
                return xdp_action::XDP_TX;
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
