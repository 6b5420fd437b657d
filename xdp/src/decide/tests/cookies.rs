//! SYN cookies, from the SYN that is forgotten to the end of the flow that one opened.

use std::net::{Ipv4Addr, SocketAddr};

use super::{ACK, FIN, RST, SYN, Site};
use crate::{
    abi::{Cookies, Flow, FlowState, PassReason, Reason, Scheduler, Tuple, V4, service_flags},
    cookie,
    decide::{Action, Choice, Road, Turn, Verdict, cookie_for, decide},
    packet::{Kind, Parsed, parse},
    rewrite::Room,
    testing::{Buffer, Builder, tcp_options},
};

const NAT: u8 = 0;
/// The client's initial sequence number, and the backend's.
const ISN: u32 = 0xffff_ffff;
const THEIRS: u32 = 7000;

fn at(address: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(address), port))
}

/// What a client sends from a port, and what the backend sends to it.
fn asks(port: u16) -> Builder {
    Builder::new(at([192, 168, 1, 10], port), at([192, 168, 1, 100], 80))
}

fn answers(port: u16) -> Builder {
    Builder::new(at([10, 0, 0, 11], 8080), at([192, 168, 1, 10], port))
}

/// A service with cookies and one backend. Its handshakes count from 5 on as too many ([`super::Memory`]).
fn site(flags: u32) -> Site {
    let site = Site::new(Scheduler::Wlc, NAT, &[1]);
    site.service(|service| service.flags |= service_flags::SYN_COOKIES | flags);
    site
}

impl Site {
    /// A frame's verdict.
    fn take(&self, frame: &[u8]) -> Verdict<V4> {
        self.take_and_answer(frame).0
    }

    /// And the cookie that answers it.
    fn take_and_answer(&self, frame: &[u8]) -> (Verdict<V4>, u32) {
        let _ = self.memory.frame.replace(frame.to_vec());
        let Parsed::V4(mut packet) = parse(Buffer::new(frame).frame()) else {
            panic!("{frame:02x?}");
        };
        let mut verdict = Verdict::new(packet.tuple);
        decide(&self.memory, &mut packet, &mut verdict);
        let cookie = cookie_for(&self.memory, &packet).unwrap();
        (verdict, cookie)
    }

    /// The cookie that a SYN is answered with.
    fn greet(&self, port: u16, isn: u32) -> u32 {
        let syn = asks(port)
            .numbers(isn, 0)
            .tcp(SYN, &tcp_options(0, 1440), b"");
        let (verdict, cookie) = self.take_and_answer(&syn);
        assert_eq!((verdict.action, verdict.dropped()), (Action::Cookie, None));
        cookie
    }

    /// A handshake with the client, up to its acknowledgement: the cookie.
    fn come_back(&self, port: u16) -> u32 {
        let cookie = self.greet(port, ISN);
        let verdict = self.take(&acknowledges(port, cookie).tcp(ACK, &[], b""));
        assert_eq!(
            (verdict.action, verdict.turn, verdict.number),
            (Action::Forward, Turn::Open, ISN)
        );
        cookie
    }

    /// Both handshakes, but for the client's acknowledgement of the second.
    fn joined(&self, port: u16) -> u32 {
        let cookie = self.come_back(port);
        let answer = answers(port).numbers(THEIRS, ISN.wrapping_add(1));
        let verdict = self.take(&answer.tcp(SYN | ACK, &[], b""));
        let delta = cookie.wrapping_sub(THEIRS);
        assert_eq!((verdict.turn, verdict.number), (Turn::Offer, delta));
        cookie
    }

    fn cookies(&self) -> Cookies {
        self.memory.cookies.get(&0).unwrap_or_default()
    }

    fn open_handshakes(&self) -> u32 {
        self.memory.guards.get(&0).unwrap_or_default().open
    }

    fn tuple(port: u16) -> Tuple<V4> {
        super::tcp(super::CLIENT, port, 0).tuple
    }

    fn flow(&self, port: u16) -> Option<Flow<V4>> {
        let key = Self::tuple(port);
        self.memory
            .flows
            .get(&key)
            .or_else(|| self.memory.pending.get(&key))
    }

    fn entries(&self) -> (usize, usize) {
        (self.memory.pending.len(), self.memory.flows.len())
    }
}

