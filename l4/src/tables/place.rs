//! Places that clients turn to: addresses and ports, and how the program looks for them.

use std::net::{IpAddr, SocketAddr};

use control::spec::Listen;
use xdp::{
    abi::{Addr4, Addr6, Endpoint, Family, RangeKey},
    packet::header::proto,
};

use super::ranges::{PortPrefix, prefixes};

/// What leads to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A port of an address; port 0: those that nothing else leads from.
    Port(IpAddr, u16, u8),
    /// A power of two of ports.
    Range(IpAddr, PortPrefix, u8),
    /// The address alone: it only says that there is a service at it.
    Address(IpAddr),
    /// Where a backend of address translation answers from; port 0: from whichever its clients turn to.
    Backend(IpAddr, u16, u8),
    /// Where backends of full NAT answer to, by TCP.
    Source(IpAddr),
}

impl Place {
    /// Those of a listener, without [`Place::Address`].
    #[must_use]
    pub fn of(listen: &Listen) -> Vec<Self> {
        let (ip, protocol) = (listen.address.ip(), listen.scheme.ip_protocol());
        if listen.is_single() || listen.is_all_ports() {
            return vec![Self::Port(ip, listen.address.port(), protocol)];
        }
        let ports = prefixes(&listen.ports());
        ports
            .into_iter()
            .map(|ports| Self::Range(ip, ports, protocol))
            .collect()
    }

    /// The address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        match self {
            Self::Port(ip, ..)
            | Self::Range(ip, ..)
            | Self::Address(ip)
            | Self::Backend(ip, ..)
            | Self::Source(ip) => *ip,
        }
    }

    /// As the key of the table of endpoints; none for ranges.
    #[must_use]
    pub fn endpoint<F: Family>(&self) -> Option<Endpoint<F>> {
        let (port, proto, side) = match self {
            Self::Port(_, port, proto) => (*port, *proto, Endpoint::<F>::CLIENTS),
            Self::Backend(_, port, proto) => (*port, *proto, Endpoint::<F>::BACKENDS),
            Self::Source(_) => (0, proto::TCP, Endpoint::<F>::SOURCES),
            Self::Address(_) => (0, 0, Endpoint::<F>::CLIENTS),
            Self::Range(..) => return None,
        };
        Some(Endpoint {
            address: F::narrow(words(self.ip())),
            port: port.to_be(),
            proto,
            side,
        })
    }

    /// As the key of the table of ranges; none for others.
    #[must_use]
    pub fn range<F: Family>(&self) -> Option<RangeKey<F>> {
        let Self::Range(ip, ports, proto) = self else {
            return None;
        };
        Some(RangeKey {
            prefix: RangeKey::<F>::BEFORE_PORT + u32::from(ports.bits),
            proto: *proto,
            zero1: 0,
            zero2: 0,
            address: F::narrow(words(*ip)),
            port: ports.port.to_be(),
            zero3: 0,
        })
    }

    /// The place of a key of the table of endpoints.
    #[must_use]
    pub fn of_endpoint<F: Family>(key: &Endpoint<F>) -> Self {
        let ip = ip::<F>(key.address);
        match (key.proto, key.port) {
            (proto, port) if key.side == Endpoint::<F>::BACKENDS => {
                Self::Backend(ip, u16::from_be(port), proto)
            }
            _ if key.side == Endpoint::<F>::SOURCES => Self::Source(ip),
            (0, 0) => Self::Address(ip),
            (proto, port) => Self::Port(ip, u16::from_be(port), proto),
        }
    }

    /// The place of a key of the table of ranges.
    #[must_use]
    pub fn of_range<F: Family>(key: &RangeKey<F>) -> Self {
        let ports = PortPrefix {
            port: u16::from_be(key.port),
            bits: key
                .prefix
                .saturating_sub(RangeKey::<F>::BEFORE_PORT)
                .min(16) as u8,
        };
        Self::Range(ip::<F>(key.address), ports, key.proto)
    }
}

/// An address as words of a packet.
#[must_use]
pub(crate) fn words(ip: IpAddr) -> Addr6 {
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_ne_bytes);
    match ip {
        IpAddr::V4(ip) => Addr6 {
            a: word(&ip.octets()),
            ..Addr6::default()
        },
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            Addr6 {
                a: word(&octets[0..4]),
                b: word(&octets[4..8]),
                c: word(&octets[8..12]),
                d: word(&octets[12..16]),
            }
        }
    }
}

/// The reverse of [`words`], of an IPv6 address or one of IPv4.
#[must_use]
pub(crate) fn ip_of_words(address: Addr6, v6: bool) -> IpAddr {
    if !v6 {
        let v4: Addr4 = address.a;
        return v4.to_ne_bytes().into();
    }
    let mut octets = [0; 16];
    let words = [address.a, address.b, address.c, address.d];
    for (four, word) in octets.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_ne_bytes());
    }
    octets.into()
}

/// The address of a family's own shape.
#[must_use]
pub(crate) fn ip<F: Family>(address: F::Addr) -> IpAddr {
    ip_of_words(F::widen(address), F::IS_V6)
}

/// An address of a family and a port as in packets.
#[must_use]
pub(crate) fn socket<F: Family>(address: F::Addr, port: u16) -> SocketAddr {
    SocketAddr::new(ip::<F>(address), u16::from_be(port))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use control::spec::Scheme;
    use xdp::abi::{V4, V6};

    use super::*;

    #[test]
    fn there_and_back() {
        let v6: SocketAddr = "[2001:db8::1]:53".parse().unwrap();
        let place = Place::of(&Listen::new(Scheme::Udp, v6));
        assert_eq!(place, [Place::Port(v6.ip(), 53, 17)]);
        let key = place[0].endpoint::<V6>().unwrap();
        assert_eq!(key.port.to_ne_bytes(), [0, 53]);
        assert_eq!(Place::of_endpoint(&key), place[0]);
        assert_eq!(socket::<V6>(key.address, key.port), v6);

        let mut listen = Listen::new(Scheme::Tcp, "10.0.0.1:8000".parse().unwrap());
        listen.last_port = 8010;
        for place in Place::of(&listen) {
            assert_eq!(Place::of_range(&place.range::<V4>().unwrap()), place);
        }
        let key = Place::Address([10, 0, 0, 1].into())
            .endpoint::<V4>()
            .unwrap();
        assert_eq!(key.address.to_ne_bytes(), [10, 0, 0, 1]);
        assert_eq!((key.port, key.proto), (0, 0));

        let ip = [10, 0, 0, 1].into();
        let all = [
            Place::Address(ip),
            Place::Port(ip, 0, 6),
            Place::Backend(ip, 0, 6),
            Place::Source(ip),
        ];
        for place in all {
            let key = place.endpoint::<V4>().unwrap();
            assert_eq!(Place::of_endpoint(&key), place);
        }
    }
}
