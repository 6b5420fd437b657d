//! Samples of decisions, into the ring that user space reads.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use xdp::{
    decide::{Action, Road, Tables, Verdict},
    packet::{Frame, Packet},
};

use super::{maps, tables::Kernel};
use crate::abi::{Family, TraceEvent, service_flags};

/// Puts a decision into the ring, if its service is watched and chance says so.
#[inline(always)]
pub(super) fn trace<F: Family>(
    kernel: &Kernel,
    frame: Frame,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) where
    Kernel: Tables<F>,
{
    let Some(settings) = kernel.settings() else {
        return;
    };
    // SAFETY: a map's value is readable.
    let (every, until) = unsafe { ((*settings.as_ptr()).trace, (*settings.as_ptr()).trace_until) };
    if every == 0 {
        return;
    }
    if kernel.now().is_past(until.0) {
        // Whoever listened has gone without a word: packets take the short road again.
        // SAFETY: a map's value is writable, and a word of it is written whole.
        unsafe { (*settings.as_ptr()).trace = 0 };
        return;
    }
    let Some(service) = kernel.service(verdict.service) else {
        return;
    };
    // SAFETY: a map's value is readable.
    let watched = unsafe { (*service.as_ptr()).flags } & service_flags::TRACE != 0;
    if watched && (every == 1 || kernel.random() % every == 0) {
        emit(kernel.ifindex, frame.len() as u32, packet, verdict);
    }
}

#[inline(always)]
fn emit<F: Family>(ifindex: u32, length: u32, packet: &Packet<F>, verdict: &Verdict<F>) {
    let Some(mut place) = maps::TRACE.reserve_untyped::<TraceEvent>(0) else {
        return;
    };
    let event = TraceEvent {
        // SAFETY: no arguments.
        nanos: unsafe { bpf_ktime_get_ns() },
        src: F::widen(packet.tuple.src),
        dst: F::widen(packet.tuple.dst),
        sport: packet.tuple.sport,
        dport: packet.tuple.dport,
        proto: packet.tuple.proto,
        family: if F::IS_V6 { 6 } else { 4 },
        verdict: match (verdict.action, verdict.road) {
            (Action::Pass, _) => 0,
            (Action::Forward, Road::Established) => 2,
            (Action::Forward, Road::New) => 3,
            (Action::Forward, Road::Reply) => 4,
            (Action::Cookie, _) => 5,
            _ => 1,
        },
        reason: verdict.reason,
        backend: verdict.backend,
        service: verdict.service,
        ifindex,
        length,
    };
    place.write(event);
    place.submit(0);
}
