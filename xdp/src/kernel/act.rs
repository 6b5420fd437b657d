//! What is done to a packet: rewritten, and sent by a device.

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    helpers::{bpf_redirect, bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
};
use xdp::{
    decide::{Action, Entry, Road, Tables, Verdict, cookie_for},
    packet::{Frame, Kind, Packet, header::Ethernet},
    rewrite::{self, Outer, Room},
    verifier::opaque,
};

use super::{
    stages::Staged,
    tables::{Kernel, lookup, map},
};
use crate::abi::{Backend, Encap, Family, Hop, Method, Tuple, V4, V6, Way, backend_flags};

/// The packet in the kernel's hands.
pub(super) struct Context(pub(super) *mut xdp_md);

impl Room for Context {
    #[inline(always)]
    fn frame(&self) -> Frame {
        // SAFETY: the context is the program's argument; between the two addresses lies the packet.
        unsafe { Frame::new((*self.0).data as usize, (*self.0).data_end as usize) }
    }

    #[inline(always)]
    fn grow(&mut self, bytes: usize) -> Option<()> {
        // SAFETY: the context is the program's argument.
        (unsafe { bpf_xdp_adjust_head(self.0, -(bytes as i32)) } == 0).then_some(())
    }

    #[inline(always)]
    fn shrink(&mut self, bytes: usize) -> Option<()> {
        // SAFETY: the context is the program's argument.
        (unsafe { bpf_xdp_adjust_head(self.0, bytes as i32) } == 0).then_some(())
    }

    #[inline(always)]
    fn cut(&mut self, length: usize) -> Option<()> {
        // Of 64 bits: the verifier allows no arithmetic of 32 on addresses.
        let by = (length as i64).wrapping_sub(opaque(self.frame().len()) as i64) as i32;
        // SAFETY: the context is the program's argument.
        (unsafe { bpf_xdp_adjust_tail(self.0, by) } == 0).then_some(())
    }

    #[inline(always)]
    fn sum(&self, at: usize, length: usize) -> u64 {
        sum(self.0, at as u32, length as u32)
    }
}

/// [`fn@rewrite::sum_of`] a packet.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sum(ctx: *mut xdp_md, at: u32, length: u32) -> u64 {
    rewrite::sum_of(Context(ctx).frame(), at as usize, length as usize)
}

/// Sends the packet by a device.
#[inline(always)]
pub(super) fn leave(ifindex: u32, ingress: u32) -> u32 {
    if ifindex == ingress {
        return xdp_action::XDP_TX;
    }
    // SAFETY: no pointers.
    unsafe { bpf_redirect(ifindex, 0) as u32 }
}

/// Makes a packet of `nat` or `direct` what it shall be, for the next hop.
#[inline(always)]
pub(super) fn rewrite<F: Family>(
    context: &mut Context,
    packet: &Packet<F>,
    method: Method,
    to: &Tuple<F>,
    hop: &Hop,
) -> Option<()> {
    let frame = context.frame();
    if method == Method::Nat {
        rewrite::relay(frame, packet, to)?;
    } else {
        rewrite::decrement_ttl(frame, packet)?;
    }
    rewrite::link::<F, _>(context, packet.l3, hop)
}

