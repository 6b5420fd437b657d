//! Address translation: both directions are the same change.

use super::checksum::Delta;
use crate::{
    abi::{Family, Tuple},
    packet::{
        Frame, Kind, Packet,
        header::{Ports, proto},
    },
};

/// Where the time to live is.
const IPV4_TTL: usize = 8;
const IPV6_HOPS: usize = 7;
/// Where the checksum lies in the headers.
pub(super) const IPV4_CHECKSUM: usize = 10;
pub(super) const TCP_CHECKSUM: usize = 16;
pub(super) const UDP_CHECKSUM: usize = 6;

/// Makes a packet's tuple `to`, and takes one off its time to live: what is done to one of `nat` on its way.
#[inline(always)]
pub fn relay<F: Family>(frame: Frame, packet: &Packet<F>, to: &Tuple<F>) -> Option<()> {
    change(frame, packet, Some(to), true)
}

/// Makes a packet's tuple `to`. A later fragment has no ports and no transport checksum: only its addresses change.
///
/// SCTP's checksum does not cover addresses, and is not mended for other ports: configuration keeps them the same.
/// An ICMP error is for [`fn@super::translate_icmp_error`].
#[inline(always)]
pub fn translate<F: Family>(frame: Frame, packet: &Packet<F>, to: &Tuple<F>) -> Option<()> {
    change(frame, packet, Some(to), false)
}

/// One off the time to live. The caller has seen that it is above 1.
#[inline(always)]
pub fn decrement_ttl<F: Family>(frame: Frame, packet: &Packet<F>) -> Option<()> {
    change(frame, packet, None, true)
}

/// Changes addresses, ports and time to live, and mends each checksum once.
#[inline(always)]
fn change<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    to: Option<&Tuple<F>>,
    older: bool,
) -> Option<()> {
    let header = frame.part(packet.l3, F::HEADER)?;
    let mut delta = Delta::new();
    if let Some(to) = to {
        delta.address::<F>(packet.tuple.src, to.src);
        delta.address::<F>(packet.tuple.dst, to.dst);
        header.write(Packet::<F>::SRC, to.src)?;
        header.write(Packet::<F>::DST, to.dst)?;
    }
    if F::IS_V6 {
        if older {
            header.write(IPV6_HOPS, packet.ttl.wrapping_sub(1))?;
        }
    } else {
        let mut delta = delta;
        if older {
            // The first byte of a word, and above 1.
            const ONE: u16 = 0x0100_u16.to_be();
            let word: u16 = header.read(IPV4_TTL)?;
            header.write(IPV4_TTL, word.wrapping_sub(ONE))?;
            if to.is_none() {
                let checksum = header.read(IPV4_CHECKSUM)?;
                return header.write(IPV4_CHECKSUM, Delta::mend_less(ONE, checksum));
            }
            delta.less(ONE);
        }
        header.write(IPV4_CHECKSUM, delta.mend(header.read(IPV4_CHECKSUM)?))?;
    }
    match to {
        Some(to) if packet.kind != Kind::LaterFragment => ports(frame, packet, to, delta),
        _ => Some(()),
    }
}

/// Changes ports, and the transport's checksum, of which `delta` has the addresses' part.
#[inline(always)]
fn ports<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    to: &Tuple<F>,
    mut delta: Delta,
) -> Option<()> {
    let from = &packet.tuple;
    let ports = Ports {
        src: to.sport,
        dst: to.dport,
    };
    delta.word(from.sport, to.sport);
    delta.word(from.dport, to.dport);
    if from.proto == proto::TCP {
        let header = frame.part(packet.l4, TCP_CHECKSUM + 2)?;
        header.write(TCP_CHECKSUM, delta.mend(header.read(TCP_CHECKSUM)?))?;
        header.write(0, ports)
    } else if from.proto == proto::UDP {
        let header = frame.part(packet.l4, UDP_CHECKSUM + 2)?;
        header.write(UDP_CHECKSUM, delta.mend_udp(header.read(UDP_CHECKSUM)?))?;
        header.write(0, ports)
    } else {
        frame.write(packet.l4, ports)
    }
}
