//! A connection begins at one node; another that was told of it goes on with it.

use std::time::Duration;

use control::spec::{Balance, Forward, Scheme};
use l4::sync::{FlowName, Stored, Told};
use xdp::abi::FlowState;

use super::{
    packet::{ACK, Packet, SYN},
    plans::{at, plan, pool, service},
    rig::{Rig, THEIR_MAC},
};

const FIN: u8 = 1;
const TX: u32 = 3;
const REDIRECT: u32 = 4;

struct Site {
    forward: Forward,
    client: &'static str,
    vip: &'static str,
    backends: [&'static str; 2],
}

const SITES: [(&str, &str, [&str; 2]); 2] = [
    (
        "192.0.2.7:4000",
        "198.51.100.1:80",
        ["10.1.0.1:80", "10.1.0.2:80"],
    ),
    (
        "[2001:db8::7]:4000",
        "[2001:db8:1::1]:80",
        ["[fd01::1]:80", "[fd01::2]:80"],
    ),
];

/// By each way, over IPv4 and over IPv6: every other is over IPv4.
fn sites() -> impl Iterator<Item = Site> {
    let ways = [Forward::Nat, Forward::Direct, Forward::Tunnel];
    ways.into_iter().flat_map(|forward| {
        SITES.map(|(client, vip, backends)| Site {
            forward,
            client,
            vip,
            backends,
        })
    })
}

impl Site {
    /// A node: with these backends in this order, the slots differ from another's.
    fn node(&self, backends: &[&str]) -> Option<Rig> {
        let mut rig = Rig::new()?;
        let members: Vec<_> = backends.iter().map(|b| (*b, 1)).collect();
        let plan = plan(
            &[service(Scheme::Tcp, self.vip, self.forward, "web")],
            &[pool("web", Balance::RoundRobin, &members)],
        );
        rig.harness.apply(&plan).unwrap();
        Some(rig)
    }

    fn packet(&self, flags: u8) -> Packet {
        Packet::tcp(self.client, self.vip, flags)
    }

    /// Establishes a connection through a node, and gives the packet that its last one became.
    fn connect(&self, rig: &Rig) -> Vec<u8> {
        let _ = rig.harness.run(&self.packet(SYN).bytes(), rig.out).unwrap();
        if self.forward == Forward::Nat {
            for backend in self.backends {
                let _ = rig
                    .harness
                    .run(&self.answer(backend).bytes(), rig.out)
                    .unwrap();
            }
        }
        let sent = rig.harness.run(&self.packet(ACK).bytes(), rig.out).unwrap();
        assert!(matches!(sent.verdict, TX | REDIRECT), "{}", sent.verdict);
        sent.packet
    }

    fn answer(&self, backend: &str) -> Packet {
        Packet {
            from: at(backend),
            to: at(self.client),
            from_mac: THEIR_MAC,
            ..self.packet(SYN | ACK)
        }
    }

