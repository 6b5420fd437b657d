//! What the program remembers, in the kernel's own tables: persistence, handshakes and established flows apart, ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use control::{
    plan::{PoolPlan, ServicePlan},
    spec::{
        Balance, Forward, KernelSpec, Listen, PersistenceSpec, Scheme, ServiceKind, ServiceSpec,
    },
};
use xdp::testing::Builder;

use super::{
    plans::{at, plan, pool},
    rig::Rig,
};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

const PASS: u32 = 2;

pub(crate) const VIP: &str = "198.51.100.1:80";

/// A service on these addresses, changed by `change`.
pub(crate) fn service(
    listen: Vec<Listen>,
    forward: Forward,
    change: impl FnOnce(&mut KernelSpec),
) -> Arc<ServicePlan> {
    let mut kernel = KernelSpec::new(forward, "web".parse().unwrap());
    change(&mut kernel);
    Arc::new(ServicePlan {
        spec: Arc::new(ServiceSpec {
            name: "web".parse().unwrap(),
            listen,
            kind: ServiceKind::Kernel(Box::new(kernel)),
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None,
        }),
    })
}

pub(crate) fn one(scheme: Scheme) -> Vec<Listen> {
    vec![Listen::new(scheme, at(VIP))]
}

/// Backends 10.1.0.1, ... of these weights.
pub(crate) fn backends(balance: Balance, weights: &[u32]) -> Arc<PoolPlan> {
    let named: Vec<_> = (1..)
        .zip(weights)
        .map(|(n, weight)| (format!("10.1.0.{n}:80"), *weight))
        .collect();
    let members: Vec<_> = named.iter().map(|(a, w)| (a.as_str(), *w)).collect();
    pool("web", balance, &members)
}

pub(crate) fn rig(service: &Arc<ServicePlan>, pool: &Arc<PoolPlan>) -> Option<Rig> {
    let mut rig = Rig::new()?;
    rig.harness
        .apply(&plan(&[Arc::clone(service)], &[Arc::clone(pool)]))
        .unwrap();
    Some(rig)
}

