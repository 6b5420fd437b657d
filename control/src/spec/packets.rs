//! What rules tell packets apart by, beside addresses and devices: protocol, ports, whose socket they are of.

use std::fmt;

use serde::{Serialize, Serializer};

/// A protocol above IP, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Transmission control.
    pub const TCP: Self = Self(6);
    /// Datagrams.
    pub const UDP: Self = Self(17);
    /// Streams of messages.
    pub const SCTP: Self = Self(132);
    /// Datagrams with congestion control.
    pub const DCCP: Self = Self(33);
    /// Datagrams of which a part may be damaged.
    pub const UDPLITE: Self = Self(136);
    /// Control messages of IPv4.
    pub const ICMP: Self = Self(1);
    /// Control messages of IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Generic routing encapsulation.
    pub const GRE: Self = Self(47);
    /// IPsec's encapsulated packets.
    pub const ESP: Self = Self(50);
    /// IPsec's authentication header.
    pub const AH: Self = Self(51);

    /// Its name (`/etc/protocols`), if it is one that is often met.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::SCTP => "sctp",
            Self::DCCP => "dccp",
            Self::UDPLITE => "udplite",
            Self::ICMP => "icmp",
            Self::ICMPV6 => "ipv6-icmp",
            Self::GRE => "gre",
            Self::ESP => "esp",
            Self::AH => "ah",
            _ => return None,
        })
    }

    /// Whether its packets have ports.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(
            self,
            Self::TCP | Self::UDP | Self::SCTP | Self::DCCP | Self::UDPLITE
        )
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Users, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Users {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
