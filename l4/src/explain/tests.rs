//! Explanations of a small site, each held against what the program's own code decides.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{cell::Cell, collections::HashMap, net::IpAddr};

use xdp::{
    abi::{
        Addr6, Backend, Endpoint, Family, FlowState, Fragment, FragmentKey, Guard, Hop, Load,
        Locality, LocalityKey, Mac, Method as AbiMethod, RangeKey, Scheduler, Secret, Service,
        Settings, Template, TemplateKey, Tick, backend_flags, service_flags, settings_flags,
    },
    decide::Route,
};

use super::*;

/// A virtual address with a service, and its backends.
struct Site {
    service: Service,
    backends: Vec<(Backend, Load)>,
    route: Cell<Route>,
    template: Option<u32>,
    flows: HashMap<String, Flow<V4>>,
}

fn words(ip: &str) -> Addr6 {
    let ip: std::net::Ipv4Addr = ip.parse().unwrap();
    Addr6 {
        a: u32::from_ne_bytes(ip.octets()),
        ..Addr6::default()
    }
}

fn backend(ip: &str, method: AbiMethod, weight: u32) -> Backend {
    Backend {
        flags: backend_flags::PRESENT | backend_flags::TAKES,
        weight,
        address: words(ip),
        port: 8080_u16.to_be(),
        method: method as u8,
        ..Backend::default()
    }
}

fn site(scheduler: Scheduler, method: AbiMethod) -> Site {
    let load = |active| Load {
        active,
        ..Load::default()
    };
    Site {
        service: Service {
            flags: service_flags::PRESENT,
            scheduler: scheduler as u8,
            table: 2 << 32,
            members: 2 << 32,
            persistence: 100,
            mask: Addr6 {
                a: u32::MAX,
                b: u32::MAX,
                c: u32::MAX,
                d: u32::MAX,
            },
            ..Service::default()
        },
        backends: vec![
            (backend("10.0.0.11", method, 1), load(3)),
            (backend("10.0.0.12", method, 1), load(1)),
        ],
        route: Cell::new(Route::Found),
        template: None,
        flows: HashMap::new(),
    }
}

impl Source for Site {
    fn now(&self) -> Tick {
        Tick(1000)
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings {
            generation: 7,
            trace: 0,
            seed: 1,
            source_ports: 0,
            timeouts: [Tick::in_seconds(900); FlowState::COUNT],
            flags: settings_flags::SERVICES,
            trace_until: Tick(0),
            zero: 0,
            secret: [0; 2],
        })
    }

    fn service(&self, slot: u32) -> Option<Service> {
        (slot == 0).then_some(self.service)
    }

    fn backend(&self, slot: u32) -> Option<Backend> {
        self.backends
            .get(slot as usize)
            .map(|(backend, _)| *backend)
    }

    fn load(&self, slot: u32) -> Option<Load> {
        self.backends.get(slot as usize).map(|(_, load)| *load)
    }

    fn scheduled(&self, index: u32) -> Option<u32> {
        (index < 2).then_some(index)
    }

    fn turns(&self, _service: u32) -> Option<u32> {
        Some(0)
    }

    fn secret(&self) -> Option<Secret> {
        Some(Secret {
            key: [3, 4],
            open: 10,
            zero: 0,
        })
    }

    fn guard(&self, _slot: u32) -> Option<Guard> {
        Some(Guard {
            open: 11,
            sent: 999,
        })
    }

    fn way(&self, _to: IpAddr) -> (Route, Hop) {
        let hop = Hop {
            generation: 0,
            ifindex: 2,
            source: Mac::default(),
            target: Mac {
                a: u16::from_ne_bytes([0x02, 0]),
                b: 0,
                c: u16::from_ne_bytes([0, 0x0b]),
            },
            vlan: 5,
            mtu: 1500,
        };
        (self.route.get(), hop)
    }

    fn named(&self, slot: u32) -> Option<(String, Word)> {
        (slot == 0).then(|| ("web".into(), "wlc".into()))
    }

    fn interface(&self, index: u32) -> Option<String> {
        (index == 2).then(|| "eth0".into())
    }
}

impl<F: Family> Lookup<F> for Site {
    fn flow(&self, table: Table, key: &Tuple<F>) -> Option<Flow<F>> {
        let (source, port) = (ip_of::<F>(key.src), u16::from_be(key.sport));
        let flow = self.flows.get(&format!("{source}:{port}"))?;
        (table == Table::Established).then(|| Flow {
            expires: flow.expires,
            state: flow.state,
            role: flow.role,
            method: flow.method,
            flags: flow.flags,
            backend: flow.backend,
            service: flow.service,
            src: key.src,
            dst: F::narrow(F::widen(key.dst)),
            sport: key.sport,
            dport: key.dport,
            hop: flow.hop,
            delta: flow.delta,
        })
    }

