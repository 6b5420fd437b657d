//! Fragments follow the first, which alone has the ports.

use xdp::{abi::Reason, testing::Builder};

use super::{
    ACK, Case, SYN, Wanted, held, ip, onward,
    site::{Talk, Way},
};

/// Of what is fragmented: 8 bytes of UDP and this, in pieces of 48 and the rest.
const LONG: &[u8] = &[0x5a; 100];

/// The pieces of one datagram.
fn pieces(builder: &Builder, id: u32) -> [Vec<u8>; 3] {
    [(0, true), (48, true), (96, false)]
        .map(|(offset, more)| builder.clone().fragment(offset, more, id).udp(LONG))
}

/// Asked and as it must leave.
fn both(talk: &Talk, way: Way, id: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let left = if way == Way::Direct {
        talk.asked()
    } else {
        talk.translated()
    };
    let left = pieces(&left, id).map(onward);
    pieces(&talk.asks(), id).into_iter().zip(left).collect()
}

fn each(mut with: impl FnMut(Way, bool)) {
    for way in [Way::Direct, Way::Nat] {
        for v6 in [false, true] {
            with(way, v6);
        }
    }
}

#[test]
fn later_ones_follow_the_first() {
    held(|net| {
        let mut cases = Vec::new();
        each(|way, v6| {
            let talk = net.talk(way, v6);
            let mut case = Case::new(format!("{way:?}, IPv6 {v6}"));
            // The second time, of a flow that is known and established.
            for id in [0x77, 0x78, 0x79] {
                for (asked, left) in both(&talk, way, id) {
                    case = case.sent(asked, left);
                }
            }
            cases.push(case);
        });
        cases
    });
}

#[test]
fn a_later_one_before_the_first_ends_and_those_after_it_follow() {
    held(|net| {
        let mut cases = Vec::new();
        each(|way, v6| {
            let talk = net.talk(way, v6);
            let [first, second, third] = both(&talk, way, 0x80).try_into().unwrap();
            let case = Case::new(format!("{way:?}, IPv6 {v6}"))
                .drop(third.0.clone(), Reason::EarlyFragment)
                .sent(first.0, first.1)
                .sent(third.0, third.1)
                .sent(second.0, second.1);
            cases.push(case);
        });
        cases
    });
}

#[test]
fn replies_are_translated_in_pieces_too() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            let talk = net.talk(Way::Nat, v6);
            let mut case = Case::new(format!("IPv6 {v6}"))
                .sent(talk.asks().udp(b"?"), onward(talk.translated().udp(b"?")));
            let left = pieces(&talk.answered(), 0x91).map(onward);
            for (answer, left) in pieces(&talk.answers(), 0x91).into_iter().zip(left) {
                case = case.sent(answer, left);
            }
            cases.push(case);
        }
        cases
    });
}

#[test]
fn fragments_of_two_datagrams_do_not_mix() {
    held(|net| {
        let talk = net.talk(Way::Nat, false);
        let (one, two) = (both(&talk, Way::Nat, 0xa0), both(&talk, Way::Nat, 0xa1));
        let case = Case::new("two at a time")
            .sent(one[0].0.clone(), one[0].1.clone())
            .drop(two[1].0.clone(), Reason::EarlyFragment)
            .sent(one[1].0.clone(), one[1].1.clone())
            .sent(two[0].0.clone(), two[0].1.clone())
            .sent(two[1].0.clone(), two[1].1.clone())
            .sent(one[2].0.clone(), one[2].1.clone());
        vec![case]
    });
}

#[test]
fn tunnels_carry_fragments_as_they_are() {
    held(|net| {
        let mut cases = Vec::new();
        for way in [Way::IpIp4, Way::IpIp6] {
            let talk = net.talk(way, true);
            let mut case = Case::new(format!("{way:?}"));
            let left = pieces(&talk.asked(), 0xb0);
            for (asked, inner) in pieces(&talk.asks(), 0xb0).into_iter().zip(left) {
                let wanted = move |left: &[u8]| {
                    super::modes::encapsulated(way, true, false, (0, true), ip(&inner), left)
                };
                case = case.step(asked, Wanted::Like(Box::new(wanted)));
            }
            cases.push(case);
        }
        cases
    });
}

#[test]
fn fragments_of_others_pass() {
    held(|_| {
        let from = "192.0.2.7:99".parse().unwrap();
        let other = Builder::new(from, "203.0.113.9:80".parse().unwrap());
        let [first, second, third] = pieces(&other, 0xc0);
        vec![
            Case::new("to nobody of ours")
                .pass(third)
                .pass(first)
                .pass(second),
        ]
    });
}

#[test]
fn a_tcp_segment_in_pieces() {
    held(|net| {
        let mut cases = Vec::new();
        each(|way, v6| {
            let talk = net.talk(way, v6);
            let left = if way == Way::Direct {
                talk.asked()
            } else {
                talk.translated()
            };
            let piece = |builder: &Builder, offset, more| {
                builder
                    .clone()
                    .fragment(offset, more, 0xd0)
                    .tcp(ACK, &[], LONG)
            };
            let mut case = Case::new(format!("{way:?}, IPv6 {v6}")).sent(
                talk.asks().tcp(SYN, &[], &[]),
                onward(left.tcp(SYN, &[], &[])),
            );
            for (offset, more) in [(0, true), (48, true), (96, false)] {
                case = case.sent(
                    piece(&talk.asks(), offset, more),
                    onward(piece(&left, offset, more)),
                );
            }
            cases.push(case);
        });
        cases
    });
}
