//! Every way of forwarding, of every family and protocol.

use std::net::SocketAddr;

use control::spec::TunnelKind;
use xdp::testing::{Builder, checksum};

use super::{
    ACK, Case, FIN, Net, SYN, Wanted, held, ip, onward,
    site::{PROTOS, Proto, Talk, Way, ours},
};
use crate::rig::small;

fn name(way: Way, v6: bool, proto: Proto) -> String {
    format!(
        "{way:?} {proto:?} over {}",
        if v6 { "IPv6" } else { "IPv4" }
    )
}

/// Whether a checksum follows from the packet's own.
fn is_summed(proto: Proto) -> bool {
    proto != Proto::Sctp
}

/// What a tunnel makes of an IP packet, built around it; `left` has the flow's label or port, which are free to choose.
pub(super) fn encapsulated(
    way: Way,
    v6: bool,
    summed: bool,
    (tos, dont_fragment): (u8, bool),
    inner: &[u8],
    left: &[u8],
) -> Vec<u8> {
    let tunnel = way.tunnel().unwrap();
    let outer_v6 = way.backend_v6(v6);
    let at = |i: usize| left.get(i).copied().unwrap_or_default();
    let header = if outer_v6 { 40 } else { 20 };
    let label = u32::from_be_bytes([0, at(15), at(16), at(17)]);
    let port = u16::from_be_bytes([at(14 + header), at(15 + header)]);
    let (from, to) = match tunnel.kind {
        // Of the range for ports that nobody registers.
        TunnelKind::Gue => (port | 0xc000, tunnel.port),
        _ => (0, 0),
    };
    let mut outer = Builder::new(
        SocketAddr::new(ours(outer_v6), from),
        SocketAddr::new(way.backend(v6).ip(), to),
    )
    .ttl(64)
    .tos(tos)
    .id(0)
    .label(label);
    if !dont_fragment {
        outer = outer.fragmentable();
    }
    let (protocol, ethertype) = if v6 { (41, 0x86dd_u16) } else { (4, 0x0800) };
    let frame = match tunnel.kind {
        TunnelKind::IpIp => outer.raw(protocol, inner),
        TunnelKind::Gue => {
            let payload = [&[0, protocol, 0, 0], inner].concat();
            if tunnel.checksum && summed {
                outer.udp(&payload)
            } else {
                outer.udp_unchecked(&payload)
            }
        }
        TunnelKind::Gre => {
            let [a, b] = ethertype.to_be_bytes();
            if tunnel.checksum && summed {
                let mut gre = [&[0x80, 0, a, b, 0, 0, 0, 0], inner].concat();
                let sum = checksum(&[&gre]).to_be_bytes();
                gre[4..6].copy_from_slice(&sum);
                outer.raw(47, &gre)
            } else {
                outer.raw(47, &[&[0, 0, a, b], inner].concat())
            }
        }
    };
    onward(frame)
}

fn tunnelled(way: Way, v6: bool, summed: bool, inner: Vec<u8>) -> Wanted {
    Wanted::Like(Box::new(move |left| {
        encapsulated(way, v6, summed, (0, true), ip(&inner), left)
    }))
}

fn families() -> impl Iterator<Item = (bool, Proto)> {
    [false, true]
        .into_iter()
        .flat_map(|v6| PROTOS.map(|proto| (v6, proto)))
}

/// A whole connection: handshake, data over the short road, its end.
const LIFE: [u8; 6] = [SYN, ACK, ACK, ACK, FIN | ACK, ACK];

#[test]
fn direct_and_tunnels() {
    held(|net| {
        let ways = [
            Way::Direct,
            Way::IpIp4,
            Way::Gue4,
            Way::Gre4,
            Way::IpIp6,
            Way::Gue6,
            Way::Gre6,
            Way::GueSum4,
            Way::GreSum4,
            Way::GueSum6,
            Way::GreSum6,
        ];
        let mut cases = Vec::new();
        for way in ways {
            for (v6, proto) in families() {
                let talk = net.talk(way, v6);
                let mut case = Case::new(name(way, v6, proto));
                for flags in LIFE {
                    let asked = proto.packet(&talk.asked(), flags);
                    let wanted = if way == Way::Direct {
                        Wanted::Sent(onward(asked))
                    } else {
                        tunnelled(way, v6, is_summed(proto), asked)
                    };
                    case = case.step(proto.packet(&talk.asks(), flags), wanted);
                }
                cases.push(case);
            }
        }
        cases
    });
}

