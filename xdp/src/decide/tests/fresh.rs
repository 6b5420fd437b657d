//! The short road of first packets does what the whole one does.

use super::{ACK, CLIENT, SYN, Site, tcp, udp};
use crate::{
    abi::{Flow, FlowState, Hop, Scheduler, V4, service_flags},
    decide::{Action, Choice, Fresh, NO_SLOT, Road, Stage, Verdict, elect, fresh, perform},
    flows::Place,
    packet::Packet,
};

const NAT: u8 = 0;
const DIRECT: u8 = 1;
const TUNNEL: u8 = 2;

/// Sends a packet as the kernel's program does: by the short road if it is for that. Whether it left by it.
fn send(site: &Site, packet: &Packet<V4>) -> (bool, Verdict<V4>) {
    let memory = &site.memory;
    let mut verdict = Verdict::new(packet.tuple);
    let Some((service, backend)) = elect(memory, packet, Place::default()) else {
        return (false, site.send(packet));
    };
    (verdict.service, verdict.backend) = (service, backend);
    (verdict.road, verdict.choice) = (Road::New, Choice::Scheduler);
    match fresh(memory, packet, Place::default(), (service, backend)) {
        Fresh::Left(left) => {
            (verdict.action, verdict.method) = (Action::Forward, left.method as u8);
            let hop = left.hop;
            // SAFETY: of the flow in hand, which nobody else uses here.
            (verdict.to, verdict.hop) = (left.to, unsafe { *hop.as_ptr() });
            (true, verdict)
        }
        Fresh::Chosen => {
            let mut packet = *packet;
            if perform(Stage::Take, memory, &mut packet, &mut verdict) {
                let _ = perform(Stage::Begin, memory, &mut packet, &mut verdict);
            }
            (false, verdict)
        }
    }
}

#[test]
fn both_roads_leave_the_same_behind() {
    for method in [NAT, DIRECT, TUNNEL] {
        for scheduler in [Scheduler::Ring, Scheduler::Wlc, Scheduler::SourceHash] {
            let (short, whole) = [(); 2]
                .map(|()| {
                    let site = Site::new(scheduler, method, &[2, 1, 3]);
                    site.table(&[1, 2, 3, 1, 3, 3]);
                    site.backend(2, |backend| backend.upper = 3);
                    site
                })
                .into();
            let mut by_short = 0;
            for i in 0..40_u16 {
                let packet = match i % 4 {
                    0 => udp(CLIENT + u32::from(i), 3000 + i),
                    // Known by now: it is not for the short road.
                    3 => tcp(CLIENT, 3000 + i - 1, ACK),
                    _ => tcp(CLIENT, 3000 + i, SYN),
                };
                let (left, one) = send(&short, &packet);
                let two = whole.send(&packet);
                by_short += usize::from(left);
                assert_eq!(
                    (one.action, one.method, one.to, one.hop, one.backend),
                    (two.action, two.method, two.to, two.hop, two.backend),
                    "{scheduler:?} {method} {i}"
                );
            }
            assert!(by_short > 15, "{scheduler:?} {method}: {by_short}");
            assert_eq!(short.memory.pending.len(), whole.memory.pending.len());
            for (key, flow) in whole.memory.pending.all() {
                let got = short.memory.pending.get(&key).unwrap();
                assert_eq!(known(got), known(flow), "{scheduler:?} {method} {key:?}");
            }
            for slot in 1..=3 {
                assert_eq!(short.load(slot), whole.load(slot));
                let counters = |site: &Site| site.memory.counters.get(&slot);
                assert_eq!(counters(&short), counters(&whole));
            }
        }
    }
}

#[test]
fn what_is_unusual_is_left_to_the_whole_road() {
    let elected = |site: &Site, packet: &Packet<V4>| elect(&site.memory, packet, Place::default());
    let plain = tcp(CLIENT, 2000, SYN);
    let site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
    assert_eq!(elected(&site, &plain), Some((0, 1)));
    assert_eq!(elected(&site, &tcp(CLIENT, 2000, ACK)), None);
    let mut last = plain;
    last.ttl = 1;
    assert_eq!(elected(&site, &last), None);
    for flag in [
        service_flags::PERSISTENT,
        service_flags::ONE_PACKET,
        service_flags::FULL_NAT,
        service_flags::SYN_COOKIES,
        service_flags::QUIC_LB,
    ] {
        let site = Site::new(Scheduler::Wlc, DIRECT, &[1]);
        site.service(|service| service.flags |= flag);
        assert_eq!(elected(&site, &plain), None, "{flag}");
    }
    // No way is known yet, then one is, then it is another backend's: its slot was given away.
    assert!(!send(&site, &plain).0);
    assert!(send(&site, &tcp(CLIENT, 2001, SYN)).0);
    site.backend(1, |backend| backend.address.a = 7);
    assert!(!send(&site, &tcp(CLIENT, 2002, SYN)).0);
    assert!(send(&site, &tcp(CLIENT, 2003, SYN)).0);
    site.new_ways();
    assert!(!send(&site, &tcp(CLIENT, 2004, SYN)).0);
    let mut long = tcp(CLIENT, 2005, SYN);
    long.length = 1501;
    let (left, verdict) = send(&site, &long);
    assert_eq!((left, verdict.action), (false, Action::TooBig));
    site.backend(1, |backend| backend.weight = 0);
    let (left, verdict) = send(&site, &tcp(CLIENT, 2006, SYN));
    assert_eq!((left, verdict.backend), (false, NO_SLOT));
    let flow = site.memory.pending.get(&tcp(CLIENT, 2003, SYN).tuple);
    assert_eq!(flow.unwrap().state, FlowState::SynRecv as u8);
}

/// A flow without what is in a next hop that is not known.
fn known(mut flow: Flow<V4>) -> Flow<V4> {
    if flow.hop.generation == 0 {
        flow.hop = Hop::default();
    }
    flow
}