    fn endpoint(&self, key: &Endpoint<F>) -> Option<u32> {
        let vip = ip_of::<F>(key.address) == "192.168.1.100".parse::<IpAddr>().unwrap();
        let wanted = (u16::from_be(key.port), key.proto);
        (vip && [(80, 6), (53, 17), (0, 0)].contains(&wanted)).then_some(0)
    }

    fn range(&self, _key: &RangeKey<F>) -> Option<u32> {
        None
    }

    fn template(&self, key: &TemplateKey<F>) -> Option<Template> {
        let backend = self.template?;
        (key.service == 0).then_some(Template {
            backend,
            expires: 1100,
        })
    }

    fn fragment(&self, _key: &FragmentKey<F>) -> Option<Fragment> {
        None
    }

    fn locality(&self, _key: &LocalityKey<F>) -> Option<Locality> {
        None
    }
}

fn ip_of<F: Family>(address: F::Addr) -> IpAddr {
    crate::trace::ip(F::widen(address), F::IS_V6)
}

fn ask(to: &str, protocol: u8, flags: Option<u8>) -> Question {
    Question::Flowing {
        packet: Flowing {
            protocol,
            source: "192.0.2.9:4711".parse().unwrap(),
            destination: to.parse().unwrap(),
            flags: flags.unwrap_or(0),
            length: 60,
        },
        any_flags: flags.is_none(),
    }
}

fn whole(bytes: Vec<u8>) -> Question {
    let length = bytes.len();
    Question::Frame { bytes, length }
}

fn one(site: &Site, question: Question) -> Explanation {
    explain(site, &[question]).remove(0)
}

fn has(explanation: &Explanation, step: &str) {
    assert!(
        explanation.steps.iter().any(|s| s.contains(step)),
        "{step}: {explanation:#?}"
    );
}

const VIP: &str = "192.168.1.100:80";

#[test]
fn a_new_connection_says_which_backend_and_why() {
    let site = site(Scheduler::Wlc, AbiMethod::Nat);
    let told = one(&site, ask(VIP, 6, None));
    assert_eq!(
        told.packet,
        "tcp 192.0.2.9:4711 > 192.168.1.100:80, SYN, 60 bytes"
    );
    assert_eq!(
        (&*told.verdict, told.road.as_deref()),
        ("forward", Some("new"))
    );
    assert_eq!(told.service.as_deref(), Some("web"));
    assert_eq!(told.backend.unwrap().to_string(), "10.0.0.12:8080");
    has(&told, "no connection of these addresses is remembered");
    has(&told, "192.168.1.100:80 is an address of service web");
    has(&told, "fewest connections for its weight");
    has(
        &told,
        "it leaves translated (nat): tcp 192.0.2.9:4711 > 10.0.0.12:8080",
    );
    has(
        &told,
        "it leaves by eth0, VLAN 5 to 02:00:00:00:00:0b, MTU 1500",
    );
    has(&told, "a new connection is remembered");
    // As they stood before: the new one is not counted.
    let stand: Vec<(&str, bool, Option<f64>)> = told
        .candidates
        .iter()
        .map(|c| (c.why.as_str(), c.chosen, c.score))
        .collect();
    assert_eq!(
        stand,
        [
            ("weight 1, 3 active, 0 inactive", false, Some(768.0)),
            ("weight 1, 1 active, 0 inactive", true, Some(256.0)),
        ]
    );
}

#[test]
fn packets_asked_about_together_know_of_each_other() {
    let site = site(Scheduler::Ring, AbiMethod::Direct);
    let (syn, ack) = (Some(tcp_flags::SYN), Some(tcp_flags::ACK));
    let told = explain(
        &site,
        &[ask(VIP, 6, syn), ask(VIP, 6, ack), ask(VIP, 6, ack)],
    );
    assert_eq!(told[0].road.as_deref(), Some("new"));
    assert_eq!(told[1].road.as_deref(), Some("established"));
    assert_eq!(told[1].backend, told[0].backend);
    has(&told[1], "its handshake not complete");
    has(&told[1], "among established connections");
    has(&told[1], "to the link-layer address of 10.0.0.11 (direct)");
    has(&told[2], "remembered as ESTABLISHED");
    // Another question begins anew: nothing came of it.
    let alone = one(&site, ask(VIP, 6, ack));
    assert_eq!(
        (&*alone.verdict, alone.reason.as_deref()),
        ("pass", Some("no-flow"))
    );
    has(&alone, "left to this machine's own network stack");
}

