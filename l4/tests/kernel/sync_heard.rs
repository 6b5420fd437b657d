//! What directors of Linux's own tell: less than another node does, so that the services here say the rest.

use std::{net::SocketAddr, time::Duration};

use control::spec::{Forward, Scheme};
use l4::sync::{
    FlowName, FlowState, Heard, HeardFlow, HeardTemplate, Method, Stored, Told, ToldFlow,
};
use xdp::testing::Builder;

use super::{
    packet::ACK,
    plans::at,
    rig::Rig,
    sync_kinds::{Kind, PERSISTENT, SITES, connect},
};

const FIN: u8 = 1;

const fn plain(forward: Forward) -> Kind<'static> {
    Kind {
        schemes: &[Scheme::Tcp, Scheme::Udp, Scheme::Sctp],
        forward,
        change: |_| {},
    }
}

fn name(protocol: u8, client: &str, vip: &str) -> FlowName {
    FlowName {
        template: false,
        protocol,
        client: at(&format!("{client}:4000")),
        target: at(vip),
    }
}

fn established(name: FlowName, backend: SocketAddr, method: Method) -> HeardFlow {
    HeardFlow {
        name,
        backend,
        method: Some(method),
        state: FlowState::Established,
        remaining: Some(Duration::from_secs(900)),
    }
}

fn found(rig: &mut Rig, name: &FlowName) -> ToldFlow {
    match rig.harness.find(name) {
        Told::Flow(flow) => flow,
        other => panic!("{other:?}"),
    }
}

/// Has a packet of the client come by.
fn pass(rig: &Rig, client: &str, vip: &str, flags: u8) {
    let packet = Builder::new(at(&format!("{client}:4000")), at(vip)).tcp(flags, &[], b"");
    let _ = rig.harness.run(&packet, rig.out).unwrap();
}

#[test]
fn a_connection_goes_on_as_services_here_forward_it() {
    for (forward, method) in [
        (Forward::Nat, Method::Nat),
        (Forward::Direct, Method::Tunnel),
        (Forward::Tunnel, Method::Direct),
    ] {
        let Some(mut rig) = plain(forward).node(&[0, 1]) else {
            return;
        };
        for (client, vip, backends) in SITES {
            let name = name(6, client, vip);
            let heard = established(name, at(backends[1]), method);
            assert_eq!(rig.harness.store_heard(&Heard::Flow(heard)), Stored::Added);
            assert_eq!(
                rig.harness.store_heard(&Heard::Flow(heard)),
                Stored::Updated
            );
            assert_eq!(rig.harness.tell(false), [], "it is the other's");
            let all = rig.harness.tell(true);
            let told = all.iter().find_map(|told| match told {
                Told::Flow(flow) if flow.name == name => Some(*flow),
                _ => None,
            });
            assert!(told.is_some_and(|flow| flow.heard), "{all:?}");
            let flow = found(&mut rig, &name);
            assert_eq!((flow.backend, flow.state), (at(backends[1]), 1));
            assert!(!flow.persistent);
            assert_eq!(rig.harness.load(flow.backend).active, 1);
            // From its next packet on it is this node's.
            std::thread::sleep(Duration::from_millis(300));
            pass(&rig, client, vip, ACK);
            let [Told::Flow(told)] = rig.harness.tell(false)[..] else {
                panic!("it is not told");
            };
            assert!(!told.heard);
            assert_eq!((told.name, told.backend), (name, at(backends[1])));
        }
        assert_eq!(rig.harness.sweep(0).unwrap().corrected, 0);
    }
}

#[test]
fn what_this_node_has_just_seen_counts_for_more_unless_it_ends() {
    let Some(mut rig) = plain(Forward::Direct).node(&[0, 1]) else {
        return;
    };
    for (client, vip, _) in SITES {
        let backend = connect(&mut rig, client, 4000, vip);
        let name = name(6, client, vip);
        let heard = established(name, backend, Method::Direct);
        assert_eq!(rig.harness.store_heard(&Heard::Flow(heard)), Stored::Kept);
        let ends = HeardFlow {
            state: FlowState::FinWait,
            remaining: Some(Duration::from_secs(120)),
            ..heard
        };
        assert_eq!(rig.harness.store_heard(&Heard::Flow(ends)), Stored::Updated);
        assert_eq!(found(&mut rig, &name).state, FlowState::FinWait as u8);
        assert_eq!(rig.harness.load(backend).active, 0);
        // What ends here is not made to go on by older news. A packet is seen by its tick.
        std::thread::sleep(Duration::from_millis(300));
        pass(&rig, client, vip, FIN | ACK);
        assert_eq!(rig.harness.store_heard(&Heard::Flow(heard)), Stored::Kept);
    }
}

