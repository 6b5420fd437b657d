//! Flows from their first packet to their last.

use super::{ACK, CLIENT, FIN, PORT, SYN, Site, VIP, backend_address, packet, tcp, udp};
use crate::{
    abi::{
        FlowState, PassReason, Reason, Scheduler, Tuple, backend_flags, service_flags,
        settings_flags,
    },
    decide::{Action, Choice, Road, Route},
    packet::{Kind, header::proto},
};

const NAT: u8 = 0;
const DIRECT: u8 = 1;

/// The backend's packet of a connection from `port`.
fn reply(slot: u32, port: u16, flags: u8) -> crate::packet::Packet<crate::abi::V4> {
    let tuple = Tuple::new(
        backend_address(slot),
        CLIENT,
        8080_u16.to_be(),
        port.to_be(),
        proto::TCP,
    );
    packet(tuple, flags)
}

#[test]
fn nat_translates_both_ways_and_is_established_by_the_handshake() {
    let site = Site::new(Scheduler::Wlc, NAT, &[1]);
    let first = site.send(&tcp(CLIENT, 2000, SYN));
    assert_eq!(
        (first.action, first.road, first.choice),
        (Action::Forward, Road::New, Choice::Scheduler)
    );
    assert_eq!(
        (first.to.dst, first.to.dport),
        (backend_address(1), 8080_u16.to_be())
    );
    assert_eq!((site.memory.pending.len(), site.memory.flows.len()), (2, 0));
    assert_eq!((site.load(1).active, site.load(1).inactive), (1, 0));

    // An acknowledgement before the backend has answered is made up.
    let _ = site.send(&tcp(CLIENT, 2000, ACK));
    assert_eq!(site.memory.flows.len(), 0);

    let answer = site.send(&reply(1, 2000, SYN | ACK));
    assert_eq!((answer.action, answer.road), (Action::Forward, Road::Reply));
    assert_eq!((answer.to.src, answer.to.sport), (VIP, PORT));
    let _ = site.send(&tcp(CLIENT, 2000, ACK));
    assert_eq!((site.memory.pending.len(), site.memory.flows.len()), (0, 2));

    let _ = site.send(&tcp(CLIENT, 2000, FIN | ACK));
    let _ = site.send(&reply(1, 2000, FIN | ACK));
    let flow = site.memory.flows.get(&tcp(CLIENT, 2000, 0).tuple).unwrap();
    assert_eq!(FlowState::of(flow.state), FlowState::TimeWait);
    assert_eq!((site.load(1).active, site.load(1).inactive), (0, 1));

    // The same port again: a new connection, and the old one is counted out.
    assert_eq!(site.send(&tcp(CLIENT, 2000, SYN)).road, Road::New);
    assert_eq!((site.load(1).active, site.load(1).inactive), (1, 0));
}

#[test]
fn direct_is_established_by_the_clients_acknowledgement() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
    let _ = site.send(&tcp(CLIENT, 2000, SYN));
    assert_eq!((site.memory.pending.len(), site.memory.flows.len()), (1, 0));
    let verdict = site.send(&tcp(CLIENT, 2000, ACK));
    assert_eq!(verdict.to, tcp(CLIENT, 2000, 0).tuple);
    assert_eq!((site.memory.pending.len(), site.memory.flows.len()), (0, 1));
}

#[test]
fn tcp_without_a_flow_goes_up_the_stack_unless_sloppy() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
    assert_eq!(
        site.send(&tcp(CLIENT, 2000, ACK)).passed(),
        Some(PassReason::NoFlow)
    );
    site.service(|service| service.flags |= service_flags::SLOPPY);
    assert_eq!(site.send(&tcp(CLIENT, 2000, ACK)).action, Action::Forward);
}

#[test]
fn udp_is_established_by_its_second_packet_and_ends_by_time() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1, 1]);
    assert_eq!(site.send(&udp(CLIENT, 2000)).backend, 2);
    assert_eq!(site.send(&udp(CLIENT, 2000)).road, Road::Established);
    assert_eq!(site.memory.flows.len(), 1);
    assert_eq!((site.load(2).active, site.load(2).inactive), (0, 1));
    site.pass_time(301);
    assert_eq!(site.send(&udp(CLIENT, 2000)).road, Road::New);
}

#[test]
fn one_packet_scheduling_keeps_no_flow() {
    let site = Site::new(Scheduler::Ring, DIRECT, &[1, 1]);
    site.table(&[2, 1]);
    site.service(|service| service.flags |= service_flags::ONE_PACKET);
    let got = [0; 4].map(|_: u32| site.send(&udp(CLIENT, 2000)).backend);
    assert_eq!(got, [2, 1, 2, 1]);
    assert!(site.memory.flows.is_empty() && site.memory.pending.is_empty());
}

#[test]
fn a_removed_backends_flows_wait_for_it_or_end() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1, 1]);
    assert_eq!(site.open(CLIENT, 2000), 2);
    let _ = site.send(&tcp(CLIENT, 2000, ACK));
    site.backend(2, |backend| {
        backend.flags = backend_flags::PRESENT | backend_flags::REMOVED
    });
    assert_eq!(
        site.send(&tcp(CLIENT, 2000, ACK)).dropped(),
        Some(Reason::BackendGone)
    );
    site.backend(2, |backend| backend.flags |= backend_flags::EXPIRE);
    assert_eq!(
        site.send(&tcp(CLIENT, 2000, ACK)).passed(),
        Some(PassReason::NoFlow)
    );
    assert_eq!(site.load(2).active, 0);
}

