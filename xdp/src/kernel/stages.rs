//! The parts of the whole road as global functions: the verifier looks at each once, for any arguments, instead of once
//! for every way that leads to it. They share a packet by the map of work in hand; arguments are numbers and the context.

use aya_ebpf::bindings::xdp_md;
use xdp::{
    decide::{self, Choice, Entry, Road, Stage, Turn},
    packet::{self, Frame, Inside, Kind, Packet},
    rewrite::Room,
    verifier::below,
};

use super::{
    act::{self, Context},
    maps::Work,
    tables::{Kernel, lookup, map},
    trace,
};
use crate::abi::{Family, Method, V4, V6, Way};

/// No device has this index.
pub(super) const NO_DEVICE: u32 = 0;

/// A family whose stages there are.
pub(super) trait Staged: Family {
    /// The packet in hand.
    fn work() -> Option<Entry<Work<Self>>>;
    /// Takes a packet of the most common kind into hand, with the slots of the service and backend chosen for it.
    fn chosen(ctx: *mut xdp_md, service: u32, backend: u32) -> bool;
    /// The packet, if it is of the most common kind.
    fn common(frame: Frame) -> Option<Packet<Self>>;
    /// The packet, if it is known to be of the most common kind.
    fn known(frame: Frame) -> Option<Packet<Self>>;
    /// Puts a tunnel around a packet of the most common kind, by the way that is remembered for its backend. The device
    /// that it leaves by, [`NO_DEVICE`] if that could not be done.
    fn wrap(ctx: *mut xdp_md, backend: u32) -> u32;
    /// Runs a stage.
    fn run(ctx: *mut xdp_md, stage: Stage) -> bool;
    /// Puts a sample into the trace.
    fn trace(ctx: *mut xdp_md);
    /// Makes the packet what its verdict says.
    fn rewrite(ctx: *mut xdp_md) -> bool;
    /// Learns from an ICMP error about a tunnel.
    fn learn(ctx: *mut xdp_md);
    /// Turns the packet into the error it causes.
    fn answer(ctx: *mut xdp_md) -> bool;
    /// Turns a SYN into its answer with a cookie.
    fn greet(ctx: *mut xdp_md) -> bool;
}

/// The kernel's tables for a packet.
#[inline(always)]
pub(super) fn kernel(ctx: *mut xdp_md) -> Kernel {
    // A stage that does not use the context would be called with anything in its place, and the verifier minds.
    // SAFETY: changes nothing. (With no instruction at all, two lines would be at one place, which the kernel refuses.)
    unsafe { core::arch::asm!("{ctx} = {ctx}", ctx = in(reg) ctx) };
    Kernel {
        ctx: ctx.cast(),
        // SAFETY: the context is the program's argument.
        ifindex: unsafe { (*ctx).ingress_ifindex },
    }
}

/// Runs a stage on the packet in hand.
#[inline(always)]
fn perform<F: Staged>(ctx: *mut xdp_md, stage: Stage) -> u32
where
    Kernel: decide::Tables<F>,
{
    let Some(work) = F::work() else {
        return 1;
    };
    // SAFETY: this processor's value, which nobody else uses while the stage runs.
    let work = unsafe { &mut *work.as_ptr() };
    u32::from(decide::perform(
        stage,
        &kernel(ctx),
        &mut work.packet,
        &mut work.verdict,
    ))
}

/// Takes up a packet of the most common kind: what such a one does not have stays as it is. (Zeroes in a row would become
/// the call of a function.)
#[inline(always)]
fn take_up<F: Family>(work: &mut Work<F>, packet: &Packet<F>) {
    let to = &mut work.packet;
    to.l3 = packet.l3;
    to.l4 = packet.l4;
    to.tuple = packet.tuple;
    to.length = packet.length;
    to.kind = packet.kind;
    to.ttl = packet.ttl;
    to.tos = packet.tos;
    to.tcp_flags = packet.tcp_flags;
    to.dont_fragment = packet.dont_fragment;
}

/// The packet with offsets that the verifier sees to be small. They are, as [`xdp::packet::parse`] made them.
#[inline(always)]
pub(super) fn bounded<F: Family>(packet: &Packet<F>) -> Packet<F> {
    Packet {
        l3: below(packet.l3, 0x3f),
        l4: below(packet.l4, 0x3fff),
        inner_l3: packet.inner_l3 & 0x3fff,
        inner_l4: packet.inner_l4 & 0x3fff,
        length: packet.length & 0xffff,
        ..*packet
    }
}