/// The client's acknowledgement of a cookie.
fn acknowledges(port: u16, cookie: u32) -> Builder {
    asks(port).numbers(ISN.wrapping_add(1), cookie.wrapping_add(1))
}

#[test]
fn a_syn_is_answered_and_forgotten() {
    let site = site(0);
    let first = site.greet(2000, ISN);
    assert_eq!(site.entries(), (0, 0));
    assert_eq!((site.load(1).active, site.load(1).inactive), (0, 0));
    assert_eq!(cookie::mss::<V4>(first), 1400);
    assert_ne!(site.greet(2000, 5) & !7, first & !7);
    assert_ne!(site.greet(2001, ISN) & !7, first & !7);
    assert_eq!(site.cookies().sent, 3);
    // What we offer is what fits Ethernet, or less where the service says so.
    let syn = asks(2000).tcp(SYN, &[], b"");
    let (verdict, cookie) = site.take_and_answer(&syn);
    assert_eq!((verdict.mss, cookie::mss::<V4>(cookie)), (1460, 536));
    site.service(|service| service.mss = 1200);
    assert_eq!(site.take(&syn).mss, 1200);
    // A SYN has no reason to be fragmented.
    let fragment = asks(2000).fragment(0, true, 3).tcp(SYN, &[], &[0; 99]);
    assert_eq!(site.take(&fragment).dropped(), Some(Reason::Malformed));
    // And none to come from nobody, or from many.
    for source in [[0; 4], [224, 0, 0, 5], [255; 4]] {
        let syn = Builder::new(at(source, 1), at([192, 168, 1, 100], 80));
        let verdict = site.take(&syn.tcp(SYN, &[], b""));
        assert_eq!(verdict.dropped(), Some(Reason::Malformed));
    }
}

#[test]
fn two_handshakes_are_joined() {
    let site = site(0);
    let cookie = site.come_back(2000);
    assert_eq!(site.entries(), (2, 0));
    assert_eq!((site.load(1).active, site.cookies().accepted), (1, 1));
    let state = |site: &Site| FlowState::of(site.flow(2000).unwrap().state);
    assert_eq!(state(&site), FlowState::SynRecv);

    // Whatever the client sends before the backend answers is the SYN again: acknowledgements, probes, data.
    let again = acknowledges(2000, cookie);
    let probe = asks(2000).numbers(ISN, cookie.wrapping_add(1));
    for frame in [
        again.tcp(ACK, &[], b""),
        probe.tcp(ACK, &[], b""),
        again.tcp(ACK | 8, &[], b"GET"),
        again.tcp(ACK | FIN, &[], b""),
    ] {
        let verdict = site.take(&frame);
        assert_eq!(
            (verdict.road, verdict.turn, verdict.number),
            (Road::Established, Turn::Open, ISN)
        );
        assert_eq!((site.entries(), state(&site)), ((2, 0), FlowState::SynRecv));
    }

    let answer = answers(2000).numbers(THEIRS, ISN.wrapping_add(1));
    let delta = cookie.wrapping_sub(THEIRS);
    // One that comes again does the same again.
    for _ in 0..2 {
        let verdict = site.take(&answer.tcp(SYN | ACK, &[], b""));
        assert_eq!(
            (verdict.action, verdict.turn, verdict.number),
            (Action::Forward, Turn::Offer, delta)
        );
        assert_eq!(state(&site), FlowState::SynRecv);
    }
    let verdict = site.take(&again.tcp(ACK, &[], b""));
    assert_eq!((verdict.turn, verdict.number), (Turn::Shift, delta));
    assert_eq!(
        (site.entries(), state(&site)),
        ((0, 2), FlowState::Established)
    );

    // Then both ways, to the end.
    for frame in [
        answers(2000).tcp(ACK, &[], b"data"),
        answers(2000).tcp(ACK | FIN, &[], b""),
        again.tcp(ACK, &[], b"data"),
        again.tcp(ACK | FIN, &[], b""),
    ] {
        let verdict = site.take(&frame);
        assert_eq!(
            (verdict.action, verdict.turn, verdict.number),
            (Action::Forward, Turn::Shift, delta)
        );
    }
    assert_eq!(state(&site), FlowState::TimeWait);
    // And its port may be used again.
    let _ = site.joined(2000);
    assert_eq!((site.load(1).active, site.load(1).inactive), (1, 0));
}

