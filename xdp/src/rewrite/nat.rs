//! Address translation: both directions are the same change.

use super::checksum::Delta;
use crate::{
    abi::{Family, Tuple},
    packet::{
        Frame, Kind, Packet,
        header::{Ports, proto},
    },
};

/// Where the checksum lies in the headers.
pub(super) const IPV4_CHECKSUM: usize = 10;
pub(super) const TCP_CHECKSUM: usize = 16;
pub(super) const UDP_CHECKSUM: usize = 6;

/// Makes a packet's tuple `to`. A later fragment has no ports and no transport checksum: only its addresses change.
///
/// SCTP's checksum does not cover addresses, and is not mended for other ports: configuration keeps them the same.
/// An ICMP error is for [`fn@super::translate_icmp_error`].
#[inline(always)]
pub fn translate<F: Family>(frame: Frame, packet: &Packet<F>, to: &Tuple<F>) -> Option<()> {
    let from = &packet.tuple;
    let mut delta = Delta::new();
    delta.address::<F>(from.src, to.src);
    delta.address::<F>(from.dst, to.dst);
    frame.write(packet.l3 + Packet::<F>::SRC, to.src)?;
    frame.write(packet.l3 + Packet::<F>::DST, to.dst)?;
    if !F::IS_V6 {
        let at = packet.l3 + IPV4_CHECKSUM;
        frame.write(at, delta.mend(frame.read(at)?))?;
    }
    if packet.kind == Kind::LaterFragment {
        return Some(());
    }
    let ports = Ports {
        src: to.sport,
        dst: to.dport,
    };
    delta.word(from.sport, to.sport);
    delta.word(from.dport, to.dport);
    if from.proto == proto::TCP {
        let at = packet.l4 + TCP_CHECKSUM;
        frame.write(at, delta.mend(frame.read(at)?))?;
    } else if from.proto == proto::UDP {
        let at = packet.l4 + UDP_CHECKSUM;
        frame.write(at, delta.mend_udp(frame.read(at)?))?;
    }
    frame.write(packet.l4, ports)
}

/// One off the time to live. The caller has seen that it is above 1.
#[inline(always)]
pub fn decrement_ttl<F: Family>(frame: Frame, packet: &Packet<F>) -> Option<()> {
    let ttl = packet.ttl.wrapping_sub(1);
    if F::IS_V6 {
        return frame.write(packet.l3 + 7, ttl);
    }
    let at = packet.l3 + 8;
    let old: u16 = frame.read(at)?;
    let new = u16::from_be(old).wrapping_sub(0x0100).to_be();
    let mut delta = Delta::new();
    delta.word(old, new);
    frame.write(at, new)?;
    let at = packet.l3 + IPV4_CHECKSUM;
    frame.write(at, delta.mend(frame.read(at)?))
}
