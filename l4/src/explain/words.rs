//! A decision in words.

use std::net::{IpAddr, SocketAddr};

use xdp::{
    abi::{
        Backend, Encap, Family, Flow, FlowState, Hop, Mac, Method as AbiMethod, Role, Tuple, V4,
        V6, backend_flags, service_flags,
    },
    decide::{Action, Choice, NO_SLOT, Road, Table, Tables, Turn, Verdict},
    packet::{Kind, Packet, header::proto},
    rewrite::overhead,
};

use super::{
    Explanation,
    cells::copy,
    choice::{candidates, choice},
    frame::flags_word,
    reason,
    source::{Lookup, Source},
    view::{View, Viewed},
};
use crate::{filter::protocol_word, status::Method, trace::ip};

/// A decision, and what there was before it and after.
pub(super) struct Decided<F: Family> {
    pub(super) packet: Packet<F>,
    pub(super) verdict: Verdict<F>,
    pub(super) before: Option<(Flow<F>, Table)>,
    pub(super) after: Option<(Flow<F>, Table)>,
}

/// All that there is to say.
pub(super) fn explain<F: Viewed, S: Source + Lookup<F>>(
    view: &View<'_, S>,
    decided: &Decided<F>,
) -> Explanation {
    let verdict = &decided.verdict;
    let backend = Tables::<F>::backend(view, verdict.backend).map(copy);
    let why = reason(verdict);
    let mut explanation = Explanation {
        packet: packet_words(&decided.packet),
        verdict: match verdict.action {
            Action::Pass => "pass",
            Action::Forward => "forward",
            Action::Drop => "drop",
            Action::TooBig | Action::TtlExceeded | Action::Unreachable | Action::Cookie => "answer",
        }
        .into(),
        road: match verdict.road {
            Road::Established => Some("established".into()),
            Road::New => Some("new".into()),
            Road::Reply => Some("reply".into()),
            Road::None | Road::Refused => None,
        },
        reason: why.map(|(word, _)| word.into()),
        service: view.source.named(verdict.service).map(|(name, _)| name),
        backend: backend.map(|b| address(&b)),
        method: backend.map(|_| method(AbiMethod::of(verdict.method))),
        ..Explanation::default()
    };
    let steps = &mut explanation.steps;
    steps.push(known(view, decided));
    if verdict.road == Road::New || (verdict.road == Road::None && verdict.service != NO_SLOT) {
        steps.push(service(view, decided));
    }
    if verdict.road == Road::New
        && let Some(service) = Tables::<F>::service(view, verdict.service).map(copy)
    {
        steps.push(choice(&service, verdict.choice));
        explanation.candidates = candidates(view, &service, decided);
    }
    if let Some(backend) = backend.filter(|_| verdict.action == Action::Forward) {
        let reply = verdict.road == Road::Reply;
        let becomes = becomes(&decided.packet, verdict, &backend, reply);
        steps.extend(turn(verdict.turn));
        steps.push(becomes.clone());
        explanation.becomes = Some(becomes);
        let hop = hop_words(view.source, &verdict.hop);
        steps.push(format!("it leaves by {hop}"));
        explanation.next_hop = Some(hop);
        if verdict.mss != 0 {
            steps.push(format!("its MSS is made no more than {}", verdict.mss));
        }
        steps.extend(remembered(decided));
    }
    if verdict.action == Action::Cookie {
        steps.push(cookie(view, verdict));
    }
    if let Some((_, sentence)) = why {
        steps.push(outcome(verdict, sentence));
    }
    explanation
}

/// That it is answered with a cookie, and why.
fn cookie<F: Viewed, S: Source + Lookup<F>>(view: &View<'_, S>, verdict: &Verdict<F>) -> String {
    let service = Tables::<F>::service(view, verdict.service).map(copy);
    let automatic = service.is_some_and(|s| s.flags & service_flags::COOKIES_AUTO != 0);
    let open = view.source.guard(verdict.service).unwrap_or_default().open;
    let why = if automatic {
        format!("{open} handshakes of the service are open, which is too many")
    } else {
        "the service says so".into()
    };
    format!(
        "it is answered with a SYN cookie (MSS {}) and forgotten: {why}; a backend is chosen when the client \
         acknowledges that",
        verdict.mss
    )
}

