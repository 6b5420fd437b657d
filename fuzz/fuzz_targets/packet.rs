//! Frames: reading one never leaves it, and no change to what was read panics or breaks a packet that was right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xdp::{
    abi::{Encap, Family, Hop, Tuple, V4, V6},
    decide::Turn,
    packet::{Kind, Packet, Parsed, header::proto, parse},
    rewrite::{self, Outer, Room},
    testing::{Buffer, verify},
};

fuzz_target!(|data: &[u8]| {
    match parse(Buffer::new(data).frame()) {
        Parsed::V4(packet) => all(data, &packet),
        Parsed::V6(packet) => all(data, &packet),
        Parsed::Pass(_) | Parsed::Drop(_) => {}
    }
});

/// Makes each change to a copy of its own.
fn all<F: Family>(data: &[u8], packet: &Packet<F>) {
    assert!(packet.l3 + packet.length as usize <= data.len());
    assert!(packet.l3 + F::HEADER <= packet.l4 && packet.l4 <= data.len());
    let right = verify(data).is_ok();
    let to = packet.tuple.reversed();
    let change = |what: &dyn Fn(&mut Buffer) -> Option<()>| {
        let mut buffer = Buffer::new(data);
        if what(&mut buffer).is_some() && right {
            assert_eq!(verify(&buffer.bytes()), Ok(()));
        }
    };
    if packet.kind == Kind::IcmpError {
        change(&|b| rewrite::translate_icmp_error(b.frame(), packet, &to.reversed(), true));
        change(&|b| rewrite::translate_icmp_error(b.frame(), packet, &to, false));
        if packet.tuple.proto == proto::TCP {
            for reply in [false, true] {
                change(&|b| rewrite::splice_icmp_error(b.frame(), packet, 0x1234_5678, reply));
            }
        }
    } else {
        change(&|b| rewrite::translate(b.frame(), packet, &to));
        let other = Tuple::new(to.dst, to.dst, 7, 9, to.proto);
        change(&|b| rewrite::translate(b.frame(), packet, &other));
        splices(packet, &change);
    }
    change(&|b| rewrite::decrement_ttl(b.frame(), packet));
    change(&|b| rewrite::clamp_mss(b.frame(), packet, 536));
    change(&|b| rewrite::syn_ack(b, packet, 7, 1460));
    change(&|b| rewrite::too_big(b, packet, packet.tuple.dst, 1400));
    change(&|b| rewrite::ttl_exceeded(b, packet, packet.tuple.dst));
    for vlan in [0, 5] {
        let hop = Hop {
            vlan,
            ..Hop::default()
        };
        change(&|b| rewrite::link::<F, _>(b, packet.l3, &hop));
        for encap in [Encap::IpIp, Encap::Gue, Encap::Gre] {
            for checksum in [false, true] {
                change(&|b| rewrite::encapsulate(b, packet, &outer::<V4>(encap, checksum), &hop));
                change(&|b| rewrite::encapsulate(b, packet, &outer::<V6>(encap, checksum), &hop));
            }
        }
    }
}

/// What becomes of segments of flows that a cookie opened.
fn splices<F: Family>(packet: &Packet<F>, change: &dyn Fn(&dyn Fn(&mut Buffer) -> Option<()>)) {
    if packet.tuple.proto != proto::TCP {
        return;
    }
    for reply in [false, true] {
        for turn in [Turn::Refuse, Turn::Abort, Turn::Shift] {
            change(&|b| rewrite::splice(b, packet, (turn, 0xfedc_ba98), reply));
        }
    }
    if packet.kind == Kind::Whole {
        change(&|b| rewrite::splice(b, packet, (Turn::Open, 7), false));
        change(&|b| rewrite::splice(b, packet, (Turn::Offer, 7), true));
        change(&|b| rewrite::offered_mss(b.frame(), packet).map(|_| ()));
    }
}

fn outer<F: Family>(encap: Encap, checksum: bool) -> Outer<F> {
    Outer {
        src: F::Addr::default(),
        dst: F::Addr::default(),
        encap,
        port: 5555_u16.to_be(),
        checksum,
        hash: 99,
    }
}
