//! A packet as it came, with as much of its IP header as matters.

use std::net::{IpAddr, Ipv4Addr};

use crate::vrrp::{
    limits::{PROTOCOL, PROTOCOL_AH},
    refusal::Refusal,
};

/// What came from the network: where from, where to, how far it may have come, and the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Where it went: the group, or an address of ours. The checksum may cover it.
    pub destination: IpAddr,
    /// TTL or hop limit as it arrived.
    pub hop_limit: u8,
    /// What is after the IP header.
    pub message: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads what a raw IPv4 socket gives: the packet from its IP header on. Bytes after its end (padding of short
    /// Ethernet frames) are left out. A raw IPv6 socket gives no header; there the fields come from ancillary data.
    ///
    /// # Errors
    /// It is no whole IPv4 packet of this protocol. One with an authentication header (RFC 2338, section 5.3.6.3) is
    /// refused as [`Refusal::AuthHeader`].
    pub fn from_ipv4(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let header: &[u8; 20] = bytes.first_chunk().ok_or(Refusal::Cut {
            needed: 20,
            found: bytes.len(),
        })?;
        let length = usize::from(header[0] & 0xf) * 4;
        if header[0] >> 4 != 4 || length < 20 {
            return Err(Refusal::NotIpv4);
        }
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let message = bytes.get(length..total).ok_or(Refusal::Cut {
            needed: total.max(length),
            found: bytes.len(),
        })?;
        // Its offset, or that there is more: no advert needs to be in pieces.
        if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
            return Err(Refusal::Fragment);
        }
        match header[9] {
            PROTOCOL => {}
            PROTOCOL_AH => return Err(Refusal::AuthHeader),
            other => return Err(Refusal::OtherProtocol(other)),
        }
        let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
        Ok(Self {
            source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
            destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
            hop_limit: header[8],
            message,
        })
    }
}