/// What is done to a segment of a connection that a cookie opened.
fn turn(turn: Turn) -> Option<String> {
    let words = match turn {
        Turn::None => return None,
        Turn::Open => {
            "it brings a SYN cookie back, and the backend has not answered yet: it becomes a SYN"
        }
        Turn::Offer => {
            "the client's handshake is complete: the SYN-ACK becomes a segment that opens its window"
        }
        Turn::Refuse => "the RST gets the number that the client waits for",
        Turn::Abort => "the backend has not answered yet: the RST acknowledges nothing",
        Turn::Shift => {
            "a SYN cookie opened the connection: the numbers of what the backend sends are moved"
        }
    };
    Some(words.into())
}

fn outcome<F: Family>(verdict: &Verdict<F>, why: &str) -> String {
    match verdict.action {
        Action::Pass => format!("it is left to this machine's own network stack: {why}"),
        Action::TooBig => format!("it is dropped: {why} ({} bytes)", verdict.mtu),
        Action::Unreachable => format!("it is dropped, and the client is told by ICMP: {why}"),
        _ => format!("it is dropped: {why}"),
    }
}

/// The packet by its addresses and what of it decides.
fn packet_words<F: Family>(packet: &Packet<F>) -> String {
    let mut words = tuple(&packet.tuple);
    if packet.tuple.proto == proto::TCP && packet.kind != Kind::IcmpError {
        words += &format!(", {}", flags_word(packet.tcp_flags));
    }
    words += &format!(", {} bytes", packet.length);
    match packet.kind {
        Kind::Whole => words,
        Kind::FirstFragment => words + ", the first fragment",
        Kind::LaterFragment => words + ", a later fragment",
        Kind::IcmpError => format!("an ICMP error about {words}"),
    }
}

fn tuple<F: Family>(tuple: &Tuple<F>) -> String {
    let (source, destination) = ends(tuple);
    format!("{} {source} > {destination}", protocol_word(tuple.proto))
}

fn ends<F: Family>(tuple: &Tuple<F>) -> (SocketAddr, SocketAddr) {
    let end = |address: F::Addr, port: u16| {
        SocketAddr::new(ip(F::widen(address), F::IS_V6), u16::from_be(port))
    };
    (end(tuple.src, tuple.sport), end(tuple.dst, tuple.dport))
}

/// Whether its connection is remembered.
fn known<F: Viewed, S: Source + Lookup<F>>(view: &View<'_, S>, decided: &Decided<F>) -> String {
    if decided.packet.kind == Kind::IcmpError {
        return match decided.verdict.choice {
            Choice::Flow => {
                "the packet it is about belongs to a connection that is remembered".into()
            }
            _ => "the packet it is about belongs to no connection that is remembered".into(),
        };
    }
    let Some((flow, table)) = &decided.before else {
        return "no connection of these addresses is remembered".into();
    };
    let now = view.source.now();
    let left = flow.expires.wrapping_sub(now.0);
    let seconds = if now.is_past(flow.expires) {
        "and has expired".into()
    } else {
        let nanos = u64::from(left) << xdp::abi::Tick::SHIFT;
        format!("for {} s more", nanos / 1_000_000_000)
    };
    let from = match Role::of(flow.role) {
        Role::Forward => "from its client",
        Role::Reverse => "from its backend",
    };
    let place = match table {
        Table::Established => "",
        Table::Pending => ", its handshake not complete",
    };
    format!(
        "it is a packet {from} of a connection remembered as {}{place}, {seconds}",
        state_word(flow.state)
    )
}

/// A state by IPVS's name.
fn state_word(state: u8) -> &'static str {
    match FlowState::of(state) {
        FlowState::None => "NONE",
        FlowState::Established | FlowState::Sctp => "ESTABLISHED",
        FlowState::SynSent => "SYN_SENT",
        FlowState::SynRecv => "SYN_RECV",
        FlowState::FinWait => "FIN_WAIT",
        FlowState::TimeWait => "TIME_WAIT",
        FlowState::Close => "CLOSE",
        FlowState::CloseWait => "CLOSE_WAIT",
        FlowState::LastAck => "LAST_ACK",
        FlowState::Listen => "LISTEN",
        FlowState::SynAck => "SYNACK",
        FlowState::Udp => "UDP",
    }
}

