//! SYN cookies through the program in the kernel and its twin on the host, byte for byte: what is wanted is built from
//! scratch, but for the cookie, which the kernel chooses.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use control::{
    plan::{Plan, ServicePlan},
    spec::{Balance, Forward, NatSource, Scheme, ServiceKind, SynCookies},
};
use xdp::{
    abi::{Reason, Tick},
    testing::{Builder, tcp_options, verify},
};

use super::{
    host::Host,
    packet::{ACK, SYN},
    plans::{at, plan, pool, service},
    rig::{OUR_MAC, Rig, THEIR_MAC},
};

const DROP: u32 = 1;
const PASS: u32 = 2;
const TX: u32 = 3;
const FIN: u8 = 1;
const RST: u8 = 4;
/// Initial sequence numbers: of the client, which passes 0 at once, and of the backend.
const ISN: u32 = u32::MAX;
const THEIRS: u32 = 0x8000_0000;
/// What the client asks for, and what it is given of that.
const MSS: u16 = 1430;
const KEPT: [u16; 2] = [1400, 1420];

struct Ends {
    client: SocketAddr,
    vip: SocketAddr,
    backend: SocketAddr,
}

fn ends(v6: bool, port: u16) -> Ends {
    let (client, vip, backend) = if v6 {
        ("[2001:db8::7]", "[2001:db8:1::1]:80", "[fd01::1]:8080")
    } else {
        ("192.0.2.7", "198.51.100.1:80", "10.1.0.1:8080")
    };
    Ends {
        client: at(&format!("{client}:{port}")),
        vip: at(vip),
        backend: at(backend),
    }
}

impl Ends {
    fn asks(&self) -> Builder {
        Builder::new(self.client, self.vip)
    }

    fn asked(&self) -> Builder {
        Builder::new(self.client, self.backend).ttl(62)
    }

    fn answers(&self) -> Builder {
        Builder::new(self.backend, self.client)
    }

    fn answered(&self) -> Builder {
        Builder::new(self.vip, self.client).ttl(62)
    }
}

fn onward(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&THEIR_MAC);
    frame[6..12].copy_from_slice(&OUR_MAC);
    frame
}

/// A plan of one service in each family.
fn of(cookies: SynCookies, source: &NatSource) -> Plan {
    let mut services = Vec::new();
    let mut pools = Vec::new();
    for (name, v6) in [("four", false), ("six", true)] {
        let ends = ends(v6, 1);
        let made = service(Scheme::Tcp, &ends.vip.to_string(), Forward::Nat, name);
        let mut spec = (*made.spec).clone();
        if let ServiceKind::Kernel(kernel) = &mut spec.kind {
            kernel.syn_cookies = cookies;
            kernel.source = source.clone();
        }
        services.push(Arc::new(ServicePlan {
            spec: Arc::new(spec),
        }));
        let backend = ends.backend.to_string();
        pools.push(pool(name, Balance::RoundRobin, &[(&backend, 1)]));
    }
    plan(&services, &pools)
}

struct Both {
    rig: Rig,
    host: Host,
}

fn both(plan: &Plan) -> Option<Both> {
    let mut rig = Rig::new()?;
    rig.harness.apply(plan).unwrap();
    // The twin's clock stands still: no step of the counter shall come between the two.
    while rig.harness.memory4().now.get().0 % 1024 > 960 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let host = Host::new(&rig);
    Some(Both { rig, host })
}

impl Both {
    /// A frame's verdict and what became of it, which must be the same on both sides.
    #[track_caller]
    fn run(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        let done = self.rig.harness.run(frame, self.rig.out).unwrap();
        let twin = self.host.run(frame, self.rig.out);
        assert_eq!(twin.verdict, done.verdict);
        if done.verdict == TX {
            assert_eq!(twin.packet, done.packet);
            verify(&done.packet).unwrap();
        }
        (done.verdict, done.packet)
    }

