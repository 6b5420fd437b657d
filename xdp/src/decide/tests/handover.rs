//! What is different while addresses move between nodes.

use std::boxed::Box;

use super::{ACK, CLIENT, FIN, RST, SYN, Site, VIP, backend_address, packet, tcp, udp};
use crate::{
    abi::{Endpoint, Reason, Scheduler, Tuple, V4, settings_flags},
    decide::{Action, Route, elect},
    flows::Place,
    packet::{Packet, header::proto},
};

const NAT: u8 = 0;
const DIRECT: u8 = 1;

fn set(site: &Site, flag: u32, on: bool) {
    let mut settings = site.memory.settings.get(&0).unwrap();
    settings.flags &= !flag;
    settings.flags |= if on { flag } else { 0 };
    site.memory.settings.set(0, settings);
}

/// What backend 1 sends to a client from this port.
fn answer(from: u16, port: u16, flags: u8) -> Packet<V4> {
    let (from, port) = (from.to_be(), port.to_be());
    packet(
        Tuple::new(backend_address(1), CLIENT, from, port, proto::TCP),
        flags,
    )
}

/// A node to which an address has just come, with a backend of address translation behind this port (0: any).
fn expecting(port: u16) -> Site {
    let site = Site::new(Scheduler::Wlc, NAT, &[1]);
    let key = Endpoint {
        address: backend_address(1),
        port: port.to_be(),
        proto: proto::TCP,
        side: Endpoint::<V4>::BACKENDS,
    };
    site.memory.endpoints.set(key, 0);
    set(&site, settings_flags::MOVING, true);
    site
}

#[test]
fn who_begins_to_connect_is_not_heard_while_another_takes_over() {
    for method in [NAT, DIRECT] {
        let site = Site::new(Scheduler::Wlc, method, &[1]);
        assert_eq!(site.open(CLIENT, 2000), 1);
        set(&site, settings_flags::HOLDING, true);
        let late = tcp(CLIENT, 2001, SYN);
        assert_eq!(elect(&site.memory, &late, Place::default()), None);
        assert_eq!(site.send(&late).dropped(), Some(Reason::Carrying));
        assert!(site.memory.pending.get(&late.tuple).is_none());
        // Those who have begun go on, and what is not TCP would not be sent again.
        assert_eq!(site.open(CLIENT, 2000), 1, "it is sent again");
        let goes_on = site.send(&tcp(CLIENT, 2000, ACK));
        assert_eq!(goes_on.action, Action::Forward);
        let datagram = udp(CLIENT, 2000);
        assert!(elect(&site.memory, &datagram, Place::default()).is_some());
        assert_eq!(site.send(&datagram).action, Action::Forward);
        set(&site, settings_flags::HOLDING, false);
        assert!(elect(&site.memory, &late, Place::default()).is_some());
        assert_eq!(site.send(&late).action, Action::Forward);
    }
}

#[test]
fn an_answer_of_which_nothing_is_known_waits_for_news() {
    for behind in [8080, 0] {
        let site = expecting(behind);
        for flags in [SYN | ACK, ACK, FIN | ACK, RST] {
            let verdict = site.send(&answer(8080, 2000, flags));
            assert_eq!(verdict.dropped(), Some(Reason::Carrying), "{flags}");
        }
        // Of a flow that is known it is none of these.
        assert_eq!(site.open(CLIENT, 2000), 1);
        let known = site.send(&answer(8080, 2000, SYN | ACK));
        assert_eq!((known.action, known.to.src), (Action::Forward, VIP));
        set(&site, settings_flags::MOVING, false);
        let stale = site.send(&answer(8080, 2001, ACK));
        assert_eq!(stale.action, Action::Pass);
    }
}

#[test]
fn so_does_one_to_a_source_of_full_nat() {
    let mut site = expecting(8080);
    site.memory.router = Box::new(|_, _, _| Route::NoRoute);
    let source = 0x0a00_00fe_u32.to_be();
    let key = Endpoint {
        address: source,
        port: 0,
        proto: proto::TCP,
        side: Endpoint::<V4>::SOURCES,
    };
    site.memory.endpoints.set(key, 0);
    let to = |address: u32, port: u16| {
        let mut packet = answer(8080, 2000, ACK);
        (packet.tuple.dst, packet.tuple.dport) = (address, port.to_be());
        site.send(&packet)
    };
    let (first, last) = (32768, 60999);
    for port in [first, last] {
        assert_eq!(to(source, port).dropped(), Some(Reason::Carrying), "{port}");
    }
    // Other ports are the machine's own, and so are other addresses.
    for (address, port) in [
        (source, first - 1),
        (source, last + 1),
        (source.wrapping_add(1), first),
    ] {
        assert_eq!(to(address, port).action, Action::Pass, "{port}");
    }
    set(&site, settings_flags::MOVING, false);
    assert_eq!(to(source, first).action, Action::Pass);
}

#[test]
fn what_a_backend_says_otherwise_passes() {
    let mut site = expecting(8080);
    let passes = |site: &Site, packet: &Packet<V4>| site.send(packet).action == Action::Pass;
    assert!(passes(&site, &answer(22, 2000, ACK)), "another port");
    assert!(passes(&site, &answer(8080, 2000, SYN)), "it connects");
    let mut datagram = answer(8080, 2000, 0);
    datagram.tuple.proto = proto::UDP;
    assert!(passes(&site, &datagram));
    // To this machine itself: a check.
    site.memory.router = Box::new(|_, _, _| Route::NoRoute);
    assert!(passes(&site, &answer(8080, 2000, ACK)));
}
