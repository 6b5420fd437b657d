//! ICMP and ICMPv6 errors go where the packet they speak of came from, and show it as it was sent there.

use std::net::SocketAddr;

use xdp::testing::Builder;

use super::{
    ACK, Case, SYN, Wanted, held, ip,
    modes::encapsulated,
    onward,
    site::{Proto, Talk, Way, ours},
};

/// Who complains.
#[derive(Clone, Copy, Debug)]
enum By {
    /// A router between us and the backend.
    Router,
    /// The backend.
    Backend,
}

/// How much is quoted of a packet behind its IP header; all: none.
const QUOTES: [Option<usize>; 3] = [Some(8), Some(20), None];

/// Errors as `(type, code, rest)` of each family: unreachable, too big, time exceeded, a parameter.
fn errors(v6: bool) -> [(u8, u8, u32); 4] {
    if v6 {
        [(1, 0, 0), (2, 0, 1400), (3, 0, 0), (4, 1, 6)]
    } else {
        [(3, 1, 0), (3, 4, 1400), (11, 0, 0), (12, 0, 0x1400_0000)]
    }
}

fn router(v6: bool) -> SocketAddr {
    let text = if v6 {
        "[2001:db8:99::1]:0"
    } else {
        "203.0.113.99:0"
    };
    text.parse().unwrap()
}

fn cut(packet: &[u8], v6: bool, quote: Option<usize>) -> Vec<u8> {
    let header = if v6 { 40 } else { 20 };
    let length = quote.map_or(packet.len(), |quote| header + quote);
    packet[..length.min(packet.len())].to_vec()
}

/// A flow that is established, both ways.
fn open(case: Case, talk: &Talk, proto: Proto) -> Case {
    let mut case = case;
    for (asks, flags) in [(true, SYN), (false, SYN | ACK), (true, ACK)] {
        let (from, to) = if asks {
            (talk.asks(), talk.translated())
        } else {
            (talk.answers(), talk.answered())
        };
        case = case.sent(proto.packet(&from, flags), onward(proto.packet(&to, flags)));
    }
    case
}

#[test]
fn from_the_backends_side_they_come_to_the_client_as_the_virtual_address_s() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            for proto in [Proto::Tcp, Proto::Udp] {
                for by in [By::Router, By::Backend] {
                    for quote in QUOTES {
                        let talk = net.talk(Way::Nat, v6);
                        let name = format!("{proto:?} by {by:?}, {quote:?}, IPv6 {v6}");
                        let mut case = open(Case::new(name), &talk, proto);
                        let from = match by {
                            By::Router => router(v6),
                            By::Backend => talk.backend,
                        };
                        // As it was when it left us, and as the client sent it.
                        let there = proto.packet(&talk.translated(), ACK);
                        let here = proto.packet(&talk.asks().ttl(62), ACK);
                        for (kind, code, rest) in errors(v6) {
                            let error = Builder::new(from, talk.client);
                            let told = Builder::new(talk.vip, talk.client).ttl(62);
                            case = case.sent(
                                error.icmp(kind, code, rest, &cut(ip(&there), v6, quote)),
                                onward(told.icmp(kind, code, rest, &cut(ip(&here), v6, quote))),
                            );
                        }
                        cases.push(case);
                    }
                }
            }
        }
        cases
    });
}

#[test]
fn from_the_clients_side_they_come_to_the_backend() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            for proto in [Proto::Tcp, Proto::Udp] {
                for itself in [false, true] {
                    for quote in QUOTES {
                        let talk = net.talk(Way::Nat, v6);
                        let name = format!("{proto:?}, itself {itself}, {quote:?}, IPv6 {v6}");
                        let mut case = open(Case::new(name), &talk, proto);
                        let from = if itself { talk.client } else { router(v6) };
                        let here = proto.packet(&talk.answered(), ACK);
                        let there = proto.packet(&talk.answers().ttl(62), ACK);
                        for (kind, code, rest) in errors(v6) {
                            let error = Builder::new(from, talk.vip);
                            let told = Builder::new(from, talk.backend).ttl(62);
                            case = case.sent(
                                error.icmp(kind, code, rest, &cut(ip(&here), v6, quote)),
                                onward(told.icmp(kind, code, rest, &cut(ip(&there), v6, quote))),
                            );
                        }
                        cases.push(case);
                    }
                }
            }
        }
        cases
    });
}