#[test]
fn what_is_not_said_is_as_it_is_here() {
    let Some(mut rig) = plain(Forward::Nat).node(&[0, 1]) else {
        return;
    };
    for (client, vip, backends) in SITES {
        for (protocol, state, seconds) in [
            (17, FlowState::Udp, 300),
            (132, FlowState::Sctp, 900),
            (6, FlowState::Established, 900),
        ] {
            let name = name(protocol, client, vip);
            let heard = HeardFlow {
                // The backend is the director itself there.
                method: None,
                state,
                remaining: None,
                ..established(name, at(backends[0]), Method::Nat)
            };
            assert_eq!(rig.harness.store_heard(&Heard::Flow(heard)), Stored::Added);
            let flow = found(&mut rig, &name);
            assert_eq!((flow.method, flow.state), (Method::Nat, state as u8));
            let remaining = flow.remaining.as_secs();
            assert!((seconds - 2..=seconds).contains(&remaining), "{remaining}");
        }
    }
}

#[test]
fn of_what_is_not_translated_the_backends_port_makes_no_difference() {
    for (forward, method, stored) in [
        (Forward::Direct, Method::Direct, Stored::Added),
        (Forward::Nat, Method::Nat, Stored::UnknownBackend),
    ] {
        let Some(mut rig) = plain(forward).node(&[0, 1]) else {
            return;
        };
        for (client, vip, backends) in SITES {
            let mut backend = at(backends[0]);
            backend.set_port(8080);
            let heard = established(name(6, client, vip), backend, method);
            assert_eq!(rig.harness.store_heard(&Heard::Flow(heard)), stored);
        }
    }
}

#[test]
fn what_means_nothing_here_is_kept_out() {
    let Some(mut rig) = plain(Forward::Nat).node(&[0]) else {
        return;
    };
    for (client, vip, backends) in SITES {
        let good = established(name(6, client, vip), at(backends[0]), Method::Nat);
        let mut elsewhere = good;
        elsewhere.name.target.set_port(81);
        let mut mixed = good;
        mixed.name.client = match mixed.name.client {
            SocketAddr::V4(_) => at("[::1]:1"),
            SocketAddr::V6(_) => at("127.0.0.1:1"),
        };
        let unknown = HeardFlow {
            backend: at(backends[1]),
            ..good
        };
        let direct = HeardFlow {
            method: Some(Method::Direct),
            ..good
        };
        let template = HeardTemplate {
            name: FlowName {
                template: true,
                ..good.name
            },
            backend: good.backend,
            remaining: None,
        };
        for (heard, stored) in [
            (Heard::Flow(elsewhere), Stored::UnknownService),
            (Heard::Flow(mixed), Stored::Malformed),
            (Heard::Flow(unknown), Stored::UnknownBackend),
            (Heard::Flow(direct), Stored::OtherMethod),
            (Heard::Template(template), Stored::NotPersistent),
        ] {
            assert_eq!(rig.harness.store_heard(&heard), stored, "{heard:?}");
        }
        assert_eq!(rig.harness.flows(), (0, 0));
    }
}

#[test]
fn a_remembered_client_is_told_by_its_flow_and_taken() {
    let Some([mut a, mut b]) = PERSISTENT.pair() else {
        return;
    };
    for (client, vip, _) in SITES {
        let first = connect(&mut a, client, 4000, vip);
        let flow = name(6, client, vip);
        let template = a.harness.client_of(&flow).unwrap();
        assert_eq!((template.backend, template.name.target), (first, at(vip)));
        assert_eq!(template.name.client.port(), 0);
        let total = template.remaining + template.idle;
        assert!((299..=301).contains(&total.as_secs()), "{total:?}");
        assert_ne!(template.name.client.ip(), flow.client.ip(), "its network");
        assert_eq!(b.harness.client_of(&flow), None);

        let heard = Heard::Template(HeardTemplate {
            name: template.name,
            backend: template.backend,
            remaining: Some(Duration::from_secs(300)),
        });
        assert_eq!(b.harness.store_heard(&heard), Stored::Added);
        for port in 4001..4005 {
            assert_eq!(connect(&mut b, client, port, vip), first);
        }
        // A flow of a service that remembers clients hangs on its client.
        let heard = established(flow, first, Method::Direct);
        assert_eq!(b.harness.store_heard(&Heard::Flow(heard)), Stored::Added);
        assert!(found(&mut b, &flow).persistent);
    }
}