#[test]
fn no_packet_of_a_spliced_flow_goes_the_short_road() {
    let site = site(0);
    let cookie = site.joined(2000);
    let frame = acknowledges(2000, cookie).tcp(ACK, &[], b"");
    let _ = site.take(&frame);
    let _ = site.take(&answers(2000).tcp(ACK, &[], b""));
    let flow = site.memory.flows.entry(&Site::tuple(2000)).unwrap();
    let Parsed::V4(packet) = parse(Buffer::new(&frame).frame()) else {
        panic!();
    };
    assert!(crate::decide::established(&site.memory, &packet, flow, true).is_none());
}

#[test]
fn a_cookie_that_comes_with_a_probe_or_late_is_good() {
    let site = site(0);
    // The acknowledgement was lost: what comes is a probe of the closed window.
    let cookie = site.greet(2000, ISN);
    let probe = asks(2000).numbers(ISN, cookie.wrapping_add(1));
    let verdict = site.take(&probe.tcp(ACK, &[], b""));
    assert_eq!((verdict.turn, verdict.number), (Turn::Open, ISN));
    let cookie = site.greet(2001, ISN);
    site.pass_time(60);
    let verdict = site.take(&acknowledges(2001, cookie).tcp(ACK, &[], b""));
    assert_eq!(verdict.turn, Turn::Open);
    let cookie = site.greet(2002, ISN);
    site.pass_time(140);
    let verdict = site.take(&acknowledges(2002, cookie).tcp(ACK, &[], b""));
    assert_eq!(verdict.dropped(), Some(Reason::BadCookie));
}

#[test]
fn what_is_no_cookie_is_dropped_only_if_it_can_be_nothing_else() {
    let site = site(0);
    let cookie = site.greet(2000, ISN);
    let acknowledges = |off: u32| acknowledges(2000, cookie.wrapping_add(off));
    for off in [1, 7, 8, 0x8000_0000, u32::MAX] {
        let verdict = site.take(&acknowledges(off).tcp(ACK, &[], b""));
        assert_eq!(verdict.dropped(), Some(Reason::BadCookie), "{off}");
    }
    assert_eq!((site.cookies().bad, site.cookies().accepted), (5, 0));
    // Of another client.
    let other = asks(2001).numbers(ISN.wrapping_add(1), cookie.wrapping_add(1));
    assert_eq!(
        site.take(&other.tcp(ACK, &[], b"")).dropped(),
        Some(Reason::BadCookie)
    );
    // A connection that was forgotten: its client is told by the machine.
    for frame in [
        acknowledges(9).tcp(ACK | 8, &[], b"data"),
        acknowledges(9).tcp(ACK | FIN, &[], b""),
        acknowledges(0).tcp(RST | ACK, &[], b""),
        acknowledges(0).tcp(SYN | ACK, &[], b""),
        acknowledges(0).fragment(0, true, 3).tcp(ACK, &[], &[0; 99]),
    ] {
        assert_eq!(site.take(&frame).passed(), Some(PassReason::NoFlow));
    }
    assert_eq!(site.entries(), (0, 0));
    // Without cookies none is asked for, and none is good.
    site.service(|service| service.flags &= !service_flags::SYN_COOKIES);
    let verdict = site.take(&acknowledges(0).tcp(ACK, &[], b""));
    assert_eq!(verdict.passed(), Some(PassReason::NoFlow));
}

#[test]
fn the_backend_may_refuse_or_remember_something_else() {
    let site = site(0);
    let cookie = site.come_back(2000);
    // Another connection's port there: what it says of that is not for this client.
    for frame in [
        answers(2000).numbers(THEIRS, 77).tcp(ACK, &[], b""),
        answers(2000).numbers(THEIRS, ISN).tcp(SYN | ACK, &[], b""),
        answers(2000).numbers(THEIRS, 0).tcp(SYN, &[], b""),
    ] {
        assert_eq!(site.take(&frame).dropped(), Some(Reason::TupleTaken));
    }
    let refusal = answers(2000).numbers(0, ISN.wrapping_add(1));
    let verdict = site.take(&refusal.tcp(RST | ACK, &[], b""));
    assert_eq!(
        (verdict.turn, verdict.number),
        (Turn::Refuse, cookie.wrapping_add(1))
    );
    let state = site.flow(2000).map(|flow| FlowState::of(flow.state));
    assert_eq!(state, Some(FlowState::Close));
    // A client that did not hear of it asks, and hears it again.
    let asked = site.take(&acknowledges(2000, cookie).tcp(ACK, &[], b""));
    assert_eq!(asked.turn, Turn::Open);
    let verdict = site.take(&refusal.tcp(RST | ACK, &[], b""));
    assert_eq!(verdict.turn, Turn::Refuse);
}

