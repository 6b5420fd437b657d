//! Making packets.

use std::{
    net::{IpAddr, SocketAddr},
    vec::Vec,
};

use super::verify::checksum;
use crate::packet::header::proto;

/// What a packet is to be; begin with [`Builder::new`], end with the protocol.
#[derive(Clone, Debug)]
pub struct Builder {
    src: SocketAddr,
    dst: SocketAddr,
    tags: Vec<(u16, u16)>,
    ttl: u8,
    tos: u8,
    id: u32,
    label: u32,
    dont_fragment: bool,
    options: Vec<u8>,
    extensions: Vec<(u8, Vec<u8>)>,
    fragment: Option<(u16, bool)>,
    numbers: (u32, u32),
    window: u16,
}

impl Builder {
    /// A packet between two ports; the addresses are of one family.
    pub fn new(src: SocketAddr, dst: SocketAddr) -> Self {
        assert_eq!(src.is_ipv4(), dst.is_ipv4());
        Self {
            src,
            dst,
            tags: Vec::new(),
            ttl: 63,
            tos: 0,
            id: 0x1234,
            label: 0x54321,
            dont_fragment: true,
            options: Vec::new(),
            extensions: Vec::new(),
            fragment: None,
            numbers: (0x0102_0304, 0x0506_0708),
            window: 0x2000,
        }
    }

    /// With one more 802.1Q tag inside of those before.
    pub fn vlan(mut self, tci: u16) -> Self {
        self.tags.push((0x8100, tci));
        self
    }

    /// With an 802.1ad tag.
    pub fn provider(mut self, tci: u16) -> Self {
        self.tags.push((0x88a8, tci));
        self
    }

    /// Time to live.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// ToS, traffic class.
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// That it may be fragmented (IPv4).
    pub fn fragmentable(mut self) -> Self {
        self.dont_fragment = false;
        self
    }

    /// The identification (IPv4).
    pub fn id(mut self, id: u16) -> Self {
        self.id = id.into();
        self
    }

    /// The flow label (IPv6).
    pub fn label(mut self, label: u32) -> Self {
        self.label = label & 0xf_ffff;
        self
    }

    /// IPv4 options, a multiple of 4 bytes.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// One more IPv6 extension header: its type and what follows its first two bytes (8n + 6 bytes).
    pub fn extension(mut self, kind: u8, body: &[u8]) -> Self {
        self.extensions.push((kind, body.to_vec()));
        self
    }

    /// Only the fragment that begins at `offset` (a multiple of 8) of the transport's bytes; `more` follow.
    pub fn fragment(mut self, offset: u16, more: bool, id: u32) -> Self {
        self.fragment = Some((offset, more));
        self.id = id;
        self.dont_fragment = false;
        self
    }

    /// TCP's sequence and acknowledgement numbers.
    pub fn numbers(mut self, seq: u32, ack: u32) -> Self {
        self.numbers = (seq, ack);
        self
    }