#[test]
fn where_replies_do_not_pass_errors_about_them_do() {
    held(|net| {
        let mut cases = Vec::new();
        for way in [Way::Direct, Way::IpIp4, Way::Gue6, Way::Gre4] {
            for v6 in [false, true] {
                let talk = net.talk(way, v6);
                let mut case = Case::new(format!("{way:?}, IPv6 {v6}"));
                let like = |frame: Vec<u8>, summed| match way {
                    Way::Direct => Wanted::Sent(onward(frame)),
                    _ => Wanted::Like(Box::new(move |left: &[u8]| {
                        encapsulated(way, v6, summed, (0, true), ip(&frame), left)
                    })),
                };
                case = case.step(
                    talk.asks().tcp(SYN, &[], &[]),
                    like(talk.asked().tcp(SYN, &[], &[]), true),
                );
                let reply = Builder::new(talk.vip, talk.client).tcp(ACK, &[], b"reply");
                for (kind, code, rest) in errors(v6) {
                    let error = Builder::new(router(v6), talk.vip);
                    let quoted = cut(ip(&reply), v6, Some(8));
                    case = case.step(
                        error.icmp(kind, code, rest, &quoted),
                        like(error.ttl(62).icmp(kind, code, rest, &quoted), false),
                    );
                }
                cases.push(case);
            }
        }
        cases
    });
}

#[test]
fn those_of_nobody_s_flow_pass() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            let talk = net.talk(Way::Nat, v6);
            let mut case = Case::new(format!("IPv6 {v6}"));
            let reply = Builder::new(talk.vip, talk.client).tcp(ACK, &[], b"reply");
            for (kind, code, rest) in errors(v6) {
                let error = Builder::new(router(v6), talk.vip);
                case = case.pass(error.icmp(kind, code, rest, ip(&reply)));
            }
            cases.push(case);
        }
        cases
    });
}

/// A router on the way of a tunnel says that what we sent was too big for it: the client's next packet is answered with
/// what fits.
#[test]
fn what_fits_a_tunnel_is_learned_from_errors_about_it() {
    let ways = [
        Way::IpIp4,
        Way::Gue4,
        Way::Gre4,
        Way::IpIp6,
        Way::Gue6,
        Way::Gre6,
    ];
    held(|net| {
        let mut cases = Vec::new();
        for way in ways {
            for v6 in [false, true] {
                let around = match way {
                    Way::IpIp4 => 20,
                    Way::Gue4 => 32,
                    Way::Gre4 => 24,
                    Way::IpIp6 => 40,
                    Way::Gue6 => 52,
                    _ => 44,
                };
                let outer_v6 = way.backend_v6(v6);
                let talk = net.talk(way, v6);
                let big = |builder: &Builder| builder.tcp(ACK, &[], &[0x42; 1360]);
                let like = |frame: Vec<u8>| {
                    Wanted::Like(Box::new(move |left: &[u8]| {
                        encapsulated(way, v6, true, (0, true), ip(&frame), left)
                    }))
                };
                let outer =
                    encapsulated(way, v6, true, (0, true), ip(&big(&talk.asked())), &[0; 64]);
                let us = SocketAddr::new(ours(outer_v6), 0);
                let error = |mtu: u32, quote: usize| {
                    let (kind, code) = if outer_v6 { (2, 0) } else { (3, 4) };
                    let quoted = &ip(&outer)[..quote.min(outer.len() - 14)];
                    Builder::new(router(outer_v6), us).icmp(kind, code, mtu, quoted)
                };
                let told = |mtu: u32| {
                    let asked = big(&talk.asks());
                    let answer = super::size::told(&talk, v6, (3, 2), mtu - around, ip(&asked));
                    Wanted::Answer(xdp::abi::Reason::TooBig, super::back(answer))
                };
                let case = Case::new(format!("{way:?}, IPv6 {v6}"))
                    .step(
                        talk.asks().tcp(SYN, &[], &[]),
                        like(talk.asked().tcp(SYN, &[], &[])),
                    )
                    .step(big(&talk.asks()), like(big(&talk.asked())))
                    // Too little to know whose it was.
                    .pass(error(1300, if outer_v6 { 48 } else { 28 }))
                    .step(big(&talk.asks()), like(big(&talk.asked())))
                    .pass(error(1390, 200))
                    .step(big(&talk.asks()), told(1390))
                    // Larger than before is no news.
                    .pass(error(1450, 200))
                    .step(big(&talk.asks()), told(1390));
                cases.push(case);
            }
        }
        cases
    });
}
