//! What rules tell packets apart by: protocols, ports, users.

use super::{Fault, Form, is_not, many::Either, number::Int, words::words};
use crate::{
    config::section::l4::PortRange,
    spec::packets::{Ports, Protocol, Users},
};

/// A protocol: its number, or one of some names.
pub(in crate::config) type AnyProtocol = Either<Int<1, 255>, ProtocolName>;

/// A protocol that has a name.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct ProtocolName(Protocol);

words!(ProtocolName {
    "tcp" => ProtocolName(Protocol::TCP), "6";
    "udp" => ProtocolName(Protocol::UDP), "17";
    "sctp" => ProtocolName(Protocol::SCTP), "132";
    "dccp" => ProtocolName(Protocol::DCCP), "33";
    "udplite" => ProtocolName(Protocol::UDPLITE), "136";
    "icmp" => ProtocolName(Protocol::ICMP), "1";
    "ipv6-icmp" => ProtocolName(Protocol::ICMPV6), "58";
    "gre" => ProtocolName(Protocol::GRE), "47";
    "esp" => ProtocolName(Protocol::ESP), "50";
    "ah" => ProtocolName(Protocol::AH), "51";
});

/// The protocol.
pub(in crate::config) fn protocol(protocol: &AnyProtocol) -> Protocol {
    match protocol {
        Either::One(number) => Protocol(number.to()),
        Either::Other(name) => name.0,
    }
}

/// The last port that the kernel takes in a rule (`fib_rule_port_range_valid`).
pub(in crate::config) const LAST_PORT: u16 = u16::MAX - 1;

/// A port, or some.
pub(in crate::config) type AnyPorts = Either<Int<1, { LAST_PORT as i64 }>, PortRange>;

/// The ports.
pub(in crate::config) fn ports(ports: &AnyPorts) -> Ports {
    let (first, last) = match ports {
        Either::One(port) => (port.to(), port.to()),
        Either::Other(PortRange(first, last)) => (*first, *last),
    };
    Ports { first, last }
}

/// The largest number of a user: one more means none.
const LAST_USER: i64 = u32::MAX as i64 - 1;

/// A user, or some, by their numbers.
pub(in crate::config) type AnyUsers = Either<Int<0, LAST_USER>, UserRange>;

/// Users, first and last.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct UserRange(Users);

impl Form for UserRange {
    const WHAT: &'static str = "users such as \"1000-1999\"";
    const EXAMPLE: &'static str = "1000-1999";
    const PATTERN: &'static str = "^[0-9]+-[0-9]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let users = text.split_once('-').and_then(|(first, last)| {
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            let fits = first <= last && i64::from(last) <= LAST_USER;
            fits.then_some(Self(Users { first, last }))
        });
        users.ok_or_else(|| is_not::<Self>(text).help("write 1000, or \"1000-1999\""))
    }
}

/// The users.
pub(in crate::config) fn users(users: &AnyUsers) -> Users {
    match users {
        Either::One(user) => Users {
            first: user.to(),
            last: user.to(),
        },
        Either::Other(range) => range.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_some_numbers_in_a_row() {
        let read = |text| UserRange::parse(text).ok().map(|range| range.0.to_string());
        for good in ["0-0", "1000-1999", "5-4294967294"] {
            assert_eq!(read(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "-",
            "5",
            "5-",
            "-5",
            "6-5",
            "0-4294967295",
            "a-b",
            "1-2-3",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_protocol_is_called_what_it_is_shown_as() {
        let crate::config::kind::Kind::Words(words) =
            <ProtocolName as crate::config::walk::Read>::kind()
        else {
            panic!("words");
        };
        for (word, number) in words {
            let shown = number.parse().map(|number| Protocol(number).to_string());
            assert_eq!(shown.as_deref(), Ok(*word));
        }
    }
}