#[test]
fn without_any_service_flows_go_up_the_stack() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
    let _ = site.open(CLIENT, 2000);
    site.backend(1, |backend| backend.flags = 0);
    let mut settings = site.memory.settings.get(&0).unwrap();
    settings.flags &= !settings_flags::SERVICES;
    site.memory.settings.set(0, settings);
    assert_eq!(
        site.send(&tcp(CLIENT, 2000, ACK)).passed(),
        Some(PassReason::NotOurs)
    );
}

#[test]
fn persistence_brings_a_client_back_until_its_template_ends() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1, 1, 1]);
    site.service(|service| service.flags |= service_flags::PERSISTENT);
    let got = [2000, 2001, 2002].map(|port| site.open(CLIENT, port));
    assert_eq!(got, [3, 3, 3]);
    assert_eq!(site.open(CLIENT + (1 << 24), 2000), 2);
    // Weight 0 keeps its clients, unless they are told to go.
    site.backend(3, |backend| backend.weight = 0);
    assert_eq!(site.open(CLIENT, 2003), 3);
    site.service(|service| service.flags |= service_flags::EXPIRE_QUIESCENT);
    assert_eq!(site.open(CLIENT, 2004), 1);
}

#[test]
fn full_nat_takes_a_port_of_ours_for_each_flow() {
    let site = Site::new(Scheduler::Wlc, NAT, &[1]);
    let ours = u32::from_ne_bytes([10, 0, 0, 1]);
    site.service(|service| {
        service.flags |= service_flags::FULL_NAT;
        service.source.a = ours;
        service.sources = 1;
    });
    let one = site.send(&tcp(CLIENT, 2000, SYN));
    let two = site.send(&tcp(CLIENT, 2001, SYN));
    assert_eq!((one.to.src, two.to.src), (ours, ours));
    assert_ne!(one.to.sport, two.to.sport);
    let back = site.send(&packet(one.to.reversed(), SYN | ACK));
    assert_eq!(back.to, tcp(CLIENT, 2000, 0).tuple.reversed());
}

#[test]
fn another_flows_tuple_towards_the_backend_is_not_taken() {
    let site = Site::new(Scheduler::Wlc, NAT, &[1]);
    let second = u32::from_ne_bytes([192, 168, 1, 101]);
    let endpoint = crate::abi::Endpoint {
        address: second,
        port: PORT,
        proto: proto::TCP,
        side: crate::abi::Endpoint::<crate::abi::V4>::CLIENTS,
    };
    site.memory.endpoints.set(endpoint, 0);
    assert_eq!(site.open(CLIENT, 2000), 1);
    let mut other = tcp(CLIENT, 2000, SYN);
    other.tuple.dst = second;
    assert_eq!(site.send(&other).dropped(), Some(Reason::TupleTaken));
}

#[test]
fn an_icmp_error_goes_where_its_packet_came_from() {
    let site = Site::new(Scheduler::Wlc, NAT, &[1]);
    let first = site.send(&tcp(CLIENT, 2000, SYN));
    // A router behind us complains of the packet as we sent it: the client is told.
    let mut error = packet(first.to, 0);
    error.kind = Kind::IcmpError;
    let verdict = site.send(&error);
    assert_eq!(
        (verdict.action, verdict.road),
        (Action::Forward, Road::Reply)
    );
    assert_eq!(verdict.to, tcp(CLIENT, 2000, 0).tuple.reversed());
    // A router before us complains of the reply: the backend is told.
    let mut error = packet(tcp(CLIENT, 2000, 0).tuple.reversed(), 0);
    error.kind = Kind::IcmpError;
    let verdict = site.send(&error);
    assert_eq!(
        (verdict.action, verdict.road, verdict.to),
        (Action::Forward, Road::Established, first.to)
    );
}

#[test]
fn later_fragments_follow_the_first_and_early_ones_end() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
    let mut later = udp(CLIENT, 2000);
    later.kind = Kind::LaterFragment;
    (later.tuple.sport, later.tuple.dport, later.id) = (0, 0, 7);
    assert_eq!(site.send(&later).action, Action::Pass);
    let marker = crate::abi::Endpoint {
        address: VIP,
        port: 0,
        proto: 0,
        side: crate::abi::Endpoint::<crate::abi::V4>::CLIENTS,
    };
    site.memory.endpoints.set(marker, 0);
    assert_eq!(site.send(&later).dropped(), Some(Reason::EarlyFragment));
    let mut first = udp(CLIENT, 2000);
    (first.kind, first.id) = (Kind::FirstFragment, 7);
    let verdict = site.send(&first);
    assert_eq!(verdict.action, Action::Forward);
    assert_eq!(site.send(&later).backend, verdict.backend);
}

#[test]
fn the_way_out_is_held_against_time_to_live_size_and_neighbours() {
    let mut site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
    let mut packet = tcp(CLIENT, 2000, SYN);
    packet.ttl = 1;
    assert_eq!(site.send(&packet).action, Action::TtlExceeded);
    packet.ttl = 64;
    packet.length = 1501;
    let verdict = site.send(&packet);
    assert_eq!((verdict.action, verdict.mtu), (Action::TooBig, 1500));
    site.memory.router = std::boxed::Box::new(|_, _, _| Route::NoNeighbour);
    // Nothing says that routes or neighbours are others: the way is as it was found before.
    let verdict = site.send(&tcp(CLIENT, 2002, SYN));
    assert_eq!(verdict.action, Action::Forward);
    site.new_ways();
    assert_eq!(
        site.send(&tcp(CLIENT, 2001, SYN)).dropped(),
        Some(Reason::NoNeighbour)
    );
}

#[test]
fn nobody_to_take_it_is_said_to_the_client() {
    let site = Site::new(Scheduler::Wlc, DIRECT, &[0]);
    let verdict = site.send(&tcp(CLIENT, 2000, SYN));
    assert_eq!(
        (verdict.action, verdict.dropped()),
        (Action::Unreachable, Some(Reason::NoBackend))
    );
}
