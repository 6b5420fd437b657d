//! Which connections or decisions somebody wants to see: `service=web client=192.0.2.0/24 verdict=drop`.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use control::name::Name;
use ipnet::IpNet;
use xdp::abi::{PassReason, Reason, TraceEvent};

/// The keys there are, with what they take; for help texts and for what is said of an unknown one.
pub const KEYS: [(&str, &str); 9] = [
    ("service", "the service, by its name"),
    ("backend", "the backend: IP, NETWORK/LENGTH or IP:PORT"),
    ("client", "the client: IP, NETWORK/LENGTH or IP:PORT"),
    (
        "target",
        "where the client turned to: IP, NETWORK/LENGTH or IP:PORT",
    ),
    ("address", "client, target or backend"),
    ("port", "the port of client or target"),
    ("protocol", "tcp, udp or sctp"),
    ("verdict", "pass, drop, established, new or reply"),
    ("reason", "why it was dropped or passed"),
];

/// An address, or all of a network, and perhaps a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    net: IpNet,
    port: Option<u16>,
}

impl Place {
    /// Whether an address and port lie in it.
    #[must_use]
    pub fn holds(&self, address: SocketAddr) -> bool {
        self.net.contains(&address.ip()) && self.port.is_none_or(|port| port == address.port())
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let (net, port) = (IpNet::from(ip), None);
            return Ok(Self { net, port });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let (net, port) = (IpNet::from(address.ip()), Some(address.port()));
            return Ok(Self { net, port });
        }
        let net = bare
            .parse()
            .map_err(|_| format!("{text:?} is no IP, NETWORK/LENGTH or IP:PORT"))?;
        Ok(Self { net, port: None })
    }
}

/// Something that a filter is held against. What is not known of it does not match a filter that asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The service.
    pub service: Option<&'a str>,
    /// The backend.
    pub backend: Option<SocketAddr>,
    /// The client; of a reply: whom it goes to.
    pub client: Option<SocketAddr>,
    /// Where the client turned to; of a reply: where it came from.
    pub target: Option<SocketAddr>,
    /// IP protocol.
    pub protocol: u8,
    /// What was decided.
    pub verdict: Option<&'a str>,
    /// Why it was dropped or passed.
    pub reason: Option<&'a str>,
}

/// Which of them are wanted. Without anything said: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this service.
    pub service: Option<Name>,
    backend: Option<Place>,
    client: Option<Place>,
    target: Option<Place>,
    address: Option<Place>,
    port: Option<u16>,
    protocol: Option<u8>,
    verdict: Option<&'static str>,
    reason: Option<&'static str>,
}

