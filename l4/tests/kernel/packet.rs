//! Packets, made by hand: what is compared with must not come from the code that is tested.

use std::net::{IpAddr, SocketAddr};

/// TCP's flags.
pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// The sum that IP's checksums are made of, not folded.
fn sum(bytes: &[u8]) -> u32 {
    let pairs = bytes.chunks(2).map(|pair| match pair {
        [a, b] => u32::from(u16::from_be_bytes([*a, *b])),
        [a] => u32::from(*a) << 8,
        _ => 0,
    });
    pairs.sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A packet as it is on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) to_mac: [u8; 6],
    pub(crate) from_mac: [u8; 6],
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) ttl: u8,
    /// TCP's flags; none: it is UDP.
    pub(crate) tcp: Option<u8>,
}

impl Packet {
    pub(crate) fn tcp(from: &str, to: &str, flags: u8) -> Self {
        Self {
            to_mac: super::rig::OUR_MAC,
            from_mac: [2, 0, 0, 0, 0, 7],
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            ttl: 64,
            tcp: Some(flags),
        }
    }

    pub(crate) fn udp(from: &str, to: &str) -> Self {
        Self {
            tcp: None,
            ..Self::tcp(from, to, 0)
        }
    }

    /// As it looks after one of ours has sent it on to a neighbour.
    pub(crate) fn sent_on(self) -> Self {
        Self {
            to_mac: super::rig::THEIR_MAC,
            from_mac: super::rig::OUR_MAC,
            ttl: self.ttl - 1,
            ..self
        }
    }

    fn transport(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.to.port().to_be_bytes());
        let at = match self.tcp {
            Some(flags) => {
                bytes.extend(1_000_u32.to_be_bytes());
                bytes.extend(if flags & ACK == 0 { 0_u32 } else { 2_000 }.to_be_bytes());
                bytes.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
                16
            }
            None => {
                bytes.extend((8 + payload.len() as u16).to_be_bytes());
                bytes.extend([0, 0]);
                bytes.extend(payload);
                6
            }
        };
        let protocol = if self.tcp.is_some() { 6_u32 } else { 17 };
        let mut all = sum(&octets(self.from.ip())) + sum(&octets(self.to.ip()));
        all += protocol + bytes.len() as u32 + sum(&bytes);
        bytes[at..at + 2].copy_from_slice(&fold(all).to_be_bytes());
        bytes
    }

    /// The IP packet.
    pub(crate) fn ip(&self) -> Vec<u8> {
        self.ip_with(b"what is it?!")
    }

    /// The IP packet with this in its UDP datagram.
    fn ip_with(&self, payload: &[u8]) -> Vec<u8> {
        let inner = self.transport(payload);
        let protocol = if self.tcp.is_some() { 6 } else { 17 };
        let mut bytes = Vec::new();
        if self.from.is_ipv4() {
            let length = (20 + inner.len()) as u16;
            bytes.extend([0x45, 0]);
            bytes.extend(length.to_be_bytes());
            bytes.extend([0x12, 0x34, 0x40, 0, self.ttl, protocol, 0, 0]);
            bytes.extend(octets(self.from.ip()));
            bytes.extend(octets(self.to.ip()));
            let check = fold(sum(&bytes)).to_be_bytes();
            bytes[10..12].copy_from_slice(&check);
        } else {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((inner.len() as u16).to_be_bytes());
            bytes.extend([protocol, self.ttl]);
            bytes.extend(octets(self.from.ip()));
            bytes.extend(octets(self.to.ip()));
        }
        bytes.extend(inner);
        bytes
    }

    /// The frame.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.framed(&self.ip())
    }

    /// The frame with this in its UDP datagram.
    pub(crate) fn bytes_with(&self, payload: &[u8]) -> Vec<u8> {
        self.framed(&self.ip_with(payload))
    }

    fn framed(&self, ip: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.to_mac);
        bytes.extend(self.from_mac);
        bytes.extend(if self.from.is_ipv4() {
            [8, 0]
        } else {
            [0x86, 0xdd]
        });
        bytes.extend(ip);
        bytes
    }
}
