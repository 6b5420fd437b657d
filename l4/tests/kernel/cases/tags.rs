//! VLAN tags: those that packets come with come off, and those of the way out are put on, in every mode and both
//! families, while a flow begins and on its short road.

use std::net::SocketAddr;

use xdp::testing::Builder;

use super::{
    ACK, Case, FIN, Net, SYN, Wanted, held, ip,
    modes::encapsulated,
    onward,
    site::{DATA, Site, Talk, Way, ours},
};
use crate::rig::{VLAN, small};

/// Handshake, data, end.
const LIFE: [u8; 5] = [SYN, ACK, ACK, FIN | ACK, ACK];

/// What frames come with: nothing, a tag, one with a priority in another, and the tag that they leave with.
const COMES: [fn(Builder) -> Builder; 4] = [
    |frame| frame,
    |frame| frame.vlan(7),
    |frame| frame.provider(0xe00a).vlan(0x3007),
    |frame| frame.vlan(VLAN),
];

/// Whether the way to a service's backends is by the device with a tag.
fn is_tagged(way: Way) -> bool {
    matches!(
        way,
        Way::TaggedDirect
            | Way::TaggedNat
            | Way::TaggedFullNat
            | Way::TaggedTunnel
            | Way::TaggedGue
            | Way::TaggedGre
    )
}

/// As it leaves by the way to the service's backends.
fn out(way: Way, frame: Builder) -> Builder {
    if is_tagged(way) {
        frame.vlan(VLAN)
    } else {
        frame
    }
}

fn name(way: Way, comes: usize, v6: bool) -> String {
    format!("{way:?}, tags {comes}, IPv6 {v6}")
}

/// All ways, tags and families.
fn each(
    net: &mut Net,
    ways: &[Way],
    make: impl Fn(Way, Talk, fn(Builder) -> Builder, Case) -> Case,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for &way in ways {
        for v6 in [false, true] {
            for (i, comes) in COMES.into_iter().enumerate() {
                let talk = net.talk(way, v6);
                cases.push(make(way, talk, comes, Case::new(name(way, i, v6))));
            }
        }
    }
    cases
}

#[test]
fn of_direct() {
    held(|net| {
        each(
            net,
            &[Way::Direct, Way::TaggedDirect],
            |way, talk, comes, case| {
                LIFE.into_iter().fold(case, |case, flags| {
                    case.sent(
                        comes(talk.asks()).tcp(flags, &[], DATA),
                        onward(out(way, talk.asked()).tcp(flags, &[], DATA)),
                    )
                })
            },
        )
    });
}

#[test]
fn of_nat_both_ways() {
    held(|net| {
        each(
            net,
            &[Way::NatSame, Way::TaggedNat],
            |way, talk, comes, case| {
                let asks = |case: Case, flags: u8| {
                    case.sent(
                        comes(talk.asks()).tcp(flags, &[], DATA),
                        onward(out(way, talk.translated()).tcp(flags, &[], DATA)),
                    )
                };
                // The backend's answers go to the client by the way without a tag.
                let answers = |case: Case, flags: u8| {
                    case.sent(
                        comes(talk.answers()).tcp(flags, &[], DATA),
                        onward(talk.answered().tcp(flags, &[], DATA)),
                    )
                };
                let case = answers(asks(case, SYN), SYN | ACK);
                let case = answers(asks(asks(case, ACK), ACK), ACK);
                asks(answers(asks(case, FIN | ACK), FIN | ACK), ACK)
            },
        )
    });
}

/// The port of ours that a packet left from.
fn port_of(frame: &[u8], v6: bool, tagged: bool) -> u16 {
    let at = if v6 { 54 } else { 34 } + if tagged { 4 } else { 0 };
    let port = u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (first, last) = small().source_ports;
    assert!((first..=last).contains(&port), "{port}");
    port
}

#[test]
fn of_full_nat() {
    held(|net| {
        each(
            net,
            &[Way::FullNat, Way::TaggedFullNat],
            |way, talk, comes, mut case| {
                case.by_chance = true;
                LIFE.into_iter().fold(case, |case, flags| {
                    let wanted = move |left: &[u8]| {
                        let from =
                            SocketAddr::new(ours(talk.v6), port_of(left, talk.v6, is_tagged(way)));
                        let frame = Builder::new(from, talk.backend).ttl(62);
                        onward(out(way, frame).tcp(flags, &[], DATA))
                    };
                    let asked = comes(talk.asks()).tcp(flags, &[], DATA);
                    case.step(asked, Wanted::Like(Box::new(wanted)))
                })
            },
        )
    });
}

#[test]
fn of_replies_of_full_nat() {
    let Some(site) = Site::new() else {
        return;
    };
    let mut net = Net::default();
    let run = |packet: &[u8]| site.rig.harness.run(packet, site.rig.out).unwrap().packet;
    for way in [Way::FullNat, Way::TaggedFullNat] {
        for v6 in [false, true] {
            for comes in COMES {
                let talk = net.talk(way, v6);
                let left = run(&talk.asks().tcp(SYN, &[], DATA));
                let ours = SocketAddr::new(ours(v6), port_of(&left, v6, is_tagged(way)));
                for flags in [SYN | ACK, ACK] {
                    let reply = comes(Builder::new(talk.backend, ours)).tcp(flags, &[], DATA);
                    let wanted = onward(talk.answered().tcp(flags, &[], DATA));
                    assert_eq!(run(&reply), wanted, "{way:?}, IPv6 {v6}");
                }
            }
        }
    }
}

#[test]
fn of_tunnels() {
    let ways = [
        Way::IpIp4,
        Way::IpIp6,
        Way::Gue4,
        Way::Gue6,
        Way::Gre4,
        Way::Gre6,
        Way::TaggedTunnel,
        Way::TaggedGue,
        Way::TaggedGre,
    ];
    held(|net| {
        each(net, &ways, |way, talk, comes, case| {
            LIFE.into_iter().fold(case, |case, flags| {
                let inner = talk.asked().tcp(flags, &[], DATA);
                let wanted = move |left: &[u8]| {
                    let tagged = |frame: &[u8]| {
                        [&frame[..12], &[0x81, 0, 0, VLAN as u8], &frame[12..]].concat()
                    };
                    let untagged =
                        |frame: &[u8]| [&frame[..12], frame.get(16..).unwrap_or_default()].concat();
                    let around =
                        |left: &[u8]| encapsulated(way, talk.v6, true, (0, true), ip(&inner), left);
                    if is_tagged(way) {
                        tagged(&around(&untagged(left)))
                    } else {
                        around(left)
                    }
                };
                let asked = comes(talk.asks()).tcp(flags, &[], DATA);
                case.step(asked, Wanted::Like(Box::new(wanted)))
            })
        })
    });
}

#[test]
fn of_what_is_not_ours_stay() {
    held(|net| {
        let mut cases = each(net, &[Way::Local], |_, talk, comes, case| {
            LIFE.into_iter().fold(case, |case, flags| {
                case.pass(comes(talk.asks()).tcp(flags, &[], DATA))
            })
        });
        for (i, comes) in COMES.into_iter().enumerate() {
            let nobody = Builder::new(
                "192.0.2.7:999".parse().unwrap(),
                "203.0.113.9:80".parse().unwrap(),
            );
            cases.push(Case::new(format!("tags {i}")).pass(comes(nobody).tcp(SYN, &[], DATA)));
        }
        cases
    });
}