    fn name(&self) -> FlowName {
        FlowName {
            template: false,
            protocol: 6,
            client: at(self.client),
            target: at(self.vip),
        }
    }
}

/// What is told, but for its times.
fn timeless(mut told: Told) -> Told {
    if let Told::Flow(flow) = &mut told {
        (flow.remaining, flow.idle) = (Duration::ZERO, Duration::ZERO);
    }
    told
}

#[test]
fn another_node_goes_on_with_a_connection() {
    for site in sites() {
        let [one, other] = site.backends;
        let (Some(mut a), Some(mut b)) = (site.node(&[one, other]), site.node(&[other, one]))
        else {
            return;
        };
        let sent = site.connect(&a);
        let told = a.harness.tell(false);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(a.harness.tell(false), [], "it was told");
        // The clock goes on between the two.
        assert_eq!(timeless(a.harness.find(&site.name())), timeless(told[0]));
        let Told::Flow(flow) = told[0] else {
            panic!("{told:?}");
        };
        assert_eq!((flow.name, flow.state), (site.name(), 1));
        assert!(flow.remaining > Duration::from_secs(890), "{flow:?}");

        assert_eq!(b.harness.store(&told[0]), Stored::Added);
        assert_eq!(b.harness.load(flow.backend).active, 1);
        assert_eq!(b.harness.tell(false), [], "it is the other's");
        assert_eq!(b.harness.tell(true).len(), 1);
        let went_on = b.harness.run(&site.packet(ACK).bytes(), b.out).unwrap();
        assert!(matches!(went_on.verdict, TX | REDIRECT));
        // Devices of the two differ in nothing that a packet shows.
        assert_eq!(went_on.packet, sent, "the same backend");
        if site.forward == Forward::Nat {
            let backend = flow.backend.to_string();
            let reply = Packet {
                tcp: Some(ACK),
                ..site.answer(&backend)
            };
            let back = b.harness.run(&reply.bytes(), b.out).unwrap();
            let wanted = Packet {
                from: at(site.vip),
                ..reply.sent_on()
            };
            assert_eq!(back.packet, wanted.bytes());
        }
        assert_eq!(b.harness.sweep(0).unwrap().corrected, 0);
    }
}

#[test]
fn the_end_of_a_connection_is_told_and_whose_it_is_counts() {
    for site in sites() {
        let (Some(mut a), Some(mut b)) = (site.node(&site.backends), site.node(&site.backends))
        else {
            return;
        };
        let _ = site.connect(&a);
        let first = a.harness.tell(false)[0];
        assert_eq!(b.harness.store(&first), Stored::Added);
        let _ = a
            .harness
            .run(&site.packet(FIN | ACK).bytes(), a.out)
            .unwrap();
        let [closing] = a.harness.tell(false)[..] else {
            panic!("its state changed");
        };
        assert_eq!(b.harness.store(&closing), Stored::Updated);
        let Told::Flow(flow) = closing else {
            panic!("{closing:?}");
        };
        let load = b.harness.load(flow.backend);
        assert_eq!((load.active, load.inactive), (0, 1));
        let Told::Flow(there) = b.harness.find(&site.name()) else {
            panic!("it is gone");
        };
        assert_eq!(there.state, flow.state);

        // A packet of it comes by the second: from now on it is the one to tell.
        std::thread::sleep(Duration::from_millis(300));
        let _ = b
            .harness
            .run(&site.packet(FIN | ACK).bytes(), b.out)
            .unwrap();
        assert_eq!(b.harness.store(&first), Stored::Kept, "it is older");
        assert_eq!(b.harness.store(&Told::Gone(site.name())), Stored::Kept);
        assert_eq!(b.harness.tell(false).len(), 1);
    }
}

#[test]
fn who_is_told_forgets_what_is_gone() {
    for site in sites().step_by(2) {
        let Some(mut b) = site.node(&site.backends) else {
            return;
        };
        let Some(mut a) = site.node(&site.backends) else {
            return;
        };
        let _ = site.connect(&a);
        let told = a.harness.tell(false)[0];
        assert_eq!(b.harness.store(&told), Stored::Added);
        assert_eq!(b.harness.store(&Told::Gone(site.name())), Stored::Removed);
        assert_eq!(b.harness.flows(), (0, 0), "both directions");
        assert_eq!(b.harness.sweep(0).unwrap().corrected, 0);
        assert_eq!(b.harness.tell(true), []);
    }
}

#[test]
fn what_does_not_fit_is_kept_out() {
    for site in sites().step_by(2) {
        let (Some(mut a), Some(mut b)) =
            (site.node(&site.backends), site.node(&site.backends[..1]))
        else {
            return;
        };
        let _ = site.connect(&a);
        let Told::Flow(good) = a.harness.tell(false)[0] else {
            panic!("nothing is told");
        };
        let mut bad = good;
        bad.backend = at(site.backends[1]);
        assert_eq!(b.harness.store(&Told::Flow(bad)), Stored::UnknownBackend);
        let mut bad = good;
        bad.backend = at(site.backends[0]);
        bad.name.target.set_port(81);
        assert_eq!(b.harness.store(&Told::Flow(bad)), Stored::UnknownService);
        bad.name.target = at(site.vip);
        bad.state = 13;
        assert_eq!(b.harness.store(&Told::Flow(bad)), Stored::Malformed);
        bad.state = 1;
        bad.method = match site.forward {
            Forward::Nat => xdp::abi::Method::Tunnel,
            _ => xdp::abi::Method::Nat,
        };
        assert_eq!(b.harness.store(&Told::Flow(bad)), Stored::OtherMethod);
        assert_eq!(b.harness.flows(), (0, 0));
    }
}

#[test]
fn a_handshake_is_told_when_its_address_goes() {
    for site in sites() {
        let (Some(mut a), Some(mut b)) = (site.node(&site.backends), site.node(&site.backends))
        else {
            return;
        };
        let _ = a.harness.run(&site.packet(SYN).bytes(), a.out).unwrap();
        if site.forward == Forward::Nat {
            assert_eq!(a.harness.handshakes(), [], "nobody has answered");
            for backend in site.backends {
                let answer = site.answer(backend).bytes();
                let _ = a.harness.run(&answer, a.out).unwrap();
            }
        }
        assert_eq!(a.harness.tell(true), [], "it is told at no other time");
        let told = a.harness.handshakes();
        let [Told::Flow(flow)] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(flow.state, FlowState::SynRecv as u8);
        assert_eq!(a.harness.find(&site.name()), told[0], "told once more");
        assert_eq!(b.harness.store(&told[0]), Stored::Added);

        let [here, there] = [&a, &b].map(|node| {
            let ack = site.packet(ACK).bytes();
            node.harness.run(&ack, node.out).unwrap().packet
        });
        assert_eq!(here, there, "the same backend");
        let news = b.harness.tell(false);
        let [Told::Flow(flow)] = news[..] else {
            panic!("{news:?}");
        };
        assert_eq!(flow.state, FlowState::Established as u8);
        assert_eq!(b.harness.sweep(0).unwrap().corrected, 0);
    }
}

#[test]
fn a_handshake_gives_way_to_what_became_of_it_elsewhere() {
    for site in sites() {
        // Who has one backend chooses another than who has two.
        let (Some(mut a), Some(mut b)) =
            (site.node(&site.backends[..1]), site.node(&site.backends))
        else {
            return;
        };
        let plan = |backends: &[&'static str]| {
            let members: Vec<_> = backends.iter().map(|b| (*b, 1)).collect();
            plan(
                &[service(Scheme::Tcp, site.vip, site.forward, "web")],
                &[pool("web", Balance::RoundRobin, &members)],
            )
        };
        let begin = |rig: &Rig| {
            let _ = rig.harness.run(&site.packet(SYN).bytes(), rig.out).unwrap();
        };
        begin(&a);
        a.harness.apply(&plan(&site.backends)).unwrap();
        b.harness.apply(&plan(&site.backends[1..])).unwrap();
        let _ = site.connect(&b);
        let told = b.harness.tell(false)[0];
        assert_eq!(a.harness.store(&told), Stored::Kept, "it began just now");
        // The client sends its SYN again, and comes by the other node.
        std::thread::sleep(Duration::from_millis(500));
        let _ = b.harness.run(&site.packet(ACK).bytes(), b.out).unwrap();
        let told = b.harness.find(&site.name());
        assert_eq!(a.harness.store(&told), Stored::Added);
        let both = usize::from(site.forward == Forward::Nat) + 1;
        assert_eq!(a.harness.flows(), (0, both));
        let [old, new] = site.backends.map(|backend| a.harness.load(at(backend)));
        assert_eq!((old.active + old.inactive, new.active), (0, 1));
        assert_eq!(a.harness.sweep(0).unwrap().corrected, 0);
    }
}
