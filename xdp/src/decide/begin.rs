//! A packet of no flow: the service it is for, a backend, a new flow.

use super::{
    Action, Choice, Entry, Inserted, NO_SLOT, Road, Seen, Table, Tables, Turn, Verdict,
    cookie::{self, Met},
    count, depart, find, follow, get, load, put, schedule, service, tcp, template,
};
use crate::{
    abi::{
        Addr6, Backend, Family, Flow, FlowState, Method, PORT_TRIES, PassReason, Reason, Role,
        Service, Tuple, backend_flags, flow_flags, service_flags, settings_flags,
    },
    packet::{
        Kind, Packet,
        header::{
            proto,
            tcp_flags::{ACK, RST, SYN},
        },
    },
    quic,
};

/// Finds the service and the backend for a packet that belongs to no flow. False: there is none, and that was decided
/// on.
#[inline(always)]
pub(super) fn choose<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    verdict: &mut Verdict<F>,
) -> bool {
    let Some(slot) = service::find(tables, &packet.tuple) else {
        // Its client would reset the backend's half of a connection whose address it does not know, and wait for ever
        // for the answer of the one it knows.
        if has(tables, settings_flags::MOVING) && service::answers(tables, packet, verdict) {
            verdict.drop(Reason::Carrying);
        } else {
            verdict.pass(PassReason::NotOurs);
        }
        return false;
    };
    let Some(service) = tables.service(slot) else {
        verdict.pass(PassReason::NotOurs);
        return false;
    };
    let flags = get!(service.flags);
    if flags & service_flags::PRESENT == 0 {
        verdict.pass(PassReason::NotOurs);
        return false;
    }
    verdict.service = slot;
    if packet.tuple.proto == proto::TCP && flags & service_flags::SYN_COOKIES != 0 {
        let met = cookie::meet(tables, packet, flags, slot, verdict);
        if met as u8 == Met::Decided as u8 {
            return false;
        }
    }
    if packet.tuple.proto == proto::TCP {
        let first = packet.tcp_flags & (SYN | ACK | RST) == SYN;
        let sloppy = flags & service_flags::SLOPPY != 0 && packet.tcp_flags & RST == 0;
        // A later fragment whose flow has gone has nothing by which a new one could begin.
        if (!first && !sloppy) || packet.kind == Kind::LaterFragment {
            // Flows are on their way into these tables.
            if has(tables, settings_flags::CARRYING) {
                verdict.drop(Reason::Carrying);
            } else {
                verdict.pass(PassReason::NoFlow);
            }
            return false;
        }
        if has(tables, settings_flags::HOLDING) {
            verdict.drop(Reason::Carrying);
            return false;
        }
    }
    verdict.backend = backend(tables, packet, service, slot, verdict);
    take(tables, packet, verdict)
}

/// Whether this holds for all services.
#[inline(always)]
fn has<F: Family, T: Tables<F>>(tables: &T, flag: u32) -> bool {
    let settings = tables.settings();
    settings.is_some_and(|settings| get!(settings.flags) & flag != 0)
}

/// What it makes of a packet that its verdict names service and backend. False: there is no such backend, and that was
/// decided on.
#[inline(always)]
pub(super) fn take<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    verdict: &mut Verdict<F>,
) -> bool {
    verdict.road = Road::New;
    let chosen = verdict.backend;
    let Some(backend) = tables.backend(chosen) else {
        verdict.backend = NO_SLOT;
        if verdict.turn as u8 == Turn::Open as u8 {
            // The client is connected already, and would not believe ICMP: the machine's own stack resets it.
            verdict.turn = Turn::None;
            verdict.pass(PassReason::NoFlow);
            return false;
        }
        verdict.drop(Reason::NoBackend);
        verdict.action = Action::Unreachable;
        return false;
    };
    verdict.method = get!(backend.method);
    verdict.to = address(packet, backend);
    if let Some(counters) = tables.counters(chosen) {
        put!(counters.connections = get!(counters.connections).wrapping_add(1));
    }
    true
}

/// Begins the flow of a packet for which a backend was chosen.
#[inline(always)]
pub(super) fn begin<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    verdict: &mut Verdict<F>,
) {
    let Some(service) = tables.service(verdict.service) else {
        return verdict.drop(Reason::NoBackend);
    };
    if get!(service.flags) & service_flags::ONE_PACKET != 0 && packet.tuple.proto != proto::TCP {
        count(tables, verdict.backend, packet.length, false);
        return depart::depart(tables, packet, None, verdict);
    }
    if let Some(flow) = create(tables, packet, service, verdict) {
        count(tables, verdict.backend, packet.length, false);
        if packet.tcp_flags & SYN != 0 {
            follow::clamp(tables, verdict);
        }
        depart::depart(tables, packet, Some(flow), verdict);
    }
}