/// Makes a packet of `nat` or `direct` what its verdict says. 0: it could not be changed so.
#[inline(always)]
pub(super) fn plain<F: Family>(
    context: &mut Context,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> u32 {
    let frame = context.frame();
    if verdict.mss != 0 && rewrite::clamp_mss(frame, packet, verdict.mss).is_none() {
        return 0;
    }
    u32::from(
        rewrite(
            context,
            packet,
            Method::of(verdict.method),
            &verdict.to,
            &verdict.hop,
        )
        .is_some(),
    )
}

/// The same of an ICMP error.
#[inline(always)]
pub(super) fn error<F: Family>(
    context: &mut Context,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> u32 {
    let frame = context.frame();
    let nat = Method::of(verdict.method) == Method::Nat;
    // What is behind us is not the client's business, as with IPVS.
    let hide = verdict.road == Road::Reply;
    if nat && rewrite::translate_icmp_error(frame, packet, &verdict.to, hide).is_none() {
        return 0;
    }
    if rewrite::decrement_ttl(frame, packet).is_none() {
        return 0;
    }
    u32::from(rewrite::link::<F, _>(context, packet.l3, &verdict.hop).is_some())
}

/// Changes a segment of a spliced flow, or an ICMP error about one, as its verdict says, before it is translated. 0: it
/// could not be changed so.
#[inline(always)]
pub(super) fn splice<F: Family>(
    context: &mut Context,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> u32 {
    let reply = verdict.road as u8 == Road::Reply as u8;
    let done = if packet.kind == Kind::IcmpError {
        rewrite::splice_icmp_error(context.frame(), packet, verdict.number, reply)
    } else {
        rewrite::splice(context, packet, (verdict.turn, verdict.number), reply)
    };
    u32::from(done.is_some())
}

/// Turns a SYN into the SYN-ACK that answers it with a cookie. 0: it could not be changed so.
#[inline(always)]
pub(super) fn greet<F: Family>(
    kernel: &Kernel,
    context: &mut Context,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> u32
where
    Kernel: Tables<F>,
{
    let Some(cookie) = cookie_for(kernel, packet) else {
        return 0;
    };
    u32::from(rewrite::syn_ack(context, packet, cookie, verdict.mss).is_some())
}

/// Turns a packet into the ICMP error that it causes. 0: there is none.
#[inline(always)]
pub(super) fn answer<F: Family>(
    context: &mut Context,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> u32 {
    // The client asked the virtual address, which answers; a backend hears it from us.
    let from = if verdict.road == Road::Reply {
        verdict.to.src
    } else {
        packet.tuple.dst
    };
    let done = match verdict.action {
        Action::TooBig => rewrite::too_big(context, packet, from, verdict.mtu),
        Action::TtlExceeded => rewrite::ttl_exceeded(context, packet, from),
        _ => rewrite::unreachable(context, packet, from),
    };
    u32::from(done.is_some())
}

/// Puts the tunnel around a packet. 0: it could not be changed so.
#[inline(always)]
pub(super) fn tunnel<F: Family>(
    context: &mut Context,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> u32 {
    let backend: Option<Entry<Backend>> = lookup(map!(BACKENDS), &verdict.backend);
    let way: Option<Entry<Way>> = lookup(map!(WAYS), &verdict.backend);
    let (Some(backend), Some(way)) = (backend, way) else {
        return 0;
    };
    // SAFETY: maps' values are readable.
    let (backend, source) = unsafe { (&*backend.as_ptr(), (*way.as_ptr()).source) };
    if verdict.mss != 0 && rewrite::clamp_mss(context.frame(), packet, verdict.mss).is_none() {
        return 0;
    }
    if rewrite::decrement_ttl(context.frame(), packet).is_none() {
        return 0;
    }
    let done = if backend.flags & backend_flags::V6 != 0 {
        let outer = outer::<F, V6>(packet, backend, source, backend.address);
        rewrite::encapsulate(context, packet, &outer, &verdict.hop)
    } else {
        let outer = outer::<F, V4>(packet, backend, source.a, backend.address.a);
        rewrite::encapsulate(context, packet, &outer, &verdict.hop)
    };
    u32::from(done.is_some())
}

/// Puts IP in IP around a packet of the most common kind, from and to these addresses, for a hop without a tag.
#[inline(always)]
pub(super) fn wrap<I: Staged, O: Family>(
    ctx: *mut xdp_md,
    (src, dst): (O::Addr, O::Addr),
    hop: &Hop,
) -> Option<()> {
    let mut context = Context(ctx);
    let packet = &I::known(context.frame())?;
    rewrite::decrement_ttl(context.frame(), packet)?;
    let outer: Outer<O> = Outer {
        src,
        dst,
        encap: Encap::IpIp,
        port: 0,
        checksum: false,
        hash: of_flow(packet),
    };
    rewrite::around(&mut context, packet, &outer, hop, size_of::<Ethernet>())
}

/// What goes around a packet.
#[inline(always)]
fn outer<I: Family, O: Family>(
    packet: &Packet<I>,
    backend: &Backend,
    src: O::Addr,
    dst: O::Addr,
) -> Outer<O> {
    Outer {
        src,
        dst,
        encap: Encap::of(backend.encap),
        port: backend.tunnel_port,
        checksum: backend.flags & backend_flags::TUNNEL_CHECKSUM != 0,
        hash: of_flow(packet),
    }
}

/// A hash of a packet's flow.
#[inline(always)]
fn of_flow<F: Family>(packet: &Packet<F>) -> u32 {
    let tuple = &packet.tuple;
    let ports = u32::from(tuple.sport) << 16 | u32::from(tuple.dport);
    let addresses = F::fold(tuple.src) ^ F::fold(tuple.dst).rotate_left(16);
    xdp::decide::schedule::hash(addresses, ports)
}