impl Filter {
    /// The filter of these pairs of key and value.
    ///
    /// # Errors
    /// What is wrong with the first that is no filter, for people.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut filter = Self::default();
        for (key, value) in pairs {
            filter.set(key, value)?;
        }
        Ok(filter)
    }

    /// Adds what one key asks for.
    ///
    /// # Errors
    /// There is no such key, or it does not take this.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "service" => {
                let name = value
                    .parse()
                    .map_err(|why| format!("service {value:?}: {why}"))?;
                self.service = Some(name);
            }
            "backend" => self.backend = Some(value.parse()?),
            "client" => self.client = Some(value.parse()?),
            "target" => self.target = Some(value.parse()?),
            "address" => self.address = Some(value.parse()?),
            "port" => {
                let port = value.parse();
                self.port = Some(port.map_err(|_| format!("{value:?} is not a port"))?);
            }
            "protocol" => {
                let number = protocol_number(value);
                self.protocol = Some(number.ok_or_else(|| one_of(value, &["tcp", "udp", "sctp"]))?);
            }
            "verdict" => self.verdict = Some(word(value, &TraceEvent::VERDICTS)?),
            "reason" => self.reason = Some(word(value, &reasons())?),
            _ => {
                let keys = KEYS.map(|(key, _)| key);
                return Err(format!(
                    "there is no filter {key:?}; there are: {}",
                    keys.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Whether it is wanted.
    #[must_use]
    pub fn matches(&self, seen: &Seen<'_>) -> bool {
        let at = |place: Option<Place>, address: Option<SocketAddr>| {
            place.is_none_or(|place| address.is_some_and(|a| place.holds(a)))
        };
        let ends = [seen.client, seen.target, seen.backend];
        self.service
            .as_ref()
            .is_none_or(|name| seen.service == Some(name.as_str()))
            && at(self.backend, seen.backend)
            && at(self.client, seen.client)
            && at(self.target, seen.target)
            && self
                .address
                .is_none_or(|place| ends.iter().flatten().any(|end| place.holds(*end)))
            && self
                .port
                .is_none_or(|port| ends[..2].iter().flatten().any(|end| end.port() == port))
            && self.protocol.is_none_or(|number| number == seen.protocol)
            && self.verdict.is_none_or(|word| seen.verdict == Some(word))
            && self.reason.is_none_or(|word| seen.reason == Some(word))
    }
}

/// All words for why something was dropped or passed.
fn reasons() -> Vec<&'static str> {
    let drops = Reason::ALL.iter().map(|reason| reason.word());
    drops
        .chain(PassReason::ALL.iter().map(|reason| reason.word()))
        .collect()
}

fn word(value: &str, words: &[&'static str]) -> Result<&'static str, String> {
    let found = words.iter().find(|word| **word == value);
    found.copied().ok_or_else(|| one_of(value, words))
}

fn one_of(value: &str, words: &[&str]) -> String {
    format!("{value:?} is none of: {}", words.join(", "))
}

/// The word for an IP protocol; a number where there is none.
#[must_use]
pub fn protocol_word(number: u8) -> Cow<'static, str> {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        132 => "sctp".into(),
        other => other.to_string().into(),
    }
}

/// The number of an IP protocol that is balanced.
#[must_use]
pub fn protocol_number(word: &str) -> Option<u8> {
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Some(6),
        "udp" => Some(17),
        "sctp" => Some(132),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn seen() -> Seen<'static> {
        Seen {
            service: Some("web"),
            backend: Some("10.0.0.11:8080".parse().unwrap()),
            client: Some("192.0.2.9:4711".parse().unwrap()),
            target: Some("192.168.1.100:80".parse().unwrap()),
            protocol: 6,
            verdict: Some("new"),
            reason: None,
        }
    }

    #[test]
    fn each_key_tells_what_it_names_from_the_rest() {
        for (key, right, wrong) in [
            ("service", "web", "mail"),
            ("backend", "10.0.0.11", "10.0.0.12"),
            ("backend", "10.0.0.11:8080", "10.0.0.11:8081"),
            ("client", "192.0.2.0/24", "192.0.3.0/24"),
            ("target", "192.168.1.100:80", "192.0.2.9"),
            ("address", "10.0.0.0/8", "2001:db8::/32"),
            ("port", "4711", "8080"),
            ("protocol", "tcp", "udp"),
            ("verdict", "new", "drop"),
        ] {
            let of = |value| Filter::of([(key, value)]).unwrap();
            assert!(of(right).matches(&seen()), "{key}={right}");
            assert!(!of(wrong).matches(&seen()), "{key}={wrong}");
        }
        let all = [("service", "web"), ("port", "80"), ("verdict", "drop")];
        assert!(!Filter::of(all).unwrap().matches(&seen()));
        assert!(Filter::default().matches(&Seen::default()));
        // What is not known is not what is asked for.
        assert!(
            !Filter::of([("reason", "no-backend")])
                .unwrap()
                .matches(&seen())
        );
    }

    #[test]
    fn what_is_no_filter_says_so() {
        for (key, value, said) in [
            ("colour", "red", "service, backend"),
            ("port", "70000", "not a port"),
            ("client", "nobody", "NETWORK/LENGTH"),
            ("protocol", "icmp", "sctp"),
            ("verdict", "maybe", "established"),
            ("reason", "mood", "no-backend"),
            ("service", "a b", "letters"),
        ] {
            let why = Filter::of([(key, value)]).unwrap_err();
            assert!(why.contains(said), "{key}={value}: {why}");
        }
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        for (text, inside) in [
            ("::1", "[::1]:5"),
            ("[::1]", "[::1]:5"),
            ("[::1]:5", "[::1]:5"),
            ("2001:db8::/32", "[2001:db8::7]:1"),
        ] {
            let place: Place = text.parse().unwrap();
            assert!(place.holds(inside.parse().unwrap()), "{text}");
        }
    }
}