macro_rules! stages {
    ($family:ident, $work:ident, $error:ident, $recall:ident, $follow:ident, $choose:ident, $begin:ident, $keep:ident, $trace:ident,
     $plain:ident, $tunnel:ident, $inner:ident, $answer:ident, $home:ident, $learn:ident, $take:ident, $ready:ident, $chosen:ident, $common:ident, $known:ident, $splice:ident, $greet:ident,
     $returned:ident) => {
        impl Staged for $family {
            #[inline(always)]
            fn work() -> Option<Entry<Work<$family>>> {
                lookup(map!($work), &0_u32)
            }

            #[inline(always)]
            fn common(frame: Frame) -> Option<Packet<$family>> {
                packet::$common(frame)
            }

            #[inline(always)]
            fn known(frame: Frame) -> Option<Packet<$family>> {
                packet::$known(frame)
            }

            #[inline(always)]
            fn chosen(ctx: *mut xdp_md, service: u32, backend: u32) -> bool {
                $chosen(ctx, service, backend) != 0
            }

            #[inline(always)]
            fn wrap(ctx: *mut xdp_md, backend: u32) -> u32 {
                let device = $ready(ctx, backend);
                if device != NO_DEVICE && $tunnel(ctx) != 0 {
                    return device;
                }
                NO_DEVICE
            }

            #[inline(always)]
            fn run(ctx: *mut xdp_md, stage: Stage) -> bool {
                0 != match stage {
                    Stage::Error => $error(ctx),
                    Stage::Recall => $recall(ctx),
                    Stage::Follow => $follow(ctx),
                    Stage::Choose => $choose(ctx),
                    Stage::Take => $take(ctx),
                    Stage::Begin => $begin(ctx),
                    Stage::Keep => $keep(ctx),
                }
            }

            #[inline(always)]
            fn trace(ctx: *mut xdp_md) {
                let _ = $trace(ctx);
            }

            #[inline(always)]
            fn rewrite(ctx: *mut xdp_md) -> bool {
                let Some(work) = Self::work() else {
                    return false;
                };
                // SAFETY: this processor's value.
                let work = unsafe { &*work.as_ptr() };
                if work.verdict.turn as u8 != Turn::None as u8 && $splice(ctx) == 0 {
                    return false;
                }
                0 != if Method::of(work.verdict.method) == Method::Tunnel {
                    $tunnel(ctx)
                } else if work.packet.kind == Kind::IcmpError {
                    $inner(ctx)
                } else {
                    $plain(ctx)
                }
            }

            #[inline(always)]
            fn learn(ctx: *mut xdp_md) {
                let _ = $learn(ctx);
            }

            #[inline(always)]
            fn answer(ctx: *mut xdp_md) -> bool {
                $answer(ctx) != 0
            }

            #[inline(always)]
            fn greet(ctx: *mut xdp_md) -> bool {
                $greet(ctx) != 0
            }
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $error(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Error)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $recall(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Recall)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $follow(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Follow)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $choose(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Choose)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $begin(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Begin)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $keep(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Keep)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $trace(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            trace::trace(
                &kernel(ctx),
                Context(ctx).frame(),
                &work.packet,
                &work.verdict,
            );
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $plain(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            act::plain(&mut Context(ctx), &bounded(&work.packet), &work.verdict)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $tunnel(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            act::tunnel(&mut Context(ctx), &bounded(&work.packet), &work.verdict)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $ready(ctx: *mut xdp_md, backend: u32) -> u32 {
            let way: Option<Entry<Way>> = lookup(map!(WAYS), &backend);
            if let Some(packet) = packet::$common(Context(ctx).frame())
                && let (Some(work), Some(way)) = (<$family>::work(), way)
            {
                // SAFETY: a map's value is readable.
                let hop = unsafe { (*way.as_ptr()).hop };
                // SAFETY: this processor's value, which nobody else uses while the program runs.
                let work = unsafe { &mut *work.as_ptr() };
                take_up(work, &packet);
                work.verdict.backend = backend;
                work.verdict.mss = 0;
                work.verdict.hop.become_of(&hop);
                return hop.ifindex;
            }
            NO_DEVICE
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $chosen(ctx: *mut xdp_md, service: u32, backend: u32) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            let Some(packet) = packet::$common(Context(ctx).frame()) else {
                return 0;
            };
            // SAFETY: this processor's value, which nobody else uses while the program runs.
            let work = unsafe { &mut *work.as_ptr() };
            take_up(work, &packet);
            work.verdict.renew(packet.tuple);
            work.verdict.road = Road::New;
            work.verdict.choice = Choice::Scheduler;
            work.verdict.service = service;
            work.verdict.backend = backend;
            1
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $take(ctx: *mut xdp_md) -> u32 {
            perform::<$family>(ctx, Stage::Take)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $inner(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            act::error(&mut Context(ctx), &bounded(&work.packet), &work.verdict)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        pub(super) extern "C" fn $home(service: u32, replicated: u32) -> u32 {
            let Some(work) = <$family>::work() else {
                return decide::NO_SLOT;
            };
            // SAFETY: this processor's value.
            let dst = unsafe { (*work.as_ptr()).packet.tuple.dst };
            decide::schedule::home::<$family, _>(&apart(), service, dst, replicated != 0)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $learn(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            let packet = bounded(&work.packet);
            let Some(told) = packet::narrow(Context(ctx).frame(), &packet) else {
                return 0;
            };
            let (to, v6) = (told.to, <$family as Family>::IS_V6);
            match told.inside {
                Inside::V4(tuple) => decide::learn::<V4, _>(&kernel(ctx), &tuple, to, v6, told.mtu),
                Inside::V6(tuple) => decide::learn::<V6, _>(&kernel(ctx), &tuple, to, v6, told.mtu),
            }
            1
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $answer(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            act::answer(&mut Context(ctx), &bounded(&work.packet), &work.verdict)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $splice(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            act::splice(&mut Context(ctx), &bounded(&work.packet), &work.verdict)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $greet(ctx: *mut xdp_md) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let work = unsafe { &*work.as_ptr() };
            act::greet(
                &kernel(ctx),
                &mut Context(ctx),
                &bounded(&work.packet),
                &work.verdict,
            )
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        pub(super) extern "C" fn $returned(seq: u32, ack: u32) -> u32 {
            let Some(work) = <$family>::work() else {
                return 0;
            };
            // SAFETY: this processor's value.
            let tuple = unsafe { (*work.as_ptr()).packet.tuple };
            decide::returned::<$family, _>(&apart(), &tuple, seq, ack)
        }
    };
}

stages!(
    V4, WORK4, error4, recall4, follow4, choose4, begin4, keep4, trace4, plain4, tunnel4, inner4,
    answer4, home4, learn4, take4, ready4, chosen4, common4, known4, splice4, greet4, returned4
);
stages!(
    V6, WORK6, error6, recall6, follow6, choose6, begin6, keep6, trace6, plain6, tunnel6, inner6,
    answer6, home6, learn6, take6, ready6, chosen6, common6, known6, splice6, greet6, returned6
);

/// The tables without a packet.
#[inline(always)]
pub(super) fn apart() -> Kernel {
    Kernel {
        ctx: core::ptr::null_mut(),
        ifindex: 0,
    }
}

/// [`fn@decide::schedule::pick`]: for both families.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn pick(service: u32, scheduler: u32, key: u32, more: u32) -> u32 {
    decide::schedule::pick::<V4, _>(&apart(), service, scheduler, key, more)
}

/// [`fn@decide::schedule::compare`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn compare(
    service: u32,
    scheduler: u32,
    offset: u32,
    from: u32,
    chosen: u32,
) -> u32 {
    decide::schedule::compare::<V4, _>(&apart(), service, scheduler, offset, from, chosen)
}

/// [`fn@decide::schedule::weigh`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn weigh(slot: u32, scheduler: u32) -> u64 {
    decide::schedule::weigh::<V4, _>(&apart(), slot, scheduler)
}

/// Whether hidden server ids are opened. The loader puts 0 here for kernels whose verifier cannot follow a cipher: it then
/// leaves out what is never run.
#[unsafe(no_mangle)]
static QUIC_CIPHERS: u8 = 1;

/// [`fn@xdp::quic::named`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn named(
    ctx: *mut xdp_md,
    service: u32,
    rotations: u32,
    begin: u32,
    end: u32,
) -> u32 {
    // SAFETY: a number in read-only memory. Volatile: the loader may have put another there.
    let ciphers = unsafe { core::ptr::read_volatile(&raw const QUIC_CIPHERS) } != 0;
    xdp::quic::named::<V4, _>(&kernel(ctx), service, (rotations, ciphers), begin, end)
}
