//! Every reason for which packets are dropped, reached and counted once, and what the client is told.

use xdp::{abi::Reason, testing::Builder};

use super::{
    ACK, Case, Host, Net, SYN, Wanted, back, held, ip, onward, run,
    site::{DATA, PROTOS, Proto, Site, Way},
    size::told,
};

#[test]
fn nobody_takes_it() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            for proto in PROTOS {
                let talk = net.talk(Way::Nobody, v6);
                let asked = proto.packet(&talk.asks(), SYN);
                let answer = told(&talk, v6, (3, 1), 0, ip(&asked));
                let case = Case::new(format!("{proto:?}, IPv6 {v6}"));
                cases.push(case.step(asked, Wanted::Answer(Reason::NoBackend, back(answer))));
            }
        }
        cases
    });
}

#[test]
fn no_way_there() {
    held(|net| {
        let mut cases = Vec::new();
        for (way, reason) in [
            (Way::NoNeighbour, Reason::NoNeighbour),
            (Way::NoRoute, Reason::NoRoute),
            (Way::NoDevice, Reason::NoDevice),
        ] {
            for v6 in [false, true] {
                let talk = net.talk(way, v6);
                let mut case = Case::new(format!("{way:?}, IPv6 {v6}"));
                for flags in [SYN, SYN, ACK, ACK] {
                    case = case.drop(talk.asks().tcp(flags, &[], DATA), reason);
                }
                cases.push(case);
            }
        }
        cases
    });
}

#[test]
fn the_tuple_towards_the_backend_is_another_flow_s() {
    held(|net| {
        let mut cases = Vec::new();
        for v6 in [false, true] {
            // Two addresses, one backend and one client's port.
            let one = net.talk(Way::NatSame, v6);
            let mut case = Case::new(format!("IPv6 {v6}"));
            case = case.sent(
                one.asks().tcp(SYN, &[], DATA),
                onward(one.translated().tcp(SYN, &[], DATA)),
            );
            let other = Builder::new(one.client, Way::ClampedNat.vip(v6));
            case = case.drop(other.tcp(SYN, &[], DATA), Reason::TupleTaken);
            cases.push(case);
        }
        cases
    });
}

#[test]
fn headers_that_cannot_be() {
    held(|net| {
        let mut cases = Vec::new();
        let talk = net.talk(Way::Nat, false);
        let v6 = net.talk(Way::Nat, true);
        let good = talk.asks().tcp(SYN, &[], DATA);
        let good6 = v6.asks().tcp(SYN, &[], DATA);
        let mut bad = |name: &str, packet: Vec<u8>| {
            cases.push(Case::new(name).drop(packet, Reason::Malformed));
        };
        let with = |at: usize, byte: u8| {
            let mut packet = good.clone();
            packet[at] = byte;
            packet
        };
        bad("IPv4 cut off", good[..50].to_vec());
        bad("a short IPv4 header", good[..30].to_vec());
        bad("a header length of 4", with(14, 0x41));
        bad("longer than the frame", with(16, 9));
        bad("a TCP header of 16 bytes", with(46, 0x40));
        bad("a TCP header beyond the packet", with(46, 0xf0));
        bad("IPv6 cut off", good6[..60].to_vec());
        let mut udp = talk.asks().udp(DATA);
        udp[39] = 0xff;
        bad("UDP longer than the packet", udp);
        let error = Builder::new("203.0.113.9:0".parse().unwrap(), talk.vip);
        bad(
            "an ICMP error without its packet",
            error.icmp(3, 1, 0, &ip(&good)[..12]),
        );
        bad(
            "an ICMP error with 4 bytes of TCP",
            error.icmp(3, 1, 0, &ip(&good)[..24]),
        );
        cases
    });
}

#[test]
fn the_backend_was_removed() {
    let Some(mut site) = Site::new() else {
        return;
    };
    let mut net = Net::default();
    let mut host = Host::new(&site.rig);
    let talks: Vec<_> = [Way::Nat, Way::Direct]
        .into_iter()
        .flat_map(|way| [false, true].map(|v6| (way, net.talk(way, v6))))
        .collect();
    let step = |case: Case, (way, talk): &(Way, super::site::Talk)| {
        let left = if *way == Way::Nat {
            talk.translated()
        } else {
            talk.asked()
        };
        [SYN, ACK].into_iter().fold(case, |case, flags| {
            let asked = Proto::Tcp.packet(&talk.asks(), flags);
            case.sent(asked, onward(Proto::Tcp.packet(&left, flags)))
        })
    };
    run(
        &site.rig,
        &host,
        &[talks.iter().fold(Case::new("before"), step)],
    );
    // Others are served still.
    site.serve(|way| way == Way::IpIp4);
    host.refresh(&site.rig);
    let gone = talks.iter().fold(Case::new("gone"), |case, (_, talk)| {
        case.drop(talk.asks().tcp(ACK, &[], DATA), Reason::BackendGone)
            .drop(talk.asks().tcp(ACK, &[], DATA), Reason::BackendGone)
    });
    run(&site.rig, &host, &[gone]);
    // The same service again finds its flows.
    site.serve(|_| true);
    host.refresh(&site.rig);
    let again = talks.iter().fold(Case::new("back"), |case, (way, talk)| {
        let left = if *way == Way::Nat {
            talk.translated()
        } else {
            talk.asked()
        };
        case.sent(
            talk.asks().tcp(ACK, &[], DATA),
            onward(left.tcp(ACK, &[], DATA)),
        )
    });
    run(&site.rig, &host, &[again]);
    // With no service at all packets are the stack's.
    site.serve(|_| false);
    host.refresh(&site.rig);
    let none = talks.iter().fold(Case::new("none"), |case, (_, talk)| {
        case.pass(talk.asks().tcp(ACK, &[], DATA))
    });
    run(&site.rig, &host, &[none]);
}