    #[track_caller]
    fn sent(&self, frame: &[u8], wanted: &[u8]) {
        let (verdict, got) = self.run(frame);
        assert_eq!((verdict, got), (TX, wanted.to_vec()));
    }

    /// The cookie that a SYN is answered with.
    #[track_caller]
    fn greet(&self, ends: &Ends) -> u32 {
        let syn = ends.asks().numbers(ISN, 0);
        let syn = syn.tcp(SYN, &tcp_options(4, MSS), b"");
        let (verdict, got) = self.run(&syn);
        assert_eq!(verdict, TX);
        let v6 = ends.vip.is_ipv6();
        let l4 = 14 + if v6 { 40 } else { 20 };
        let cookie = u32::from_be_bytes(got[l4 + 4..l4 + 8].try_into().unwrap());
        let answer = Builder::new(ends.vip, ends.client);
        let answer = answer.ttl(64).id(0).label(0).numbers(cookie, 0).window(0);
        let mut wanted = answer.tcp(
            SYN | ACK,
            &tcp_options(0, if v6 { 1440 } else { 1460 }),
            b"",
        );
        let (to, from) = wanted.split_at_mut(6);
        to.swap_with_slice(&mut from[..6]);
        assert_eq!(got, wanted);
        cookie
    }

    /// The client's acknowledgement of it, on its way as a SYN.
    #[track_caller]
    fn open(&self, ends: &Ends, cookie: u32) {
        let kept = KEPT[usize::from(ends.vip.is_ipv6())];
        let syn = ends.asked().numbers(ISN, 0).window(501);
        let wanted = onward(syn.tcp(SYN, &tcp_options(0, kept), b""));
        let came = ends.asks().numbers(0, cookie.wrapping_add(1)).window(501);
        self.sent(&came.tcp(ACK, &[], b""), &wanted);
        // And again, in whatever it comes.
        self.sent(&came.tcp(ACK | 8, &[], b"GET / HTTP/1.1\r\n\r\n"), &wanted);
        let probe = came.numbers(ISN, cookie.wrapping_add(1));
        self.sent(&probe.tcp(ACK, &[], b""), &wanted);
    }

    /// The backend's answer.
    #[track_caller]
    fn offer(&self, ends: &Ends, cookie: u32) {
        let came = ends.answers().numbers(THEIRS, 0).window(31_000);
        let wanted = ends.answered().numbers(cookie, 0).window(31_000);
        let wanted = onward(wanted.tcp(ACK, &[], &[0]));
        for options in [&tcp_options(0, 1460)[..], &[], &tcp_options(8, 1460)] {
            self.sent(&came.tcp(SYN | ACK, options, b""), &wanted);
        }
    }
}

#[test]
fn two_handshakes_are_joined_and_a_connection_goes_on() {
    let Some(both) = both(&of(SynCookies::On, &NatSource::Client)) else {
        return;
    };
    for v6 in [false, true] {
        let ends = ends(v6, 4000);
        let cookie = both.greet(&ends);
        assert_eq!(both.greet(&ends), cookie);
        both.open(&ends, cookie);
        both.offer(&ends, cookie);
        let after = |n: u32| cookie.wrapping_add(1 + n);
        for (n, flags, data) in [
            (0, ACK, &b""[..]),
            (0, ACK | 8, b"a request"),
            (70_000, ACK, b""),
            (70_000, ACK | FIN, b""),
        ] {
            let came = ends.asks().numbers(n, after(n)).tcp(flags, &[], data);
            let wanted = ends.asked().numbers(n, THEIRS + 1 + n);
            both.sent(&came, &onward(wanted.tcp(flags, &[], data)));
            let back = ends.answers().numbers(THEIRS + 1 + n, n);
            let wanted = ends.answered().numbers(after(n), n);
            let options = [1; 4];
            both.sent(
                &back.tcp(flags, &options, data),
                &onward(wanted.tcp(flags, &options, data)),
            );
        }
        assert_eq!(both.rig.harness.drops(Reason::BadCookie).unwrap(), 0);
    }
    for slot in 0..2 {
        let cookies = both.rig.harness.cookies(slot).unwrap();
        assert_eq!((cookies.sent, cookies.accepted, cookies.bad), (2, 1, 0));
    }
}

