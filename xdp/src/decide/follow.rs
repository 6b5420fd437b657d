//! A packet of a known flow: its state, which table it belongs in, and whether it still is one.

use super::{
    Choice, Entry, Inserted, Road, Seen, Table, Tables, Verdict, at, cookie, count, depart, find,
    get, is_over, load, put, splice, tcp,
};
use crate::{
    abi::{
        Family, Flow, FlowState, Method, PassReason, Reason, Role, Settings, Tick, Tuple,
        backend_flags, flow_flags, settings_flags,
    },
    packet::{
        Packet,
        header::{
            proto,
            tcp_flags::{ACK, RST, SYN},
        },
    },
    verifier::below,
};

/// How long a flow in a state is remembered, ticks.
#[inline(always)]
pub(super) fn timeout<F: Family, T: Tables<F>>(
    tables: &T,
    settings: Entry<Settings>,
    service: u32,
    state: FlowState,
) -> u32 {
    if matches!(state, FlowState::Udp | FlowState::Sctp)
        && let Some(service) = tables.service(service)
    {
        let own = get!(service.timeout);
        if own != 0 {
            return own;
        }
    }
    timeout_of(settings, state)
}

/// The setting for a state.
#[inline(always)]
pub(super) fn timeout_of(settings: Entry<Settings>, state: FlowState) -> u32 {
    let first: *const u32 = at!(settings.timeouts).cast();
    // SAFETY: 16 numbers follow, of which the first are timeouts.
    unsafe { *first.add(below(state as usize, 15)) }
}

const _: () = assert!(size_of::<Settings>() >= core::mem::offset_of!(Settings, timeouts) + 16 * 4);

/// Decides on a packet by its flow. False: it has none (any more), it is as one of a new connection.
#[inline(always)]
pub(super) fn follow<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    verdict: &mut Verdict<F>,
) -> bool {
    let Some((flow, table)) = find(tables, &packet.tuple) else {
        return false;
    };
    let Some(settings) = tables.settings() else {
        return false;
    };
    let now = tables.now();
    let forward = get!(flow.role) == Role::Forward as u8;
    let slot = get!(flow.backend);
    let flags = tables
        .backend(slot)
        .map_or(0, |backend| get!(backend.flags));
    let gone = flags & (backend_flags::PRESENT | backend_flags::REMOVED) != backend_flags::PRESENT;
    if gone && get!(settings.flags) & settings_flags::SERVICES == 0 {
        // As with IPVS, whose hooks are gone with the last service.
        verdict.pass(PassReason::NotOurs);
        return true;
    }
    if is_dead(tables, packet, flow, now, forward) || (gone && flags & backend_flags::EXPIRE != 0) {
        end(tables, &packet.tuple, flow, forward);
        return false;
    }
    verdict.road = if forward {
        Road::Established
    } else {
        Road::Reply
    };
    verdict.choice = Choice::Flow;
    verdict.service = get!(flow.service);
    verdict.backend = slot;
    verdict.method = get!(flow.method);
    if gone {
        verdict.drop(Reason::BackendGone);
        return true;
    }
    if splice::is_spliced(flow) && !splice::turn(tables, packet, flow, forward, verdict) {
        return true;
    }
    advance(tables, packet, flow, settings, now);
    count(tables, slot, packet.length, !forward);
    verdict.to = Tuple::new(
        get!(flow.src),
        get!(flow.dst),
        get!(flow.sport),
        get!(flow.dport),
        packet.tuple.proto,
    );
    if packet.tcp_flags & SYN != 0 {
        clamp(tables, verdict);
    }
    depart::depart(tables, packet, Some(flow), verdict);
    if forward && table == Table::Pending && is_confirmed(tables, packet, flow) {
        promote(tables, packet, flow);
    }
    true
}

/// The service's MSS limit, for a SYN or its answer.
#[inline(always)]
pub(super) fn clamp<F: Family, T: Tables<F>>(tables: &T, verdict: &mut Verdict<F>) {
    if let Some(service) = tables.service(verdict.service) {
        verdict.mss = get!(service.mss);
    }
}

/// Whether a flow has ended: its time is up in both directions, or a client begins anew with its ports.
#[inline(always)]
fn is_dead<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    flow: Entry<Flow<F>>,
    now: Tick,
    forward: bool,
) -> bool {
    if forward
        && packet.tcp_flags & (SYN | ACK | RST) == SYN
        && packet.tuple.proto == proto::TCP
        && (is_over(FlowState::of(get!(flow.state))) || splice::is_void(flow))
    {
        return true;
    }
    if !now.is_past(get!(flow.expires)) {
        return false;
    }
    match partner(tables, flow, packet.tuple.proto) {
        Some(other) => now.is_past(get!(other.expires)),
        None => true,
    }
}

/// The entry of the other direction.
#[inline(always)]
pub(super) fn partner<F: Family, T: Tables<F>>(
    tables: &T,
    flow: Entry<Flow<F>>,
    proto: u8,
) -> Option<Entry<Flow<F>>> {
    if get!(flow.flags) & flow_flags::ONE_WAY != 0 {
        return None;
    }
    let key = Tuple::new(
        get!(flow.dst),
        get!(flow.src),
        get!(flow.dport),
        get!(flow.sport),
        proto,
    );
    find(tables, &key).map(|(flow, _)| flow)
}