/// The backend's slot, [`NO_SLOT`] if there is none.
#[inline(always)]
fn backend<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    service: Entry<Service>,
    slot: u32,
    verdict: &mut Verdict<F>,
) -> u32 {
    if get!(service.flags) & service_flags::QUIC_LB != 0
        && let Some((begin, end)) = quic::payload(packet)
    {
        let named = tables.named(slot, get!(service.quic), begin, end);
        if named != NO_SLOT {
            verdict.choice = Choice::ConnectionId;
            return named;
        }
    }
    let persistent = get!(service.flags) & service_flags::PERSISTENT != 0;
    if persistent && let Some(known) = template::recall(tables, packet.tuple.src, service, slot) {
        verdict.choice = Choice::Template;
        return known;
    }
    let chosen = schedule::schedule(tables, service, slot, &packet.tuple);
    if chosen != NO_SLOT {
        verdict.choice = Choice::Scheduler;
        if persistent {
            template::keep(tables, packet.tuple.src, service, slot, chosen);
        }
    }
    chosen
}

/// What the packet's tuple becomes on its way to a backend, but for a source of ours.
#[inline(always)]
pub(super) fn address<F: Family>(packet: &Packet<F>, backend: Entry<Backend>) -> Tuple<F> {
    let mut to = packet.tuple;
    if Method::of(get!(backend.method)) == Method::Nat {
        to.dst = F::narrow(get!(backend.address));
        let port = get!(backend.port);
        to.dport = if port == 0 { packet.tuple.dport } else { port };
    }
    to
}

/// Puts a new flow into the tables: the entry of the client's direction. None: the verdict says why not.
#[inline(always)]
fn create<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    service: Entry<Service>,
    verdict: &mut Verdict<F>,
) -> Option<Entry<Flow<F>>> {
    let settings = tables.settings()?;
    let flags = get!(service.flags);
    let method = Method::of(verdict.method);
    let two_way = method == Method::Nat;
    let state = first_state(packet, two_way);
    let now = tables.now();
    let active = packet.tuple.proto == proto::TCP && state.is_active();
    let mut own = flow_flags::PENDING;
    if flags & service_flags::PERSISTENT != 0 {
        own |= flow_flags::PERSISTENT;
    }
    if flags & service_flags::FULL_NAT != 0 && two_way {
        own |= flow_flags::FULL_NAT;
    }
    let draft = tables.draft()?;
    let timeout = follow::timeout(tables, settings, verdict.service, state);
    put!(draft.expires = now.0.wrapping_add(timeout));
    put!(draft.state = state as u8);
    put!(draft.method = verdict.method);
    put!(draft.backend = verdict.backend);
    put!(draft.service = verdict.service);
    answers(draft, &packet.tuple);
    if verdict.turn as u8 == Turn::Open as u8 && two_way {
        own |= flow_flags::SPLICED;
        put!(draft.delta = verdict.cookie);
    }
    put!(draft.flags = own);
    if two_way {
        let taken = if own & flow_flags::FULL_NAT != 0 {
            claim(tables, service, draft, verdict)
        } else {
            occupy(tables, &verdict.to.reversed())
        };
        match taken {
            Inserted::Yes => {}
            Inserted::Taken => {
                verdict.drop(if own & flow_flags::FULL_NAT != 0 {
                    Reason::NoPort
                } else {
                    Reason::TupleTaken
                });
                return None;
            }
            Inserted::Full => {
                verdict.drop(Reason::TableFull);
                return None;
            }
        }
    } else {
        own |= flow_flags::ONE_WAY;
    }
    if active {
        own |= flow_flags::ACTIVE;
    }
    put!(draft.flags = own);
    put!(draft.delta = verdict.number);
    leads(draft, &verdict.to);
    // A flow that begins in its middle has no handshake to wait for.
    if tables.insert(Table::Pending, &packet.tuple) != Inserted::Yes {
        verdict.drop(Reason::TableFull);
        return None;
    }
    if let Some(backend) = tables.backend(verdict.backend) {
        load::begins(tables, verdict.backend, backend, active);
    }
    cookie::opens(tables, verdict.service, flags, packet.tuple.proto);
    tables.flow(Table::Pending, &packet.tuple)
}