#[test]
fn a_client_that_gives_up_or_begins_anew() {
    let site = site(0);
    let cookie = site.come_back(2000);
    let reset = acknowledges(2000, cookie).tcp(RST | ACK, &[], b"");
    assert_eq!(site.take(&reset).turn, Turn::Abort);
    // A SYN before the backend's handshake is over is answered anew, and what it was is forgotten.
    let _ = site.joined(2001);
    assert_ne!(site.greet(2001, 99), 0);
    assert!(site.flow(2001).is_none());
    // On a connection it is the backend's to judge (RFC 9293, 3.10.7.4).
    let cookie = site.joined(2002);
    let _ = site.take(&acknowledges(2002, cookie).tcp(ACK, &[], b""));
    let verdict = site.take(&asks(2002).numbers(99, 0).tcp(SYN, &[], b""));
    assert_eq!(
        (verdict.action, verdict.turn, verdict.road),
        (Action::Forward, Turn::Shift, Road::Established)
    );
    // That has forgotten it, and begins anew: nothing of that is changed but the numbers.
    let verdict = site.take(&answers(2002).numbers(1, 100).tcp(SYN | ACK, &[], b""));
    assert_eq!(verdict.turn, Turn::Shift);
}

#[test]
fn without_a_backend_the_machine_resets_the_client() {
    let site = site(0);
    let cookie = site.greet(2000, ISN);
    site.backend(1, |backend| backend.weight = 0);
    let verdict = site.take(&acknowledges(2000, cookie).tcp(ACK, &[], b""));
    assert_eq!(verdict.passed(), Some(PassReason::NoFlow));
    assert_eq!((verdict.turn, site.entries()), (Turn::None, (0, 0)));
}

#[test]
fn scheduling_and_persistence_are_as_ever() {
    let site = Site::new(Scheduler::Ring, NAT, &[1, 1]);
    site.table(&[1, 2]);
    let flags = service_flags::SYN_COOKIES | service_flags::PERSISTENT;
    site.service(|service| service.flags |= flags);
    let open = |port| {
        let cookie = site.greet(port, ISN);
        site.take(&acknowledges(port, cookie).tcp(ACK, &[], b""))
    };
    let first = open(2000);
    let second = open(2001);
    assert_eq!(
        (first.choice, second.choice),
        (Choice::Scheduler, Choice::Template)
    );
    assert_eq!(first.backend, second.backend);
    site.service(|service| service.flags &= !service_flags::PERSISTENT);
    let others = [open(2002).backend, open(2003).backend];
    assert_eq!(others.iter().sum::<u32>(), 3, "each once");
}

