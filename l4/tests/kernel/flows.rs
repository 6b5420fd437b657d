//! Flows by each of the three ways, of both families, over TCP and UDP.

use control::spec::{Balance, Forward, Scheme};
use l4::harness::Outcome;
use xdp::abi::{Reason, Tick};

use super::{
    packet::{ACK, Packet, SYN},
    plans::{at, plan, pool, service},
    rig::Rig,
};

const PASS: u32 = 2;
const DROP: u32 = 1;
const TX: u32 = 3;
const REDIRECT: u32 = 4;

/// A packet that was sent must have left, and look so.
#[track_caller]
fn left(outcome: &Outcome, wanted: &[u8]) {
    assert!(
        matches!(outcome.verdict, TX | REDIRECT),
        "verdict {}",
        outcome.verdict
    );
    assert_eq!(outcome.packet, wanted);
}

struct Family {
    client: &'static str,
    vip: &'static str,
    backends: [&'static str; 2],
}

const V4: Family = Family {
    client: "192.0.2.7:4000",
    vip: "198.51.100.1:80",
    backends: ["10.1.0.1:80", "10.1.0.2:80"],
};
const V6: Family = Family {
    client: "[2001:db8::7]:4000",
    vip: "[2001:db8:1::1]:80",
    backends: ["[fd01::1]:80", "[fd01::2]:80"],
};

fn ways(forward: Forward, scheme: Scheme, family: &Family) -> Option<Rig> {
    let mut rig = Rig::new()?;
    let members = family.backends.map(|b| (b, 1));
    let plan = plan(
        &[service(scheme, family.vip, forward, "web")],
        &[pool("web", Balance::RoundRobin, &members)],
    );
    rig.harness.apply(&plan).unwrap();
    Some(rig)
}

fn first_packet(scheme: Scheme, family: &Family) -> Packet {
    match scheme {
        Scheme::Udp => Packet::udp(family.client, family.vip),
        _ => Packet::tcp(family.client, family.vip, SYN),
    }
}

fn each(test: impl Fn(Scheme, &Family)) {
    for scheme in [Scheme::Tcp, Scheme::Udp] {
        for family in [&V4, &V6] {
            test(scheme, family);
        }
    }
}

#[test]
fn direct_changes_only_the_link_layer() {
    each(|scheme, family| {
        let Some(rig) = ways(Forward::Direct, scheme, family) else {
            return;
        };
        let first = first_packet(scheme, family);
        let wanted = Packet {
            ttl: first.ttl,
            ..first.sent_on()
        };
        let outcome = rig.harness.run(&first.bytes(), rig.out).unwrap();
        // The kernel's own forwarding lowers the time to live; IPVS does so for direct routing too.
        let lowered = first.sent_on().bytes();
        let got = &outcome.packet;
        assert!(
            matches!(outcome.verdict, TX | REDIRECT),
            "verdict {}",
            outcome.verdict
        );
        assert!(*got == wanted.bytes() || *got == lowered, "{got:02x?}");
    });
}

#[test]
fn nat_translates_both_ways() {
    each(|scheme, family| {
        let Some(rig) = ways(Forward::Nat, scheme, family) else {
            return;
        };
        let first = first_packet(scheme, family);
        // Last added first.
        let backend = at(family.backends[1]);
        let wanted = Packet {
            to: backend,
            ..first.sent_on()
        };
        left(
            &rig.harness.run(&first.bytes(), rig.out).unwrap(),
            &wanted.bytes(),
        );

        let reply = Packet {
            from: backend,
            to: first.from,
            from_mac: super::rig::THEIR_MAC,
            tcp: first.tcp.map(|_| SYN | ACK),
            ..first
        };
        let wanted = Packet {
            from: first.to,
            ..reply.sent_on()
        };
        left(
            &rig.harness.run(&reply.bytes(), rig.out).unwrap(),
            &wanted.bytes(),
        );

        let next = Packet {
            tcp: first.tcp.map(|_| ACK),
            ..first
        };
        let wanted = Packet {
            to: backend,
            ..next.sent_on()
        };
        for _ in 0..3 {
            left(
                &rig.harness.run(&next.bytes(), rig.out).unwrap(),
                &wanted.bytes(),
            );
        }
        let load = rig.harness.load(backend);
        let active = u32::from(scheme == Scheme::Tcp);
        assert_eq!((load.active, load.inactive), (active, 1 - active));
    });
}

#[test]
fn a_tunnel_carries_the_packet_whole() {
    each(|scheme, family| {
        let Some(rig) = ways(Forward::Tunnel, scheme, family) else {
            return;
        };
        let first = first_packet(scheme, family);
        let outcome = rig.harness.run(&first.bytes(), rig.out).unwrap();
        assert!(
            matches!(outcome.verdict, TX | REDIRECT),
            "verdict {}",
            outcome.verdict
        );
        let header = if first.from.is_ipv4() { 20 } else { 40 };
        let protocol = if first.from.is_ipv4() { 4 } else { 41 };
        let outer = &outcome.packet[14..14 + header];
        let at = if header == 20 { 9 } else { 6 };
        assert_eq!(outer[at], protocol, "{:02x?}", outcome.packet);
        let inner = &outcome.packet[14 + header..];
        let (same, lowered) = (first.ip(), first.sent_on().ip());
        assert!(inner == same || inner == lowered, "{:02x?}", outcome.packet);
    });
}

#[test]
fn what_is_not_ours_passes() {
    let Some(rig) = ways(Forward::Nat, Scheme::Tcp, &V4) else {
        return;
    };
    for packet in [
        Packet::tcp("192.0.2.7:4000", "198.51.100.1:81", SYN),
        Packet::tcp("192.0.2.7:4000", "198.51.100.2:80", SYN),
        Packet::udp("192.0.2.7:4000", "198.51.100.1:80"),
        // Begins nothing and belongs to nothing: the machine answers with a reset.
        Packet::tcp("192.0.2.7:4000", "198.51.100.1:80", ACK),
    ] {
        let outcome = rig.harness.run(&packet.bytes(), rig.out).unwrap();
        assert_eq!(outcome.verdict, PASS, "{packet:?}");
        assert_eq!(outcome.packet, packet.bytes());
    }
}

#[test]
fn connections_take_turns_and_counts_are_swept() {
    let Some(mut rig) = ways(Forward::Nat, Scheme::Tcp, &V4) else {
        return;
    };
    let mut chosen = Vec::new();
    for port in 5000..5010 {
        let syn = Packet::tcp(&format!("192.0.2.7:{port}"), V4.vip, SYN);
        let outcome = rig.harness.run(&syn.bytes(), rig.out).unwrap();
        chosen.push(outcome.packet[33]);
    }
    assert_eq!(
        chosen,
        [2, 1, 2, 1, 2, 1, 2, 1, 2, 1],
        "last added first, in turn"
    );
    assert_eq!(
        rig.harness.load(at("10.1.0.1:80")).active + rig.harness.load(at("10.1.0.1:80")).inactive,
        5
    );
    let swept = rig.harness.sweep(0).unwrap();
    assert_eq!((swept.expired, swept.corrected), (0, 0), "{swept:?}");
    let swept = rig.harness.sweep(Tick::in_seconds(200)).unwrap();
    assert_eq!(swept.expired, 10, "{swept:?}");
    let load = rig.harness.load(at("10.1.0.1:80"));
    assert_eq!((load.active, load.inactive), (0, 0));
    assert_eq!(rig.harness.sweep(0).unwrap().entries, 0);
}

#[test]
fn without_backends_packets_are_dropped_and_counted() {
    let Some(mut rig) = Rig::new() else {
        return;
    };
    let plan = plan(
        &[service(Scheme::Tcp, V4.vip, Forward::Nat, "web")],
        &[pool("web", Balance::RoundRobin, &[("10.1.0.1:80", 0)])],
    );
    rig.harness.apply(&plan).unwrap();
    let syn = Packet::tcp(V4.client, V4.vip, SYN);
    let outcome = rig.harness.run(&syn.bytes(), rig.out).unwrap();
    // Dropped, or answered with an ICMP error.
    assert!(
        matches!(outcome.verdict, DROP | TX | REDIRECT),
        "verdict {}",
        outcome.verdict
    );
    assert_eq!(rig.harness.drops(Reason::NoBackend).unwrap(), 1);
}
