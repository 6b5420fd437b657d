//! Translation of ICMP errors: the packet inside is one of a flow, and must look as its sender knows it.

use super::{
    checksum::Delta,
    nat::{IPV4_CHECKSUM, TCP_CHECKSUM, UDP_CHECKSUM},
};
use crate::{
    abi::{Family, Tuple},
    packet::{
        Frame, Packet,
        header::{Ports, proto},
    },
};

/// Where ICMP's checksum lies in its header.
const CHECKSUM: usize = 2;

/// Translates an ICMP error. `to` is what the tuple of a packet that goes the same way (the inner one reversed)
/// becomes: `Flow::becomes` of the entry that the reversed tuple found.
///
/// The outer destination becomes `to`'s. The outer source becomes `to`'s if it is the inner destination (the other end
/// itself complains) or with `hide`, as for all errors that come from the backends' side, whose routers are not the
/// client's business (IPVS does so); else it stays a router's.
#[inline(always)]
pub fn translate_icmp_error<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    to: &Tuple<F>,
    hide: bool,
) -> Option<()> {
    let (src, dst) = packet.addresses(frame)?;
    let new_src = if hide || src == packet.tuple.dst {
        to.src
    } else {
        src
    };
    let mut outer = Delta::new();
    outer.address::<F>(src, new_src);
    outer.address::<F>(dst, to.dst);
    frame.write(packet.l3 + Packet::<F>::SRC, new_src)?;
    frame.write(packet.l3 + Packet::<F>::DST, to.dst)?;
    if !F::IS_V6 {
        let at = packet.l3 + IPV4_CHECKSUM;
        frame.write(at, outer.mend(frame.read(at)?))?;
    }
    // ICMPv6's checksum covers a pseudo header, ICMP's does not.
    let mut message = if F::IS_V6 { outer } else { Delta::new() };
    inner(frame, packet, &to.reversed(), &mut message)?;
    let at = packet.l4 + CHECKSUM;
    frame.write(at, message.mend(frame.read(at)?))
}

/// Makes the inner packet's tuple `to`, and adds what changed to `message`.
#[inline(always)]
fn inner<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    to: &Tuple<F>,
    message: &mut Delta,
) -> Option<()> {
    let from = &packet.tuple;
    let mut delta = Delta::new();
    delta.address::<F>(from.src, to.src);
    delta.address::<F>(from.dst, to.dst);
    message.add(delta);
    frame.write(packet.inner_l3 + Packet::<F>::SRC, to.src)?;
    frame.write(packet.inner_l3 + Packet::<F>::DST, to.dst)?;
    if !F::IS_V6 {
        let at = packet.inner_l3 + IPV4_CHECKSUM;
        let old = frame.read(at)?;
        let new = delta.mend(old);
        message.word(old, new);
        frame.write(at, new)?;
    }
    let mut ports = Delta::new();
    ports.word(from.sport, to.sport);
    ports.word(from.dport, to.dport);
    message.add(ports);
    delta.add(ports);
    let new = Ports {
        src: to.sport,
        dst: to.dport,
    };
    frame.write(packet.inner_l4, new)?;
    if from.proto == proto::UDP {
        let at = packet.inner_l4 + UDP_CHECKSUM;
        let old = frame.read(at)?;
        let new = delta.mend_udp(old);
        message.word(old, new);
        frame.write(at, new)?;
    } else if from.proto == proto::TCP {
        // Only 8 bytes of the inner transport header need to be there, and TCP's checksum lies behind them.
        let at = packet.inner_l4 + TCP_CHECKSUM;
        if at + 2 <= packet.l3 + packet.length as usize {
            let old = frame.read(at)?;
            let new = delta.mend(old);
            message.word(old, new);
            frame.write(at, new)?;
        }
    }
    Some(())
}