#[test]
fn a_known_connection_is_told_from_a_new_one() {
    let mut site = site(Scheduler::Ring, AbiMethod::Direct);
    let flow = Flow {
        expires: 1000 + Tick::in_seconds(60),
        state: FlowState::Established as u8,
        role: 0,
        method: AbiMethod::Direct as u8,
        flags: xdp::abi::flow_flags::ONE_WAY,
        backend: 1,
        service: 0,
        src: 0,
        dst: 0,
        sport: 0,
        dport: 0,
        hop: Hop::default(),
        delta: 0,
    };
    site.flows.insert("192.0.2.9:4711".into(), flow);
    let told = one(&site, ask(VIP, 6, None));
    assert!(told.packet.contains(", ACK,"), "{}", told.packet);
    assert_eq!(told.road.as_deref(), Some("established"));
    assert_eq!(told.backend.unwrap().to_string(), "10.0.0.12:8080");
    has(&told, "remembered as ESTABLISHED, for 60 s more");
    site.backends[1].0.flags = backend_flags::PRESENT | backend_flags::REMOVED;
    let gone = one(&site, ask(VIP, 6, None));
    assert_eq!(
        (&*gone.verdict, gone.reason.as_deref()),
        ("drop", Some("backend-gone"))
    );
}

#[test]
fn a_cookie_answers_and_is_taken_back() {
    let mut site = site(Scheduler::Wlc, AbiMethod::Nat);
    site.service.flags |= service_flags::SYN_COOKIES;
    let told = one(&site, ask(VIP, 6, None));
    assert_eq!(
        (&*told.verdict, told.reason.as_deref(), told.backend),
        ("answer", None, None)
    );
    assert_eq!(told.service.as_deref(), Some("web"));
    has(&told, "192.168.1.100:80 is an address of service web");
    has(
        &told,
        "answered with a SYN cookie (MSS 1460) and forgotten: the service says so",
    );
    site.service.flags |= service_flags::COOKIES_AUTO;
    let told = one(&site, ask(VIP, 6, None));
    has(
        &told,
        "11 handshakes of the service are open, which is too many",
    );
    // An acknowledgement tells by its numbers alone what it is.
    let from = |source: &str, destination: &str| {
        xdp::testing::Builder::new(source.parse().unwrap(), destination.parse().unwrap())
    };
    let (client, backend) = ("192.0.2.9:4711", "10.0.0.12:8080");
    let words = |ip: &str| words(ip).a;
    let (port, vport) = (4711_u16.to_be(), 80_u16.to_be());
    let tuple = Tuple::<V4>::new(words("192.0.2.9"), words("192.168.1.100"), port, vport, 6);
    let cookie = xdp::cookie::make([3, 4], &tuple, 7, xdp::cookie::counter(Tick(1000)), 5);
    let back = from(client, VIP).numbers(8, cookie + 1);
    let answer = from(backend, client).numbers(100, 8);
    let steps = [
        back.tcp(tcp_flags::ACK, &[], b""),
        answer.tcp(tcp_flags::SYN | tcp_flags::ACK, &[], b""),
        back.tcp(tcp_flags::ACK, &[], b"data"),
    ];
    let told = explain(&site, &steps.map(whole));
    has(&told[0], "it becomes a SYN");
    has(&told[0], "the fewest connections for its weight");
    has(&told[1], "a segment that opens its window");
    has(&told[2], "the numbers of what the backend sends are moved");
    let bad = from(client, VIP)
        .numbers(8, cookie)
        .tcp(tcp_flags::ACK, &[], b"");
    let told = one(&site, whole(bad));
    assert_eq!(
        (&*told.verdict, told.reason.as_deref()),
        ("drop", Some("bad-cookie"))
    );
}

