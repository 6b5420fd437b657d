//! What is told beside plain TCP: datagrams, SCTP, connections that a SYN cookie opened, and clients that persistence
//! remembers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use control::{
    plan::ServicePlan,
    spec::{Balance, Forward, KernelSpec, PersistenceSpec, Scheme, ServiceKind, SynCookies},
};
use l4::sync::{FlowName, Stored, Told, ToldTemplate};
use xdp::testing::{Builder, tcp_options};

use super::{
    packet::{ACK, SYN},
    plans::{at, plan, pool, service},
    rig::Rig,
};

const TX: u32 = 3;
const REDIRECT: u32 = 4;
/// Client without port, service, backends.
pub(super) const SITES: [(&str, &str, [&str; 2]); 2] = [
    (
        "192.0.2.7",
        "198.51.100.1:80",
        ["10.1.0.1:80", "10.1.0.2:80"],
    ),
    (
        "[2001:db8::7]",
        "[2001:db8:1::1]:80",
        ["[fd01::1]:80", "[fd01::2]:80"],
    ),
];

/// What a node does, with a service of each family.
pub(super) struct Kind<'a> {
    pub(super) schemes: &'a [Scheme],
    pub(super) forward: Forward,
    pub(super) change: fn(&mut KernelSpec),
}

impl Kind<'_> {
    /// A node with these of the backends, in this order: in another, slots are others too.
    pub(super) fn node(&self, backends: &[usize]) -> Option<Rig> {
        let (mut services, mut pools) = (Vec::new(), Vec::new());
        for (name, (_, vip, addresses)) in ["four", "six"].into_iter().zip(SITES) {
            let members: Vec<_> = backends.iter().map(|at| (addresses[*at], 1)).collect();
            pools.push(pool(name, Balance::RoundRobin, &members));
            for scheme in self.schemes {
                let made = service(*scheme, vip, self.forward, name);
                let mut spec = (*made.spec).clone();
                spec.name = format!("{name}-{}", scheme.ip_protocol()).parse().unwrap();
                if let ServiceKind::Kernel(kernel) = &mut spec.kind {
                    (self.change)(kernel);
                }
                let spec = Arc::new(spec);
                services.push(Arc::new(ServicePlan { spec }));
            }
        }
        let mut rig = Rig::new()?;
        rig.harness.apply(&plan(&services, &pools)).unwrap();
        Some(rig)
    }

    /// Two nodes whose backends are in another order.
    pub(super) fn pair(&self) -> Option<[Rig; 2]> {
        Some([self.node(&[0, 1])?, self.node(&[1, 0])?])
    }
}

/// Services that remember clients for five minutes.
pub(super) const PERSISTENT: Kind<'_> = Kind {
    schemes: &[Scheme::Tcp],
    forward: Forward::Direct,
    change: |kernel| {
        kernel.persistence = Some(PersistenceSpec {
            mask4: Ipv4Addr::new(255, 255, 255, 240),
            prefix6: 64,
            ..PersistenceSpec::new(Duration::from_secs(300))
        });
    },
};

/// What a frame becomes that is sent on.
#[track_caller]
fn sent(rig: &Rig, frame: &[u8]) -> Vec<u8> {
    let done = rig.harness.run(frame, rig.out).unwrap();
    assert!(matches!(done.verdict, TX | REDIRECT), "{}", done.verdict);
    done.packet
}

#[test]
fn datagrams_and_sctp_go_on_at_another_node() {
    for forward in [Forward::Nat, Forward::Direct, Forward::Tunnel] {
        let schemes = &[Scheme::Udp, Scheme::Sctp];
        let kind = Kind {
            schemes,
            forward,
            change: |_| {},
        };
        let Some([mut a, mut b]) = kind.pair() else {
            return;
        };
        let each = schemes.iter().flat_map(|scheme| SITES.map(|s| (scheme, s)));
        for (scheme, (client, vip, backends)) in each {
            let what = format!("{scheme:?} {forward:?} {vip}");
            let frame = |from: &str, to: &str| {
                let builder = Builder::new(at(from), at(to));
                match scheme {
                    Scheme::Udp => builder.udp(b"a datagram"),
                    _ => builder.sctp(&[0; 16]),
                }
            };
            let client = format!("{client}:4000");
            let asks = frame(&client, vip);
            let _ = sent(&a, &asks);
            if forward == Forward::Nat {
                for backend in backends {
                    let _ = a.harness.run(&frame(backend, &client), a.out).unwrap();
                }
            }
            let through_a = sent(&a, &asks);
            let [told] = a.harness.tell(false)[..] else {
                panic!("{what}: one flow");
            };
            let Told::Flow(flow) = told else {
                panic!("{what}: {told:?}");
            };
            assert_eq!(b.harness.store(&told), Stored::Added, "{what}");
            assert_eq!(sent(&b, &asks), through_a, "{what}: the same backend");
            if forward == Forward::Nat {
                let reply = frame(&flow.backend.to_string(), &client);
                assert_eq!(sent(&b, &reply), sent(&a, &reply), "{what}: the way back");
            }
            let loads = [&a, &b].map(|node| node.harness.load(flow.backend));
            assert_eq!(loads[0], loads[1], "{what}");
            assert_eq!(b.harness.sweep(0).unwrap().corrected, 0, "{what}");
        }
    }
}