    /// TCP's window.
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// A TCP segment with these flags.
    pub fn tcp(&self, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = self.ports();
        let [high, low] = self.window.to_be_bytes();
        let offset = (((20 + options.len()) / 4) << 4) as u8;
        bytes.extend(self.numbers.0.to_be_bytes());
        bytes.extend(self.numbers.1.to_be_bytes());
        bytes.extend([offset, flags, high, low, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes.extend(payload);
        self.transport(proto::TCP, bytes, Some(16))
    }

    /// A UDP datagram.
    pub fn udp(&self, payload: &[u8]) -> Vec<u8> {
        self.transport(proto::UDP, self.udp_bytes(payload), Some(6))
    }

    /// A UDP datagram without a checksum.
    pub fn udp_unchecked(&self, payload: &[u8]) -> Vec<u8> {
        self.transport(proto::UDP, self.udp_bytes(payload), None)
    }

    fn udp_bytes(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = self.ports();
        bytes.extend((8 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        bytes
    }

    /// An SCTP packet; its checksum is left 0.
    pub fn sctp(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = self.ports();
        bytes.extend([0; 8]);
        bytes.extend(payload);
        self.transport(proto::SCTP, bytes, None)
    }

    /// An ICMP or ICMPv6 message; after its first 8 bytes comes `body` (of an error, an IP packet).
    pub fn icmp(&self, kind: u8, code: u8, rest: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![kind, code, 0, 0];
        bytes.extend(rest.to_be_bytes());
        bytes.extend(body);
        let v4 = self.src.is_ipv4();
        let proto = if v4 { proto::ICMP } else { proto::ICMPV6 };
        if v4 {
            let sum = checksum(&[&bytes]);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
            return self.raw(proto, &bytes);
        }
        self.transport(proto, bytes, Some(2))
    }

    fn ports(&self) -> Vec<u8> {
        let mut bytes = self.src.port().to_be_bytes().to_vec();
        bytes.extend(self.dst.port().to_be_bytes());
        bytes
    }

    /// With the checksum at `at`, of a protocol that covers a pseudo header.
    fn transport(&self, proto: u8, mut bytes: Vec<u8>, at: Option<usize>) -> Vec<u8> {
        if let Some(at) = at {
            let length = (bytes.len() as u32).to_be_bytes();
            let (src, dst) = (octets(self.src.ip()), octets(self.dst.ip()));
            let mut sum = checksum(&[&src, &dst, &length, &[0, 0, 0, proto], &bytes]);
            if proto == proto::UDP && sum == 0 {
                sum = 0xffff;
            }
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        self.raw(proto, &bytes)
    }

    /// A packet of any protocol.
    pub fn raw(&self, proto: u8, bytes: &[u8]) -> Vec<u8> {
        let bytes = match self.fragment {
            Some((offset, true)) => {
                &bytes[offset.into()..(usize::from(offset) + 48).min(bytes.len())]
            }
            Some((offset, false)) => &bytes[offset.into()..],
            None => bytes,
        };
        let mut frame = std::vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for (kind, tci) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        let (offset, more) = self.fragment.unwrap_or_default();
        if self.src.is_ipv4() {
            frame.extend([8, 0]);
            let header = 20 + self.options.len();
            let flags = u16::from(self.dont_fragment) << 14 | u16::from(more) << 13 | (offset / 8);
            let mut ip = std::vec![0x40 | (header / 4) as u8, self.tos];
            ip.extend(((header + bytes.len()) as u16).to_be_bytes());
            ip.extend((self.id as u16).to_be_bytes());
            ip.extend(flags.to_be_bytes());
            ip.extend([self.ttl, proto, 0, 0]);
            ip.extend(octets(self.src.ip()));
            ip.extend(octets(self.dst.ip()));
            ip.extend(&self.options);
            let sum = checksum(&[&ip]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend(ip);
        } else {
            frame.extend([0x86, 0xdd]);
            let mut extensions = self.extensions.clone();
            if self.fragment.is_some() {
                let mut body = (offset | u16::from(more)).to_be_bytes().to_vec();
                body.extend(self.id.to_be_bytes());
                extensions.push((proto::FRAGMENT, body));
            }
            let length: usize = extensions.iter().map(|(_, body)| body.len() + 2).sum();
            frame.extend((6 << 28 | u32::from(self.tos) << 20 | self.label).to_be_bytes());
            frame.extend(((length + bytes.len()) as u16).to_be_bytes());
            let mut types = extensions.iter().map(|(kind, _)| *kind).chain([proto]);
            frame.push(types.next().unwrap_or(proto));
            frame.push(self.ttl);
            frame.extend(octets(self.src.ip()));
            frame.extend(octets(self.dst.ip()));
            for ((kind, body), next) in extensions.iter().zip(types) {
                frame.push(next);
                frame.push(if *kind == proto::FRAGMENT {
                    0
                } else {
                    (body.len() / 8) as u8
                });
                frame.extend(body);
            }
        }
        frame.extend(bytes);
        frame
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// TCP options with an MSS behind `before` no-operations, filled up to a multiple of 4 bytes.
pub fn tcp_options(before: usize, mss: u16) -> Vec<u8> {
    let mut options = std::vec![1; before];
    options.extend([2, 4]);
    options.extend(mss.to_be_bytes());
    options.extend(std::vec![0; options.len().wrapping_neg() & 3]);
    options
}