/// Takes both directions of a flow out of the tables.
#[inline(always)]
pub(super) fn end<F: Family, T: Tables<F>>(
    tables: &T,
    key: &Tuple<F>,
    flow: Entry<Flow<F>>,
    forward: bool,
) {
    let (slot, flags, service) = (get!(flow.backend), get!(flow.flags), get!(flow.service));
    let other = Tuple::new(
        get!(flow.dst),
        get!(flow.src),
        get!(flow.dport),
        get!(flow.sport),
        key.proto,
    );
    let mut active = flags & flow_flags::ACTIVE != 0;
    let mut counted = true;
    if !forward {
        // Only the client's direction knows how it is counted.
        match find(tables, &other) {
            Some((main, _)) => active = get!(main.flags) & flow_flags::ACTIVE != 0,
            None => counted = false,
        }
    }
    let mut was_there = remove(tables, key);
    if flags & flow_flags::ONE_WAY == 0 {
        let there = remove(tables, &other);
        if !forward {
            was_there = there;
        }
    }
    // The sweep may have been first: who took it out counts it out.
    if was_there && counted {
        cookie::closes(tables, service, flags, key.proto);
        load::ends(tables, slot, active);
    }
}

/// Takes one direction out of either table.
#[inline(always)]
fn remove<F: Family, T: Tables<F>>(tables: &T, key: &Tuple<F>) -> bool {
    let established = tables.remove(Table::Established, key);
    tables.remove(Table::Pending, key) || established
}

/// Brings a flow's state and time to where a packet takes them.
#[inline(always)]
fn advance<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    flow: Entry<Flow<F>>,
    settings: Entry<Settings>,
    now: Tick,
) {
    let forward = get!(flow.role) == Role::Forward as u8;
    let one_way = get!(flow.flags) & flow_flags::ONE_WAY != 0;
    let old = FlowState::of(get!(flow.state));
    let mut state = old;
    if packet.tuple.proto == proto::TCP {
        let other = if one_way {
            None
        } else {
            partner(tables, flow, packet.tuple.proto)
        };
        // The client's direction keeps the state, the other a copy.
        let main = if forward { Some(flow) } else { other };
        if let Some(main) = main {
            let from = FlowState::of(get!(main.state));
            let seen = match (forward, one_way) {
                (false, _) => Seen::Backend,
                (true, true) => Seen::ClientAlone,
                (true, false) => Seen::Client,
            };
            state = tcp(from, packet.tcp_flags, seen);
            if state != from {
                put!(main.flags = load::moves(tables, get!(main.backend), get!(main.flags), state));
                put!(main.state = state as u8);
            }
        }
        if let Some(other) = other
            && (!forward || get!(other.state) != state as u8)
        {
            let until = now
                .0
                .wrapping_add(timeout(tables, settings, get!(flow.service), state));
            put!(other.state = state as u8);
            put!(other.expires = until);
        }
        if !forward {
            // That the backend has answered is what makes an acknowledgement believable. (A spliced flow has said so.)
            if !splice::is_spliced(flow) {
                put!(flow.flags = get!(flow.flags) | flow_flags::ANSWERED);
            }
            put!(flow.state = state as u8);
        }
    }
    put!(
        flow.expires = now
            .0
            .wrapping_add(timeout(tables, settings, get!(flow.service), state))
    );
}

/// Whether a packet from the client shows that the flow is more than a first packet: TCP's handshake is complete, or
/// it is the second of another protocol.
#[inline(always)]
fn is_confirmed<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    flow: Entry<Flow<F>>,
) -> bool {
    if packet.tuple.proto != proto::TCP {
        return true;
    }
    if packet.tcp_flags & (SYN | RST) != 0 || packet.tcp_flags & ACK == 0 {
        return false;
    }
    // Of nat the backend's answer is seen: without it, the acknowledgement is made up.
    get!(flow.flags) & flow_flags::ONE_WAY != 0
        || partner(tables, flow, packet.tuple.proto)
            .is_some_and(|other| get!(other.flags) & flow_flags::ANSWERED != 0)
}

/// Brings a flow from the table of handshakes into that of established flows.
#[inline(always)]
fn promote<F: Family, T: Tables<F>>(tables: &T, packet: &Packet<F>, flow: Entry<Flow<F>>) {
    let one_way = get!(flow.flags) & flow_flags::ONE_WAY != 0;
    let key = Tuple::new(
        get!(flow.dst),
        get!(flow.src),
        get!(flow.dport),
        get!(flow.sport),
        packet.tuple.proto,
    );
    let service = get!(flow.service);
    if !raise(tables, &packet.tuple) {
        return;
    }
    cookie::closes(tables, service, flow_flags::PENDING, packet.tuple.proto);
    if !one_way {
        let _ = raise(tables, &key);
    }
}

/// Brings one entry over. It is in one table at every moment.
#[inline(always)]
fn raise<F: Family, T: Tables<F>>(tables: &T, key: &Tuple<F>) -> bool {
    let Some(flow) = tables.flow(Table::Pending, key) else {
        return false;
    };
    put!(flow.flags = get!(flow.flags) & !flow_flags::PENDING);
    let Some(draft) = tables.draft() else {
        return false;
    };
    crate::flows::copy(flow, draft);
    let inserted = tables.insert(Table::Established, key) != Inserted::Full;
    if inserted {
        let _ = tables.remove(Table::Pending, key);
    }
    inserted
}

/// Whether a flow's packets are the machine's own.
#[inline(always)]
pub(super) fn is_local(method: u8) -> bool {
    Method::of(method) == Method::Local
}