#[test]
fn nat_both_ways() {
    held(|net| {
        let mut cases = Vec::new();
        for way in [Way::Nat, Way::NatSame, Way::TaggedNat] {
            for (v6, proto) in families() {
                // SCTP's checksum covers ports.
                if way == Way::Nat && proto == Proto::Sctp {
                    continue;
                }
                cases.push(nat(way, proto, &net.talk(way, v6)));
            }
        }
        cases
    });
}

fn nat(way: Way, proto: Proto, talk: &Talk) -> Case {
    let mut case = Case::new(name(way, talk.v6, proto));
    let tag = |builder: Builder| match way {
        Way::TaggedNat => builder.vlan(super::super::rig::VLAN),
        _ => builder,
    };
    let steps = [
        (true, SYN),
        (false, SYN | ACK),
        (true, ACK),
        (true, ACK),
        (false, ACK),
        (false, ACK),
        (true, FIN | ACK),
        (false, FIN | ACK),
        (true, ACK),
    ];
    for (asks, flags) in steps {
        let (packet, wanted) = if asks {
            (talk.asks(), tag(talk.translated()))
        } else {
            (tag(talk.answers()), talk.answered())
        };
        case = case.sent(
            proto.packet(&packet, flags),
            onward(proto.packet(&wanted, flags)),
        );
    }
    case
}

/// The kernel's port is as good as the host's: each is asked back by its own.
#[test]
fn full_nat_goes_out_from_an_address_of_ours() {
    held(|net| {
        let mut cases = Vec::new();
        for (v6, proto) in families().filter(|(_, proto)| *proto != Proto::Sctp) {
            let talk = net.talk(Way::FullNat, v6);
            let mut case = Case::new(name(Way::FullNat, v6, proto));
            case.by_chance = true;
            for flags in [SYN, ACK, ACK] {
                let wanted = move |left: &[u8]| {
                    let at = if v6 { 54 } else { 34 };
                    let port = u16::from_be_bytes([left[at], left[at + 1]]);
                    let (first, last) = small().source_ports;
                    assert!((first..=last).contains(&port), "{port}");
                    let from = SocketAddr::new(ours(v6), port);
                    onward(proto.packet(&Builder::new(from, talk.backend).ttl(62), flags))
                };
                case = case.step(
                    proto.packet(&talk.asks(), flags),
                    Wanted::Like(Box::new(wanted)),
                );
            }
            cases.push(case);
        }
        cases
    });
}

#[test]
fn replies_of_full_nat_find_their_client() {
    let Some(site) = super::Site::new() else {
        return;
    };
    let mut net = Net::default();
    for (v6, proto) in families().filter(|(_, proto)| *proto != Proto::Sctp) {
        let talk = net.talk(Way::FullNat, v6);
        let run = |packet: &[u8]| site.rig.harness.run(packet, site.rig.out).unwrap();
        let left = run(&proto.packet(&talk.asks(), SYN)).packet;
        let at = if v6 { 54 } else { 34 };
        let port = u16::from_be_bytes([left[at], left[at + 1]]);
        let ours = SocketAddr::new(ours(v6), port);
        for flags in [SYN | ACK, ACK] {
            let reply = proto.packet(&Builder::new(talk.backend, ours), flags);
            let wanted = onward(proto.packet(&talk.answered(), flags));
            assert_eq!(run(&reply).packet, wanted);
        }
    }
}

#[test]
fn local_backends_get_their_packets_as_they_are() {
    held(|net| {
        let mut cases = Vec::new();
        for (v6, proto) in families() {
            let talk = net.talk(Way::Local, v6);
            let mut case = Case::new(name(Way::Local, v6, proto));
            for flags in LIFE {
                case = case.pass(proto.packet(&talk.asks(), flags));
            }
            cases.push(case);
        }
        cases
    });
}