pub(crate) fn client(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

/// Sends to an address; the last byte of the backend's address that it goes to (of nat), none if it does not.
pub(crate) fn tcp(rig: &Rig, from: SocketAddr, to: &str, flags: u8) -> Option<u8> {
    send(rig, &Builder::new(from, at(to)).tcp(flags, &[], b"data"))
}

fn send(rig: &Rig, packet: &[u8]) -> Option<u8> {
    let outcome = rig.harness.run(packet, rig.out).unwrap();
    // An answer of ours comes from the virtual address.
    let sent = outcome.verdict > PASS && outcome.packet[30] == 10;
    sent.then(|| outcome.packet[33])
}

/// The backend's answer.
pub(crate) fn answer(rig: &Rig, from: SocketAddr, backend: u8, flags: u8) {
    let backend = SocketAddr::from(([10, 1, 0, backend], 80));
    let outcome = rig
        .harness
        .run(&Builder::new(backend, from).tcp(flags, &[], b""), rig.out)
        .unwrap();
    assert!(outcome.verdict > PASS);
}

/// A whole handshake.
pub(crate) fn open(rig: &Rig, from: SocketAddr) -> u8 {
    let backend = tcp(rig, from, VIP, SYN).unwrap();
    answer(rig, from, backend, SYN | ACK);
    assert_eq!(tcp(rig, from, VIP, ACK), Some(backend));
    backend
}

#[test]
fn a_network_of_clients_comes_back_to_one_backend_by_all_ports_of_a_service() {
    let listen = ["198.51.100.1:80", "198.51.100.1:443", "198.51.100.2:80"]
        .map(|a| Listen::new(Scheme::Tcp, at(a)))
        .to_vec();
    let service = service(listen, Forward::Nat, |kernel| {
        kernel.persistence = Some(PersistenceSpec {
            mask4: [255, 255, 255, 240].into(),
            ..PersistenceSpec::new(Duration::from_secs(300))
        });
    });
    let Some(rig) = rig(&service, &backends(Balance::RoundRobin, &[1, 1, 1])) else {
        return;
    };
    let first = tcp(&rig, client(1, 5000), VIP, SYN).unwrap();
    for (host, port, to) in [
        (2, 1, VIP),
        (15, 2, "198.51.100.1:443"),
        (1, 3, "198.51.100.2:80"),
    ] {
        assert_eq!(tcp(&rig, client(host, port), to, SYN), Some(first), "{to}");
    }
    assert_ne!(
        tcp(&rig, client(16, 1), VIP, SYN),
        Some(first),
        "another network"
    );
}

#[test]
fn ranges_and_all_ports_lead_to_one_service() {
    let range = Listen {
        last_port: 8100,
        ..Listen::new(Scheme::Tcp, at("198.51.100.1:8001"))
    };
    let all = Listen::all_ports(Scheme::Udp, at("198.51.100.3:0").ip());
    let service = service(vec![range, all], Forward::Nat, |_| {});
    let Some(rig) = rig(
        &service,
        &pool("web", Balance::RoundRobin, &[("10.1.0.1:0", 1)]),
    ) else {
        return;
    };
    for (port, wanted) in [
        (8000, false),
        (8001, true),
        (8064, true),
        (8100, true),
        (8101, false),
    ] {
        let to = SocketAddr::from(([198, 51, 100, 1], port));
        let packet = Builder::new(client(1, 5000), to).tcp(SYN, &[], b"");
        let outcome = rig.harness.run(&packet, rig.out).unwrap();
        assert_eq!(outcome.verdict > PASS, wanted, "{port}");
        if wanted {
            assert_eq!(outcome.packet[36..38], port.to_be_bytes(), "the port stays");
        }
    }
    for port in [1, 53, 65535] {
        let to = SocketAddr::from(([198, 51, 100, 3], port));
        assert_eq!(
            send(&rig, &Builder::new(client(1, 6000), to).udp(b"?")),
            Some(1)
        );
    }
}

#[test]
fn one_packet_services_keep_no_flows() {
    let service = service(one(Scheme::Udp), Forward::Direct, |kernel| {
        kernel.one_packet = true
    });
    let Some(rig) = rig(&service, &backends(Balance::RoundRobin, &[1, 1])) else {
        return;
    };
    for _ in 0..6 {
        let packet = Builder::new(client(1, 5000), at(VIP)).udp(b"?");
        assert!(rig.harness.run(&packet, rig.out).unwrap().verdict > PASS);
    }
    assert_eq!(rig.harness.flows(), (0, 0));
}

#[test]
fn a_handshake_is_pending_until_both_sides_have_spoken() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let Some(rig) = rig(&service, &backends(Balance::RoundRobin, &[1])) else {
        return;
    };
    let flows = || rig.harness.flows();
    assert_eq!(tcp(&rig, client(1, 5000), VIP, SYN), Some(1));
    assert_eq!(flows(), (2, 0));
    // Made up: the backend has not answered.
    assert_eq!(tcp(&rig, client(1, 5000), VIP, ACK), Some(1));
    assert_eq!(flows(), (2, 0));
    answer(&rig, client(1, 5000), 1, SYN | ACK);
    assert_eq!(flows(), (2, 0));
    assert_eq!(tcp(&rig, client(1, 5000), VIP, ACK), Some(1));
    assert_eq!(flows(), (0, 2));
}