#[test]
fn resets_and_errors_come_in_the_right_numbers() {
    let Some(both) = both(&of(SynCookies::On, &NatSource::Client)) else {
        return;
    };
    for v6 in [false, true] {
        // The backend refuses.
        let refused = ends(v6, 4001);
        let cookie = both.greet(&refused);
        both.open(&refused, cookie);
        let came = refused.answers().numbers(0, 0).window(0);
        let wanted = refused.answered().numbers(cookie.wrapping_add(1), 0);
        both.sent(
            &came.tcp(RST | ACK, &[], b""),
            &onward(wanted.window(0).tcp(RST | ACK, &[], b"")),
        );
        // The client gives up before the backend has answered, and after.
        let ends = ends(v6, 4002);
        let cookie = both.greet(&ends);
        both.open(&ends, cookie);
        let reset = ends.asks().numbers(0, cookie.wrapping_add(1));
        let wanted = ends.asked().numbers(0, 0).tcp(RST, &[], b"");
        both.sent(&reset.tcp(RST | ACK, &[], b""), &onward(wanted));
        both.offer(&ends, cookie);
        // Errors about what either side sent, with as little of it as there may be, and with all.
        let (kind, header) = if v6 { (1, 40) } else { (3, 20) };
        for quoted in [8, 20, 60] {
            let cut = |frame: Vec<u8>| frame[14..][..header + quoted].to_vec();
            let router = at(if v6 {
                "[2001:db8:9::1]:0"
            } else {
                "203.0.113.9:0"
            });
            let data = [7; 40];
            let (to_client, to_backend) = (
                router_error(router, ends.client),
                router_error(router, ends.vip),
            );
            let sent = ends.asked().numbers(5, THEIRS + 9).tcp(ACK, &[], &data);
            let known = ends.asks().ttl(62).numbers(5, cookie.wrapping_add(9));
            let wanted = Builder::new(ends.vip, ends.client).ttl(62);
            let known = known.tcp(ACK, &[], &data);
            // The number that is acknowledged is not in the first 8 bytes.
            both.sent(
                &to_client.icmp(kind, 0, 0, &cut(sent)),
                &onward(wanted.icmp(kind, 0, 0, &cut(known))),
            );
            let told = ends
                .answered()
                .numbers(cookie.wrapping_add(9), 5)
                .tcp(ACK, &[], &data);
            let known = ends
                .answers()
                .ttl(62)
                .numbers(THEIRS + 9, 5)
                .tcp(ACK, &[], &data);
            let wanted = Builder::new(router, ends.backend).ttl(62);
            both.sent(
                &to_backend.icmp(kind, 0, 0, &cut(told)),
                &onward(wanted.icmp(kind, 0, 0, &cut(known))),
            );
        }
    }
}

fn router_error(from: SocketAddr, to: SocketAddr) -> Builder {
    Builder::new(from, to)
}

#[test]
fn what_is_no_cookie_is_dropped_and_counted() {
    let Some(both) = both(&of(SynCookies::On, &NatSource::Client)) else {
        return;
    };
    for v6 in [false, true] {
        let ends = ends(v6, 4003);
        let cookie = both.greet(&ends);
        let before = both.rig.harness.drops(Reason::BadCookie).unwrap();
        for (at, off) in [3, 9, 0x1000_0001, 0].into_iter().enumerate() {
            let seq = if off == 0 { 5 } else { 0 };
            let came = ends.asks().numbers(seq, cookie.wrapping_add(off + 1));
            assert_eq!(both.run(&came.tcp(ACK, &[], b"")).0, DROP, "{at}");
            let with_data = both.run(&came.tcp(ACK, &[], b"data"));
            assert_eq!(with_data.0, PASS, "{at}");
        }
        let after = both.rig.harness.drops(Reason::BadCookie).unwrap();
        assert_eq!(after - before, 4);
    }
    assert_eq!(both.rig.harness.cookies(0).unwrap().bad, 4);
    assert_eq!(both.rig.harness.flows(), (0, 0));
}