/// Which service it is for.
fn service<F: Viewed, S: Source + Lookup<F>>(view: &View<'_, S>, decided: &Decided<F>) -> String {
    let slot = decided.verdict.service;
    let (_, to) = ends(&decided.packet.tuple);
    match view.source.named(slot) {
        Some((name, _)) => format!("{to} is an address of service {name}"),
        None => format!("{to} is an address of a service in slot {slot}"),
    }
}

/// How the packet leaves.
fn becomes<F: Family>(
    packet: &Packet<F>,
    verdict: &Verdict<F>,
    backend: &Backend,
    reply: bool,
) -> String {
    let to = ip(backend.address, backend.flags & backend_flags::V6 != 0);
    match AbiMethod::of(verdict.method) {
        AbiMethod::Nat if packet.kind == Kind::IcmpError => {
            format!(
                "it leaves, and what it is about, translated (nat); the connection there is {}",
                tuple(&verdict.to)
            )
        }
        AbiMethod::Nat => format!("it leaves translated (nat): {}", tuple(&verdict.to)),
        AbiMethod::Direct => {
            format!("it leaves as it is, to the link-layer address of {to} (direct)")
        }
        AbiMethod::Tunnel if !reply => tunnel(backend, to),
        _ => "it leaves as it is".into(),
    }
}

fn tunnel(backend: &Backend, to: IpAddr) -> String {
    let encap = Encap::of(backend.encap);
    let checksum = backend.flags & backend_flags::TUNNEL_CHECKSUM != 0;
    let around = match to {
        IpAddr::V4(_) => overhead::<V4>(encap, checksum),
        IpAddr::V6(_) => overhead::<V6>(encap, checksum),
    };
    let how = match encap {
        Encap::IpIp => "IP in IP".into(),
        Encap::Gre => "GRE".into(),
        Encap::Gue => format!("GUE to port {}", u16::from_be(backend.tunnel_port)),
    };
    format!("it leaves in a tunnel to {to}: {how}, {around} bytes around it")
}

fn hop_words(source: &impl Source, hop: &Hop) -> String {
    let interface = source
        .interface(hop.ifindex)
        .unwrap_or_else(|| format!("device {}", hop.ifindex));
    let vlan = match hop.vlan & 0x0fff {
        0 => String::new(),
        vlan => format!(", VLAN {vlan}"),
    };
    format!("{interface}{vlan} to {}, MTU {}", mac(hop.target), hop.mtu)
}

fn mac(mac: Mac) -> String {
    let bytes = [mac.a, mac.b, mac.c].map(u16::to_ne_bytes);
    let words: Vec<String> = bytes
        .iter()
        .flatten()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    words.join(":")
}

/// What is remembered of it afterwards.
fn remembered<F: Family>(decided: &Decided<F>) -> Option<String> {
    let (flow, table) = decided.after.as_ref()?;
    let place = match table {
        Table::Established => "among established connections",
        Table::Pending => "among handshakes",
    };
    let state = state_word(flow.state);
    match &decided.before {
        None => Some(format!(
            "a new connection is remembered as {state}, {place}"
        )),
        Some((old, was)) if old.state != flow.state || was != table => Some(format!(
            "the connection is remembered as {state} from then on, {place}"
        )),
        Some(_) => None,
    }
}

pub(super) fn address(backend: &Backend) -> SocketAddr {
    let v6 = backend.flags & backend_flags::V6 != 0;
    SocketAddr::new(ip(backend.address, v6), u16::from_be(backend.port))
}

fn method(method: AbiMethod) -> Method {
    match method {
        AbiMethod::Nat => Method::Nat,
        AbiMethod::Direct => Method::Direct,
        AbiMethod::Tunnel => Method::Tunnel,
        AbiMethod::Local => Method::Local,
    }
}