/// The first 14 bytes are Ethernet's, then IP's header, then TCP's: its sequence number.
fn cookie(frame: &[u8], v6: bool) -> u32 {
    let at = 14 + if v6 { 40 } else { 20 } + 4;
    u32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

#[test]
fn a_connection_that_a_cookie_opened_goes_on_at_another_node() {
    let kind = Kind {
        schemes: &[Scheme::Tcp],
        forward: Forward::Nat,
        change: |kernel| kernel.syn_cookies = SynCookies::On,
    };
    // One backend, so that it is known who answers.
    let (Some(mut a), Some(mut b)) = (kind.node(&[0]), kind.node(&[0])) else {
        return;
    };
    for (client, vip, [backend, _]) in SITES {
        let client = at(&format!("{client}:4000"));
        let asks = || Builder::new(client, at(vip));
        let syn = asks()
            .numbers(u32::MAX, 0)
            .tcp(SYN, &tcp_options(0, 1400), b"");
        let greeting = sent(&a, &syn);
        let cookie = cookie(&greeting, client.is_ipv6());
        let ack = |n: u32| asks().numbers(n, cookie.wrapping_add(1 + n));
        let _ = sent(&a, &ack(0).tcp(ACK, &[], b""));
        let offer = Builder::new(at(backend), client).numbers(0x8000_0000, 0);
        let _ = sent(&a, &offer.tcp(SYN | ACK, &tcp_options(0, 1400), b""));
        let request = ack(0).tcp(ACK, &[], b"a request");
        let through_a = sent(&a, &request);

        let [told] = a.harness.tell(false)[..] else {
            panic!("one flow");
        };
        assert!(
            matches!(told, Told::Flow(flow) if flow.delta.is_some()),
            "{told:?}"
        );
        assert_eq!(b.harness.store(&told), Stored::Added);
        // Numbers are shifted as they were, both ways.
        assert_eq!(sent(&b, &request), through_a);
        let reply = Builder::new(at(backend), client).numbers(0x8000_0001, 9);
        let reply = reply.tcp(ACK, &[], b"an answer");
        assert_eq!(sent(&b, &reply), sent(&a, &reply));
        assert_eq!(b.harness.sweep(0).unwrap().corrected, 0);
        // And is told on as it came.
        let on = b.harness.tell(true);
        let same = |on: &Told| match (on, told) {
            (Told::Flow(on), Told::Flow(told)) => on.name == told.name && on.delta == told.delta,
            _ => false,
        };
        assert!(on.iter().any(same), "{on:?}");
    }
}

/// A client's connection by `direct` or `tunnel`: the backend it went to.
pub(super) fn connect(rig: &mut Rig, client: &str, port: u16, vip: &str) -> SocketAddr {
    let asks = Builder::new(at(&format!("{client}:{port}")), at(vip));
    for flags in [SYN, ACK] {
        let _ = sent(rig, &asks.tcp(flags, &[], b""));
    }
    let name = FlowName {
        template: false,
        protocol: 6,
        client: at(&format!("{client}:{port}")),
        target: at(vip),
    };
    let Told::Flow(flow) = rig.harness.find(&name) else {
        panic!("{name:?} is not there");
    };
    flow.backend
}

/// The clients of a service that are told.
fn templates(told: &[Told], vip: &str) -> Vec<ToldTemplate> {
    let templates = told.iter().filter_map(|told| match told {
        Told::Template(template) if template.name.target == at(vip) => Some(*template),
        _ => None,
    });
    templates.collect()
}

#[test]
fn a_clients_next_connection_goes_to_the_same_backend_at_another_node() {
    let Some([mut a, mut b]) = PERSISTENT.pair() else {
        return;
    };
    for (client, vip, _) in SITES {
        let first = connect(&mut a, client, 4000, vip);
        let told = a.harness.tell(false);
        let [Told::Flow(flow), Told::Template(template)] = told[..] else {
            panic!("{told:?}");
        };
        assert!(flow.persistent);
        assert_eq!(template.backend, first);
        assert_eq!(a.harness.tell(false), [], "it was told");
        assert_eq!(
            a.harness.find(&template.name),
            told[1],
            "what is lost is told again"
        );
        for told in &told {
            assert_eq!(b.harness.store(told), Stored::Added);
            assert_eq!(
                b.harness.store(told),
                [Stored::Updated, Stored::Kept][usize::from(*told == Told::Template(template))]
            );
        }
        // In turn, every other would be the other backend's.
        for port in 4001..4005 {
            assert_eq!(connect(&mut b, client, port, vip), first);
        }
        b.harness.sweep(0).unwrap();
        assert_eq!(b.harness.load(first).persistent, 1);
    }
}

#[test]
fn handshakes_leave_nothing_to_tell_but_who_joins_is_told_all_clients() {
    let Some([mut a, _]) = PERSISTENT.pair() else {
        return;
    };
    for (client, vip, _) in SITES {
        let asks = Builder::new(at(&format!("{client}:4000")), at(vip));
        let _ = sent(&a, &asks.tcp(SYN, &[], b""));
        assert_eq!(
            a.harness.tell(false),
            [],
            "a flood of them costs peers nothing"
        );
        let told = a.harness.tell(true);
        let [template] = templates(&told, vip)[..] else {
            panic!("{told:?}");
        };
        assert_eq!(template.name.client.port(), 0);
        assert!(
            template.remaining > Duration::from_secs(298),
            "{template:?}"
        );
    }
}

#[test]
fn whose_connection_began_last_knows_where_a_client_belongs() {
    let Some([mut a, mut b]) = PERSISTENT.pair() else {
        return;
    };
    for (client, vip, _) in SITES {
        let at_a = connect(&mut a, client, 4000, vip);
        let [old] = templates(&a.harness.tell(false), vip)[..] else {
            panic!("one client");
        };
        std::thread::sleep(Duration::from_millis(500));
        let at_b = connect(&mut b, client, 4001, vip);
        assert_ne!(at_a, at_b, "orders differ");
        let [new] = templates(&b.harness.tell(false), vip)[..] else {
            panic!("one client");
        };
        assert_eq!(b.harness.store(&Told::Template(old)), Stored::Kept);
        assert_eq!(connect(&mut b, client, 4002, vip), at_b);
        assert_eq!(a.harness.store(&Told::Template(new)), Stored::Updated);
        assert_eq!(connect(&mut a, client, 4003, vip), at_b);
        // What is gone at the other is forgotten in its time.
        assert_eq!(a.harness.store(&Told::Gone(new.name)), Stored::Kept);
        assert_eq!(connect(&mut a, client, 4004, vip), at_b);
    }
}

#[test]
fn clients_that_mean_nothing_here_are_kept_out() {
    let plain = Kind {
        change: |_| {},
        ..PERSISTENT
    };
    let (Some(mut a), Some(mut b), Some(mut plain)) = (
        PERSISTENT.node(&[0]),
        PERSISTENT.node(&[1]),
        plain.node(&[0]),
    ) else {
        return;
    };
    for (client, vip, _) in SITES {
        let _ = connect(&mut a, client, 4000, vip);
        let [good] = templates(&a.harness.tell(false), vip)[..] else {
            panic!("one client");
        };
        let mut elsewhere = good;
        elsewhere.name.target.set_port(81);
        let mut mixed = good;
        let other = if vip.starts_with('[') {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        mixed.name.client = at(other);
        for (told, stored) in [
            (good, Stored::UnknownBackend),
            (elsewhere, Stored::UnknownService),
            (mixed, Stored::Malformed),
        ] {
            assert_eq!(b.harness.store(&Told::Template(told)), stored);
        }
        let stored = plain.harness.store(&Told::Template(good));
        assert_eq!(stored, Stored::NotPersistent);
        assert_eq!(templates(&b.harness.tell(true), vip), []);
    }
}