/// With a source of ours the kernel's choice of port is by chance: only the kernel's side is looked at.
#[test]
fn full_nat_has_them_too() {
    let source = NatSource::Pool(vec!["10.1.255.1".parse().unwrap()]);
    let Some(both) = both(&of(SynCookies::On, &source)) else {
        return;
    };
    let ends = ends(false, 4004);
    let cookie = both.greet(&ends);
    let run = |frame: &[u8]| {
        let done = both.rig.harness.run(frame, both.rig.out).unwrap();
        assert_eq!(done.verdict, TX);
        done.packet
    };
    let came = ends.asks().numbers(0, cookie.wrapping_add(1)).window(501);
    let got = run(&came.tcp(ACK, &[], b""));
    let port = u16::from_be_bytes([got[34], got[35]]);
    let ours = SocketAddr::new("10.1.255.1".parse().unwrap(), port);
    let wanted = Builder::new(ours, ends.backend)
        .ttl(62)
        .numbers(ISN, 0)
        .window(501);
    assert_eq!(got, onward(wanted.tcp(SYN, &tcp_options(0, KEPT[0]), b"")));
    let answer = Builder::new(ends.backend, ours).numbers(THEIRS, 0);
    let got = run(&answer.tcp(SYN | ACK, &[], b""));
    let wanted = ends.answered().numbers(cookie, 0).tcp(ACK, &[], &[0]);
    assert_eq!(got, onward(wanted));
    let got = run(&came.tcp(ACK, &[], b"data"));
    let wanted = Builder::new(ours, ends.backend)
        .ttl(62)
        .numbers(0, THEIRS + 1);
    assert_eq!(got, onward(wanted.window(501).tcp(ACK, &[], b"data")));
}

/// The sweep counts open handshakes, and by that cookies come and go.
#[test]
fn cookies_come_with_handshakes_that_nobody_completes() {
    let Some(mut both) = both(&of(SynCookies::Auto, &NatSource::Client)) else {
        return;
    };
    // Of 1024 handshakes (see the rig) one service may have an eighth open.
    let most = 128;
    let is_greeted = |both: &Both, port: u16| {
        let ends = ends(false, port);
        let syn = ends.asks().numbers(ISN, 0).tcp(SYN, &[], b"");
        let (verdict, got) = both.run(&syn);
        assert_eq!(verdict, TX);
        got[47] == SYN | ACK
    };
    for port in 1..=most + 1 {
        assert!(!is_greeted(&both, port), "{port}");
    }
    for port in 1000..1050 {
        assert!(is_greeted(&both, port), "{port}");
    }
    assert_eq!(both.rig.harness.guard(0).open, u32::from(most) + 1);
    assert_eq!(both.rig.harness.flows().0, 2 * usize::from(most) + 2);
    // A sweep finds as many, and later none.
    let _ = both.rig.harness.sweep(0).unwrap();
    assert_eq!(both.rig.harness.guard(0).open, u32::from(most) + 1);
    let _ = both.rig.harness.sweep(Tick::in_seconds(120)).unwrap();
    assert_eq!(both.rig.harness.guard(0).open, 0);
    let ends = ends(false, 2000);
    let syn = ends.asks().numbers(ISN, 0).tcp(SYN, &[], b"");
    let done = both.rig.harness.run(&syn, both.rig.out).unwrap();
    assert_eq!((done.verdict, done.packet[47]), (TX, SYN));
}
