//! What lies around and between: tags, options, extension headers, time to live, ToS, padding, checksums that are not
//! there, and traffic that is none of ours.

use xdp::{
    abi::Reason,
    testing::{Builder, tcp_options},
};

use super::{
    ACK, Case, Net, RST, SYN, Wanted, back, held, ip,
    modes::encapsulated,
    onward,
    site::{DATA, MSS, Proto, Talk, Way},
};

/// A case for each way that changes a packet differently, each family: `change` the packet, both as it comes and leaves.
fn each(net: &mut Net, change: impl Fn(bool, Builder) -> Builder) -> Vec<Case> {
    let mut cases = Vec::new();
    for way in [Way::Direct, Way::Nat] {
        for v6 in [false, true] {
            for proto in [Proto::Tcp, Proto::Udp] {
                let talk = net.talk(way, v6);
                let mut case = Case::new(format!("{way:?} {proto:?}, IPv6 {v6}"));
                for flags in [SYN, ACK, ACK] {
                    let asked = proto.packet(&change(v6, talk.asks()), flags);
                    let left = proto.packet(&change(v6, left(way, &talk)), flags);
                    case = case.sent(asked, onward(left));
                }
                cases.push(case);
            }
        }
    }
    cases
}

fn left(way: Way, talk: &Talk) -> Builder {
    if way == Way::Direct {
        talk.asked()
    } else {
        talk.translated()
    }
}

#[test]
fn options_and_extension_headers_stay() {
    held(|net| {
        each(net, |v6, builder| {
            if v6 {
                // Padding options, a routing header that is through, options for the destination.
                builder
                    .extension(0, &[1, 4, 0, 0, 0, 0])
                    .extension(43, &[4, 0, 0, 0, 0, 0])
                    .extension(60, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            } else {
                // Record route, padded.
                builder.options(&[7, 7, 4, 0, 0, 0, 0, 0])
            }
        })
    });
}

#[test]
fn tos_and_ecn_stay() {
    held(|net| each(net, |_, builder| builder.tos(0xb9)));
}

#[test]
fn a_tunnel_takes_tos_ecn_and_do_not_fragment_outside() {
    held(|net| {
        let mut cases = Vec::new();
        for way in [Way::IpIp4, Way::IpIp6, Way::Gue4, Way::Gre6, Way::GueSum4] {
            for v6 in [false, true] {
                let talk = net.talk(way, v6);
                let inner = talk.asked().tos(0xb9).tcp(SYN, &[], DATA);
                let wanted =
                    move |left: &[u8]| encapsulated(way, v6, true, (0xb9, true), ip(&inner), left);
                let asked = talk.asks().tos(0xb9).tcp(SYN, &[], DATA);
                let case = Case::new(format!("{way:?}, IPv6 {v6}"));
                cases.push(case.step(asked, Wanted::Like(Box::new(wanted))));
            }
        }
        // What may be fragmented inside may be so outside.
        let talk = net.talk(Way::IpIp6, false);
        let inner = talk.asked().fragmentable().tcp(SYN, &[], DATA);
        let wanted =
            move |left: &[u8]| encapsulated(Way::IpIp6, false, true, (0, false), ip(&inner), left);
        let asked = talk.asks().fragmentable().tcp(SYN, &[], DATA);
        cases.push(Case::new("fragmentable").step(asked, Wanted::Like(Box::new(wanted))));
        cases
    });
}

#[test]
fn a_datagram_without_checksum_gets_none() {
    held(|net| {
        let mut cases = Vec::new();
        for (way, v6) in [(Way::Direct, false), (Way::Nat, false), (Way::Nat, true)] {
            let talk = net.talk(way, v6);
            let mut case = Case::new(format!("{way:?}, IPv6 {v6}"));
            for _ in 0..3 {
                case = case.sent(
                    talk.asks().udp_unchecked(DATA),
                    onward(left(way, &talk).udp_unchecked(DATA)),
                );
            }
            cases.push(case);
        }
        // The outer checksum cannot follow from one that is not there.
        for way in [Way::GueSum4, Way::GreSum4, Way::GueSum6] {
            let talk = net.talk(way, false);
            let inner = talk.asked().udp_unchecked(DATA);
            let wanted =
                move |left: &[u8]| encapsulated(way, false, false, (0, true), ip(&inner), left);
            let asked = talk.asks().udp_unchecked(DATA);
            let case = Case::new(format!("{way:?}"));
            cases.push(case.step(asked, Wanted::Like(Box::new(wanted))));
        }
        cases
    });
}

#[test]
fn padding_behind_the_packet_changes_nothing() {
    held(|net| {
        let padded = |mut frame: Vec<u8>| {
            frame.extend([0xee; 6]);
            frame
        };
        let mut cases = Vec::new();
        for way in [Way::Direct, Way::Nat, Way::Gre4] {
            let talk = net.talk(way, false);
            let mut case = Case::new(format!("{way:?}"));
            for flags in [SYN, ACK, ACK] {
                let asked = padded(talk.asks().tcp(flags, &[], &[]));
                let wanted = if way == Way::Gre4 {
                    let inner = talk.asked().tcp(flags, &[], &[]);
                    Wanted::Like(Box::new(move |left| {
                        padded(encapsulated(way, false, true, (0, true), ip(&inner), left))
                    }))
                } else {
                    Wanted::Sent(padded(onward(left(way, &talk).tcp(flags, &[], &[]))))
                };
                case = case.step(asked, wanted);
            }
            cases.push(case);
        }
        cases
    });
}

#[test]
fn time_to_live_ends_here_or_at_the_next() {
    held(|net| {
        let mut cases = Vec::new();
        for (way, v6) in [
            (Way::Direct, false),
            (Way::Nat, true),
            (Way::Nat, false),
            (Way::IpIp6, false),
        ] {
            let talk = net.talk(way, v6);
            let mut case = Case::new(format!("{way:?}, IPv6 {v6}"));
            for flags in [SYN, ACK, ACK] {
                let ended = talk.asks().ttl(1).tcp(flags, &[], DATA);
                let answer = super::size::told(&talk, v6, (11, 3), 0, ip(&ended));
                case = case.step(
                    ended.clone(),
                    Wanted::Answer(Reason::TtlExceeded, back(answer)),
                );
                if way != Way::IpIp6 {
                    case = case.sent(
                        talk.asks().ttl(2).tcp(flags, &[], DATA),
                        onward(left(way, &talk).ttl(1).tcp(flags, &[], DATA)),
                    );
                }
            }
            cases.push(case);
        }
        cases
    });
}

#[test]
fn an_mss_is_clamped_and_a_small_one_is_not() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            for before in 0..4 {
                for (offered, wanted) in [(1460, MSS), (MSS, MSS), (536, 536)] {
                    let (came, left) = (tcp_options(before, offered), tcp_options(before, wanted));
                    let talk = net.talk(Way::Clamped, v6);
                    let case = Case::new(format!("{before} {offered}, IPv6 {v6}"));
                    let case = case
                        .sent(
                            talk.asks().tcp(SYN, &came, &[]),
                            onward(talk.asked().tcp(SYN, &left, &[])),
                        )
                        // Only a SYN offers one.
                        .sent(
                            talk.asks().tcp(ACK, &came, &[]),
                            onward(talk.asked().tcp(ACK, &came, &[])),
                        );
                    cases.push(case);
                    let talk = net.talk(Way::ClampedTunnel, v6);
                    let inner = talk.asked().tcp(SYN, &left, &[]);
                    let wanted = move |left: &[u8]| {
                        encapsulated(Way::ClampedTunnel, v6, true, (0, true), ip(&inner), left)
                    };
                    let case = Case::new(format!("tunnel {before} {offered}, IPv6 {v6}"));
                    let asked = talk.asks().tcp(SYN, &came, &[]);
                    cases.push(case.step(asked, Wanted::Like(Box::new(wanted))));
                }
            }
            // Of nat, the backend's offer passes too.
            let talk = net.talk(Way::ClampedNat, v6);
            let (came, left) = (tcp_options(0, 1460), tcp_options(0, MSS));
            let case = Case::new(format!("nat, IPv6 {v6}"))
                .sent(
                    talk.asks().tcp(SYN, &came, &[]),
                    onward(talk.translated().tcp(SYN, &left, &[])),
                )
                .sent(
                    talk.answers().tcp(SYN | ACK, &came, &[]),
                    onward(talk.answered().tcp(SYN | ACK, &left, &[])),
                );
            cases.push(case);
        }
        cases
    });
}