#[test]
fn a_flood_of_syns_takes_no_established_flow() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let Some(rig) = rig(&service, &backends(Balance::RoundRobin, &[1, 1])) else {
        return;
    };
    let talks: Vec<_> = (0..50)
        .map(|n| {
            let from = client(1, 5000 + n);
            (from, open(&rig, from))
        })
        .collect();
    // Several times what fits into the table of handshakes.
    for n in 0..8_000_u16 {
        let from = client(100 + (n >> 12) as u8, 1024 + (n & 0xfff));
        assert!(tcp(&rig, from, VIP, SYN).is_some());
    }
    let (pending, flows) = rig.harness.flows();
    // A table has more places than flows that it is meant to hold.
    let places = xdp::abi::buckets(1024) as usize * xdp::abi::LANES;
    assert!(pending <= places, "{pending}");
    assert_eq!(flows, 100);
    for (from, backend) in talks {
        assert_eq!(tcp(&rig, from, VIP, ACK), Some(backend));
    }
    // And whoever comes now gets through.
    open(&rig, client(2, 7000));
}

#[test]
fn a_port_that_is_used_again_begins_anew() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let Some(rig) = rig(&service, &backends(Balance::RoundRobin, &[1, 1])) else {
        return;
    };
    let from = client(1, 5000);
    let first = open(&rig, from);
    // While it lasts, a SYN is its own.
    assert_eq!(tcp(&rig, from, VIP, SYN), Some(first));
    assert_eq!(tcp(&rig, from, VIP, FIN | ACK), Some(first));
    answer(&rig, from, first, FIN | ACK);
    assert_eq!(tcp(&rig, from, VIP, ACK), Some(first));
    let second = tcp(&rig, from, VIP, SYN).unwrap();
    assert_ne!(second, first);
    let loads = [1, 2].map(|n| rig.harness.load(at(&format!("10.1.0.{n}:80"))));
    let counted: u32 = loads.iter().map(|l| l.active + l.inactive).sum();
    assert_eq!(counted, 1, "{loads:?}");
}

#[test]
fn removed_backends_with_expiry_give_their_flows_up() {
    for expire in [false, true] {
        let service = service(one(Scheme::Udp), Forward::Nat, |k| {
            k.expire_removed = expire
        });
        let Some(mut rig) = rig(&service, &backends(Balance::RoundRobin, &[1, 1])) else {
            return;
        };
        let ask = |rig: &Rig| send(rig, &Builder::new(client(1, 5000), at(VIP)).udp(b"?"));
        assert_eq!((ask(&rig), ask(&rig)), (Some(2), Some(2)));
        let left = plan(&[service], &[backends(Balance::RoundRobin, &[1])]);
        rig.harness.apply(&left).unwrap();
        assert_eq!(ask(&rig), expire.then_some(1));
    }
}

#[test]
fn tracing_ends_by_itself_when_nobody_renews_it() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let Some(rig) = rig(&service, &backends(Balance::RoundRobin, &[1])) else {
        return;
    };
    let traced = || rig.harness.is_traced().unwrap();
    let backend = open(&rig, client(1, 5000));
    let talk = || assert_eq!(tcp(&rig, client(1, 5000), VIP, ACK), Some(backend));
    rig.harness.trace_for(10_000).unwrap();
    talk();
    assert!(traced());
    // Whoever listened was killed a while ago.
    rig.harness.trace_for(-2).unwrap();
    assert!(traced());
    talk();
    assert!(!traced(), "the next packet ended it");
    talk();
}

#[test]
fn destinations_stay_with_their_backend() {
    for balance in [
        Balance::LocalityLeastConnections,
        Balance::ReplicatedLocality,
    ] {
        let listen = (1..=4)
            .map(|n| Listen::new(Scheme::Tcp, at(&format!("198.51.100.{n}:80"))))
            .collect();
        let service = service(listen, Forward::Nat, |_| {});
        let Some(rig) = rig(&service, &backends(balance, &[100, 100, 100])) else {
            return;
        };
        let homes = |port: u16| {
            [1, 2, 3, 4].map(|n| {
                let to = format!("198.51.100.{n}:80");
                tcp(&rig, client(1, port + n), &to, SYN).unwrap()
            })
        };
        let first = homes(5000);
        for port in 1..5 {
            assert_eq!(homes(5000 + port * 10), first);
        }
    }
}
