//! The transport header: ports, TCP's flags, and whether its lengths can be true.

use super::{
    Frame, MALFORMED, Other,
    header::{Ports, Tcp, Udp, proto},
};

/// SCTP's common header, bytes.
const SCTP: usize = 12;

/// What a transport header says.
#[derive(Clone, Copy)]
pub(super) struct Transport {
    pub(super) ports: Ports,
    pub(super) tcp_flags: u8,
}

/// Whether flows of this protocol are balanced.
#[inline(always)]
pub(super) fn is_balanced(protocol: u8) -> bool {
    protocol == proto::TCP || protocol == proto::UDP || protocol == proto::SCTP
}

/// Reads the header at `l4`, of a packet (or first fragment: not `whole`) with `length` bytes from there on.
#[inline(always)]
pub(super) fn parse(
    frame: Frame,
    l4: usize,
    protocol: u8,
    length: usize,
    whole: bool,
) -> Result<Transport, Other> {
    if protocol == proto::TCP {
        let tcp: Tcp = frame.read(l4).ok_or(MALFORMED)?;
        let header = usize::from(tcp.offset >> 4) * 4;
        // A first fragment without all of the fixed header is an old trick against filters (RFC 1858).
        if header < size_of::<Tcp>() || length < size_of::<Tcp>() || (whole && header > length) {
            return Err(MALFORMED);
        }
        return Ok(Transport {
            ports: tcp.ports,
            tcp_flags: tcp.flags,
        });
    }
    if protocol == proto::UDP {
        let udp: Udp = frame.read(l4).ok_or(MALFORMED)?;
        let said = usize::from(u16::from_be(udp.length));
        if length < size_of::<Udp>() || said < size_of::<Udp>() || (whole && said > length) {
            return Err(MALFORMED);
        }
        return Ok(Transport {
            ports: udp.ports,
            tcp_flags: 0,
        });
    }
    let ports: Ports = frame.read(l4).ok_or(MALFORMED)?;
    if length < SCTP {
        return Err(MALFORMED);
    }
    Ok(Transport {
        ports,
        tcp_flags: 0,
    })
}