/// Makes the flow in hand the entry of the replies to packets of this tuple; `flags` are those of one that begins.
#[inline(always)]
pub(super) fn answers<F: Family>(draft: Entry<Flow<F>>, from: &Tuple<F>) {
    put!(draft.role = Role::Reverse as u8);
    put!(draft.flags = flow_flags::PENDING);
    put!(draft.delta = 0);
    put!(draft.src = from.dst);
    put!(draft.dst = from.src);
    put!(draft.sport = from.dport);
    put!(draft.dport = from.sport);
    // SAFETY: an entry's address is writable while it is used.
    unsafe { (*draft.as_ptr()).hop.forget() };
}

/// Makes the entry of the replies that of the client's direction, whose packets become this.
#[inline(always)]
pub(super) fn leads<F: Family>(draft: Entry<Flow<F>>, to: &Tuple<F>) {
    put!(draft.role = Role::Forward as u8);
    put!(draft.src = to.src);
    put!(draft.dst = to.dst);
    put!(draft.sport = to.sport);
    put!(draft.dport = to.dport);
}

/// The state of a flow that begins with this packet; `two_way` if replies pass us.
#[inline(always)]
pub(super) fn first_state<F: Family>(packet: &Packet<F>, two_way: bool) -> FlowState {
    match packet.tuple.proto {
        proto::TCP => {
            let seen = if two_way {
                Seen::Client
            } else {
                Seen::ClientAlone
            };
            tcp(FlowState::None, packet.tcp_flags, seen)
        }
        proto::UDP => FlowState::Udp,
        _ => FlowState::Sctp,
    }
}

/// Puts the entry of the replies, which is in hand, in, in place of one whose time is up.
#[inline(always)]
fn occupy<F: Family, T: Tables<F>>(tables: &T, key: &Tuple<F>) -> Inserted {
    if let Some((old, _)) = find(tables, key) {
        let now = tables.now();
        let over = now.is_past(get!(old.expires))
            || (key.proto == proto::TCP && super::is_over(FlowState::of(get!(old.state))));
        if !over || get!(old.role) == Role::Forward as u8 {
            return Inserted::Taken;
        }
        follow::end(tables, key, old, false);
    }
    tables.insert(Table::Pending, key)
}

/// Full NAT: finds a source address and port of ours that no flow to this backend has.
#[inline(always)]
fn claim<F: Family, T: Tables<F>>(
    tables: &T,
    service: Entry<Service>,
    draft: Entry<Flow<F>>,
    verdict: &mut Verdict<F>,
) -> Inserted {
    let Some(settings) = tables.settings() else {
        return Inserted::Full;
    };
    let range = get!(settings.source_ports);
    let (first, last) = (range >> 16, range & 0xffff);
    let span = last.saturating_sub(first) + 1;
    let random = schedule::hash(
        tables.random() ^ get!(settings.seed),
        F::fold(get!(draft.dst)) ^ u32::from(get!(draft.dport)),
    );
    let source = get!(service.source);
    let sources = get!(service.sources);
    let nth = if sources > 1 {
        schedule::hash(random, 1) % sources
    } else {
        0
    };
    verdict.to.src = F::narrow(nth_source::<F>(source, nth));
    let mut result = Inserted::Taken;
    let mut i = 0;
    while i < PORT_TRIES {
        let port = first + (random.wrapping_add(i.wrapping_mul(0x9e37))) % span;
        verdict.to.sport = (port as u16).to_be();
        let key = verdict.to.reversed();
        if tables.flow(Table::Established, &key).is_none() {
            result = tables.insert(Table::Pending, &key);
            if result != Inserted::Taken {
                break;
            }
        }
        i += 1;
    }
    result
}

/// The n-th address from `first` on, counted in its last 32 bits.
#[inline(always)]
fn nth_source<F: Family>(first: Addr6, n: u32) -> Addr6 {
    let mut address = first;
    if F::IS_V6 {
        address.d = u32::from_be(address.d).wrapping_add(n).to_be();
    } else {
        address.a = u32::from_be(address.a).wrapping_add(n).to_be();
    }
    address
}

/// Whether a backend may be given new work.
#[inline(always)]
pub(super) fn takes(flags: u32) -> bool {
    let wanted = backend_flags::PRESENT | backend_flags::TAKES;
    flags & (wanted | backend_flags::REMOVED) == wanted
}
