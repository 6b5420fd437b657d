//! Too big for the way: the client is told what fits.

use std::net::SocketAddr;

use xdp::{abi::Reason, testing::Builder};

use super::{
    ACK, Case, SYN, Wanted, back, held, ip,
    modes::encapsulated,
    onward,
    site::{Talk, Way},
};
use crate::rig::NARROW;

/// The ICMP error that says of `packet` to its sender what the virtual address has to say: types of IPv4 and IPv6.
/// Made as the client's own packets are: to be turned around.
pub(super) fn told(talk: &Talk, v6: bool, kinds: (u8, u8), rest: u32, packet: &[u8]) -> Vec<u8> {
    error(talk.vip, talk.client, v6, kinds, rest, packet)
}

pub(super) fn error(
    from: SocketAddr,
    to: SocketAddr,
    v6: bool,
    (kind4, kind6): (u8, u8),
    rest: u32,
    packet: &[u8],
) -> Vec<u8> {
    let builder = Builder::new(from, to).ttl(64);
    if v6 {
        let code = if kind6 == 1 { 4 } else { 0 };
        let quoted = &packet[..packet.len().min(1280 - 48)];
        return builder.label(0).icmp(kind6, code, rest, quoted);
    }
    let code = match (kind4, rest) {
        (3, 0) => 3,
        (3, _) => 4,
        _ => 0,
    };
    let quoted = &packet[..packet.len().min(576 - 28)];
    builder.tos(0xc0).id(0).icmp(kind4, code, rest, quoted)
}

/// A SYN, and then packets of so many bytes of IP.
fn sized(builder: &Builder, v6: bool, length: u16) -> Vec<u8> {
    let headers = if v6 { 60 } else { 40 };
    builder.tcp(ACK, &[], &vec![0x42; usize::from(length) - headers])
}

#[test]
fn a_tunnel_tells_what_fits_in_it() {
    held(|net| {
        let mut cases = Vec::new();
        let ways = [
            (Way::Narrow, NARROW, 20),
            (Way::IpIp4, 1500, 20),
            (Way::IpIp6, 1500, 40),
            (Way::Gue4, 1500, 32),
            (Way::Gue6, 1500, 52),
            (Way::Gre4, 1500, 24),
            (Way::Gre6, 1500, 44),
            (Way::GreSum4, 1500, 28),
            (Way::GreSum6, 1500, 48),
        ];
        for (way, mtu, around) in ways {
            for v6 in [false, true] {
                let around = if way == Way::Narrow && v6 { 40 } else { around };
                let talk = net.talk(way, v6);
                let most = mtu - around;
                let like = move |inner: Vec<u8>| {
                    Wanted::Like(Box::new(move |left: &[u8]| {
                        encapsulated(way, v6, true, (0, true), ip(&inner), left)
                    }))
                };
                let mut case = Case::new(format!("{way:?}, IPv6 {v6}")).step(
                    talk.asks().tcp(SYN, &[], &[]),
                    like(talk.asked().tcp(SYN, &[], &[])),
                );
                for _ in 0..2 {
                    let big = sized(&talk.asks(), v6, most + 1);
                    let answer = told(&talk, v6, (3, 2), most.into(), ip(&big));
                    case = case
                        .step(big, Wanted::Answer(Reason::TooBig, back(answer)))
                        .step(
                            sized(&talk.asks(), v6, most),
                            like(sized(&talk.asked(), v6, most)),
                        );
                }
                cases.push(case);
            }
        }
        cases
    });
}

#[test]
fn so_do_narrow_ways_without_one() {
    held(|net| {
        let mut cases = Vec::new();
        for way in [Way::NarrowDirect, Way::NarrowNat] {
            for v6 in [false, true] {
                let talk = net.talk(way, v6);
                let left = if way == Way::NarrowNat {
                    talk.translated()
                } else {
                    talk.asked()
                };
                let mut case = Case::new(format!("{way:?}, IPv6 {v6}")).sent(
                    talk.asks().tcp(SYN, &[], &[]),
                    onward(left.tcp(SYN, &[], &[])),
                );
                for _ in 0..2 {
                    let big = sized(&talk.asks(), v6, NARROW + 1);
                    let answer = told(&talk, v6, (3, 2), NARROW.into(), ip(&big));
                    case = case
                        .step(big, Wanted::Answer(Reason::TooBig, back(answer)))
                        .sent(
                            sized(&talk.asks(), v6, NARROW),
                            onward(sized(&left, v6, NARROW)),
                        );
                }
                cases.push(case);
            }
        }
        cases
    });
}

#[test]
fn what_may_be_fragmented_ends_in_silence() {
    held(|net| {
        let talk = net.talk(Way::Narrow, false);
        let big = sized(&talk.asks().fragmentable(), false, NARROW);
        let syn = talk.asks().tcp(SYN, &[], &vec![0; usize::from(NARROW)]);
        let answer = told(&talk, false, (3, 2), u32::from(NARROW) - 20, ip(&syn));
        let case = Case::new("IPv4")
            .step(syn, Wanted::Answer(Reason::TooBig, back(answer)))
            .drop(big, Reason::TooBigSilent);
        vec![case]
    });
}

#[test]
fn tagged_packets_are_told_in_their_vlan() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            let talk = net.talk(Way::Narrow, v6);
            let plain = talk.asks().tcp(SYN, &[], &vec![0; usize::from(NARROW)]);
            let around = if v6 { 40 } else { 20 };
            let answer = back(told(
                &talk,
                v6,
                (3, 2),
                u32::from(NARROW) - around,
                ip(&plain),
            ));
            let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0x20, 7], &frame[12..]].concat();
            cases.push(Case::new(format!("IPv6 {v6}")).step(
                tagged(&plain),
                Wanted::Answer(Reason::TooBig, tagged(&answer)),
            ));
        }
        cases
    });
}