#[test]
fn every_verdict_agrees_with_the_programs_code() {
    let with = |change: fn(&mut Site)| {
        let mut site = site(Scheduler::Wlc, AbiMethod::Nat);
        change(&mut site);
        site
    };
    for (change, question, verdict, reason) in [
        (
            (|site| site.backends.iter_mut().for_each(|(b, _)| b.weight = 0)) as fn(&mut Site),
            ask(VIP, 6, None),
            "answer",
            Some("no-backend"),
        ),
        (
            |site| site.route.set(Route::NoRoute),
            ask(VIP, 6, None),
            "drop",
            Some("no-route"),
        ),
        (
            |site| site.route.set(Route::NoNeighbour),
            ask(VIP, 6, None),
            "drop",
            Some("no-neighbour"),
        ),
        (
            |site| site.route.set(Route::NoDevice),
            ask(VIP, 6, None),
            "drop",
            Some("no-device"),
        ),
        (
            |_| (),
            ask("192.168.1.100:81", 6, None),
            "pass",
            Some("not-ours"),
        ),
        (|_| (), ask("192.168.1.100:53", 17, None), "forward", None),
        (
            |site| {
                site.backends
                    .iter_mut()
                    .for_each(|(b, _)| b.method = AbiMethod::Local as u8)
            },
            ask(VIP, 6, None),
            "pass",
            Some("local"),
        ),
        (
            |site| {
                for (backend, _) in &mut site.backends {
                    backend.method = AbiMethod::Tunnel as u8;
                }
            },
            Question::Flowing {
                packet: Flowing {
                    protocol: 6,
                    source: "192.0.2.9:4711".parse().unwrap(),
                    destination: VIP.parse().unwrap(),
                    flags: tcp_flags::SYN,
                    length: 1500,
                },
                any_flags: false,
            },
            "answer",
            Some("too-big"),
        ),
        (|_| (), whole(vec![0; 60]), "pass", Some("not-ip")),
        (|_| (), whole(lying()), "drop", Some("malformed")),
    ] {
        let site = with(change);
        let told = one(&site, question.clone());
        assert_eq!(
            (&*told.verdict, told.reason.as_deref()),
            (verdict, reason),
            "{question:?}\n{told:#?}"
        );
        assert_eq!(told.verdict, bare(&site, &question), "{question:?}");
        assert!(!told.steps.is_empty());
    }
}

/// An IPv4 packet that says it is longer than its frame.
fn lying() -> Vec<u8> {
    let mut bytes = vec![0; 60];
    bytes[12..18].copy_from_slice(&[0x08, 0x00, 0x45, 0, 0x27, 0x0f]);
    bytes[23] = 6;
    bytes
}

/// What the program's code says, with nothing around it.
fn bare(site: &Site, question: &Question) -> Word {
    let mut bytes = match question {
        Question::Frame { bytes, .. } => bytes.clone(),
        Question::Flowing { packet, any_flags } => {
            let mut packet = *packet;
            if *any_flags && packet.protocol == proto::TCP {
                packet.flags = tcp_flags::SYN;
            }
            frame::build(&packet).unwrap()
        }
    };
    // SAFETY: the frame is used only within this call.
    match parse(unsafe { Frame::of(&mut bytes) }) {
        Parsed::V4(mut packet) => {
            use xdp::decide::Action;
            let mut verdict = Verdict::new(packet.tuple);
            decide(&View::new(site), &mut packet, &mut verdict);
            match verdict.action {
                Action::Pass => "pass".into(),
                Action::Forward => "forward".into(),
                Action::Drop => "drop".into(),
                _ => "answer".into(),
            }
        }
        Parsed::V6(_) => "pass".into(),
        Parsed::Pass(_) => "pass".into(),
        Parsed::Drop(_) => "drop".into(),
    }
}

#[test]
fn a_client_that_was_here_goes_where_it_went() {
    let mut site = site(Scheduler::Wlc, AbiMethod::Direct);
    site.service.flags |= service_flags::PERSISTENT;
    site.template = Some(0);
    let told = one(&site, ask(VIP, 6, None));
    assert_eq!(told.backend.unwrap().to_string(), "10.0.0.11:8080");
    has(&told, "the client was here before");
}

#[test]
fn addresses_of_two_families_and_flags_are_told() {
    let site = site(Scheduler::Ring, AbiMethod::Nat);
    let told = one(&site, ask("[2001:db8::1]:80", 6, None));
    assert_eq!(told.reason.as_deref(), Some("unparsed"));
    let v6 = Question::Flowing {
        packet: Flowing {
            protocol: 17,
            source: "[2001:db8::9]:1".parse().unwrap(),
            destination: "[2001:db8::1]:53".parse().unwrap(),
            flags: 0,
            length: 0,
        },
        any_flags: false,
    };
    let told = one(&site, v6);
    assert_eq!(
        told.packet,
        "udp [2001:db8::9]:1 > [2001:db8::1]:53, 48 bytes"
    );
    assert_eq!(told.reason.as_deref(), Some("not-ours"));
    assert_eq!(flags_of("syn,ack"), Ok(18));
    assert_eq!(flags_of("none"), Ok(0));
    assert!(flags_of("sync").is_err());
    assert_eq!(flags_word(18), "SYN+ACK");
}