#[test]
fn what_is_not_ours_passes_untouched() {
    held(|net| {
        let talk = net.talk(Way::Nat, false);
        let to = |vip: &str| Builder::new(talk.client, vip.parse().unwrap());
        let mut arp = vec![0xff; 6];
        arp.extend([2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp.resize(60, 0);
        let mut multicast = to("198.51.100.1:80").tcp(SYN, &[], &[]);
        multicast[0] = 1;
        let v6 = net.talk(Way::Nat, true);
        let cases = [
            ("ARP", arp),
            ("to many", multicast),
            ("another port", to("198.51.100.1:81").tcp(SYN, &[], DATA)),
            ("another address", to("203.0.113.1:80").tcp(SYN, &[], DATA)),
            ("ICMP echo", to("198.51.100.1:0").icmp(8, 0, 1, DATA)),
            (
                "ICMPv6 echo",
                Builder::new(v6.client, v6.vip).icmp(128, 0, 1, DATA),
            ),
            (
                "neighbour solicitation",
                Builder::new(v6.client, v6.vip).icmp(135, 0, 0, &[0; 16]),
            ),
            ("ESP", to("198.51.100.1:0").raw(50, DATA)),
            ("an ACK of nothing", talk.asks().tcp(ACK, &[], DATA)),
            ("a RST of nothing", talk.asks().tcp(RST, &[], DATA)),
            ("a SYN-ACK of nothing", v6.asks().tcp(SYN | ACK, &[], DATA)),
            (
                "an authentication header",
                v6.asks()
                    .extension(51, &[4, 0, 0, 0, 0, 0])
                    .tcp(SYN, &[], DATA),
            ),
            (
                "a routing header that is not through",
                v6.asks()
                    .extension(43, &[0, 1, 0, 0, 0, 0])
                    .tcp(SYN, &[], DATA),
            ),
            (
                "a health check's answer",
                Builder::new(
                    "10.1.0.1:8080".parse().unwrap(),
                    "10.1.255.1:555".parse().unwrap(),
                )
                .tcp(SYN | ACK, &[], &[]),
            ),
            (
                "no frame of a known type",
                [&[2; 12][..], &[0x88, 0xcc], DATA].concat(),
            ),
        ];
        cases
            .into_iter()
            .map(|(name, packet)| Case::new(name).pass(packet))
            .collect()
    });
}

#[test]
fn sloppy_services_begin_in_the_middle() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            let talk = net.talk(Way::Sloppy, v6);
            let mut case = Case::new(format!("IPv6 {v6}")).pass(talk.asks().tcp(RST, &[], &[]));
            for flags in [ACK, ACK, ACK] {
                case = case.sent(
                    talk.asks().tcp(flags, &[], DATA),
                    onward(talk.asked().tcp(flags, &[], DATA)),
                );
            }
            cases.push(case);
        }
        cases
    });
}