#[test]
fn cookies_come_and_go_with_open_handshakes() {
    let site = site(service_flags::COOKIES_AUTO);
    let syn = |port| asks(port).numbers(ISN, 0).tcp(SYN, &[], b"");
    for port in 1..=5 {
        assert_eq!(site.take(&syn(port)).action, Action::Forward);
    }
    assert_eq!((site.open_handshakes(), site.cookies().sent), (5, 0));
    let cookie = site.greet(2000, ISN);
    // One is completed: it is no handshake any more, and as many as before may be.
    let _ = site.take(&answers(1).numbers(THEIRS, 0).tcp(SYN | ACK, &[], b""));
    let _ = site.take(&asks(1).numbers(0, THEIRS + 1).tcp(ACK, &[], b""));
    assert_eq!((site.open_handshakes(), site.entries()), (4, (8, 2)));
    assert_eq!(site.take(&syn(6)).action, Action::Forward);
    assert_eq!(site.open_handshakes(), 5);
    // One begins anew after its end: still one.
    let _ = site.take(&answers(2).numbers(0, 0).tcp(RST | ACK, &[], b""));
    let _ = site.take(&syn(2));
    assert_eq!((site.open_handshakes(), site.cookies().sent), (5, 1));

    // What was answered while there were too many still counts when there are not, and begins a handshake that counts.
    let verdict = site.take(&acknowledges(2000, cookie).tcp(ACK, &[], b""));
    assert_eq!((verdict.turn, site.open_handshakes()), (Turn::Open, 6));
    // But what is none is no offence then.
    site.memory.guards.set(
        0,
        crate::abi::Guard {
            open: 0,
            ..site.memory.guards.get(&0).unwrap()
        },
    );
    let bad = acknowledges(2001, 5).tcp(ACK, &[], b"");
    assert_eq!(site.take(&bad).passed(), Some(PassReason::NoFlow));
    // And in the end none is looked at.
    site.pass_time(150);
    let cookie = {
        let key = site.memory.secret.get(&0).unwrap().key;
        let now = cookie::counter(site.memory.now.get());
        cookie::make(key, &Site::tuple(3000), ISN, now, 0)
    };
    let late = acknowledges(3000, cookie).tcp(ACK, &[], b"");
    assert_eq!(site.take(&late).passed(), Some(PassReason::NoFlow));
    // A count below zero, for the moment until it is put right, is none.
    site.memory.guards.set(
        0,
        crate::abi::Guard {
            open: u32::MAX,
            sent: 0,
        },
    );
    assert_eq!(site.take(&syn(4000)).action, Action::Forward);
}

#[test]
fn errors_about_spliced_flows_get_its_numbers() {
    let site = site(0);
    let cookie = site.joined(2000);
    let delta = cookie.wrapping_sub(THEIRS);
    let about = |inner: &Builder, from: [u8; 4], to: [u8; 4]| {
        let quoted = inner.tcp(ACK, &[], b"")[14..][..28].to_vec();
        Builder::new(at(from, 0), at(to, 0)).icmp(3, 1, 0, &quoted)
    };
    let sent = Builder::new(at([192, 168, 1, 10], 2000), at([10, 0, 0, 11], 8080));
    let verdict = site.take(&about(&sent, [10, 0, 0, 1], [192, 168, 1, 10]));
    assert_eq!(
        (verdict.road, verdict.turn, verdict.number),
        (Road::Reply, Turn::Shift, delta)
    );
    let told = Builder::new(at([192, 168, 1, 100], 80), at([192, 168, 1, 10], 2000));
    let verdict = site.take(&about(&told, [192, 168, 1, 1], [192, 168, 1, 100]));
    assert_eq!(
        (verdict.road, verdict.turn, verdict.number),
        (Road::Established, Turn::Shift, delta)
    );
    // Before the backend has answered there is nothing to move.
    let _ = site.come_back(2001);
    let sent = Builder::new(at([192, 168, 1, 10], 2001), at([10, 0, 0, 11], 8080));
    let verdict = site.take(&about(&sent, [10, 0, 0, 1], [192, 168, 1, 10]));
    assert_eq!(
        (verdict.action, verdict.turn),
        (Action::Forward, Turn::None)
    );
}

#[test]
fn fragments_of_what_follows_are_moved_too() {
    let site = site(0);
    let cookie = site.come_back(2000);
    let first = |asks: Builder| asks.fragment(0, true, 9).tcp(ACK, &[], &[0; 99]);
    assert_eq!(
        site.take(&first(acknowledges(2000, cookie))).dropped(),
        Some(Reason::Malformed)
    );
    assert_eq!(
        site.take(&first(answers(2000))).dropped(),
        Some(Reason::Malformed)
    );
    let cookie = site.joined(2001);
    let verdict = site.take(&first(acknowledges(2001, cookie)));
    assert_eq!(
        (verdict.action, verdict.turn),
        (Action::Forward, Turn::Shift)
    );
    let later = acknowledges(2001, cookie)
        .fragment(48, false, 9)
        .tcp(ACK, &[], &[0; 99]);
    let Parsed::V4(packet) = parse(Buffer::new(&later).frame()) else {
        panic!();
    };
    assert_eq!(packet.kind, Kind::LaterFragment);
    assert_eq!(site.take(&later).action, Action::Forward);
}
