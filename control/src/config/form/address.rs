//! Addresses: of backends, listeners, sources and networks.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;

use super::{Fault, Form, is_not};
use crate::{
    config::{limits, walk::quote},
    spec::{AdminSpec, Listen, Scheme},
};

/// `IP:PORT`, as something to connect to: the port is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Address(pub(in crate::config) SocketAddr);

impl Form for Address {
    const WHAT: &'static str = "an address such as \"10.0.0.11:8080\"";
    const EXAMPLE: &'static str = "10.0.0.11:8080";
    const PATTERN: &'static str = r"^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let address = socket(text)?;
        if address.port() == 0 {
            return Err(Fault::new("port 0 is no port to connect to"));
        }
        if address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(Fault::new(format!(
                "{} is no address to connect to",
                address.ip()
            )));
        }
        Ok(Self(address))
    }
}

/// `IP:PORT` or `IP` of a backend. Port 0, as without one: the port that the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Server(pub(in crate::config) SocketAddr);

impl Form for Server {
    const WHAT: &'static str = Address::WHAT;
    const EXAMPLE: &'static str = Address::EXAMPLE;
    const PATTERN: &'static str = r"^([0-9.]+(:[0-9]+)?|\[[0-9a-fA-F:.]+\](:[0-9]+)?|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,})$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let in_brackets = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let bare = match in_brackets {
            Some(text) => text.parse().ok().map(IpAddr::V6),
            // What may be an address with a port that lacks its brackets is not taken for one without a port.
            None => text.parse().ok().filter(|_| unbracketed(text).is_none()),
        };
        let address = match bare {
            Some(ip) => SocketAddr::new(ip, 0),
            None => socket(text)?,
        };
        if address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(Fault::new(format!(
                "{} is no address to connect to",
                address.ip()
            )));
        }
        Ok(Self(address))
    }
}

/// `IP:PORT`, as something to listen on. Port 0 is any free port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Local(pub(in crate::config) SocketAddr);

impl Form for Local {
    const WHAT: &'static str = "an address to listen on, such as \"127.0.0.1:9901\"";
    const EXAMPLE: &'static str = "127.0.0.1:9901";
    const PATTERN: &'static str = Address::PATTERN;

    fn parse(text: &str) -> Result<Self, Fault> {
        socket(text).map(Self)
    }
}

/// Reads `IP:PORT`.
fn socket(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address {
            SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
                let v4 = SocketAddr::new(v6.ip().to_canonical(), v6.port());
                Err(Fault::new("an IPv4 address is written as one").help(format!("write \"{v4}\"")))
            }
            SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                Err(Fault::new("an address with a zone cannot be used here")
                    .help("write a global or unique local address"))
            }
            address => Ok(address),
        };
    }
    let shown = quote(text);
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(Fault::new(format!("\"{shown}\" has no port"))
            .help(format!("write \"{shown}:80\", with the port you mean")));
    }
    if let Some((host, port)) = unbracketed(text) {
        return Err(Fault::new("an IPv6 address with a port stands in brackets")
            .help(format!("write \"[{host}]:{port}\"")));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>() {
        return Err(Fault::new(format!("\"{shown}\" has no port"))
            .help(format!("write \"[{ip}]:80\", with the port you mean")));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(is_not::<Address>(text).help("write IP:PORT or [IPv6]:PORT"));
    };
    if port.is_empty() {
        return Err(Fault::new(format!("\"{shown}\" has no port"))
            .help(format!("write \"{shown}80\", with the port you mean")));
    }
    if port.parse::<u16>().is_err() {
        let at = text.len() - port.len()..text.len();
        let fault = Fault::new(format!("\"{}\" is not a port", quote(port)));
        return Err(fault.help("a port is a number from 1 to 65535").at(at));
    }
    if host.is_empty() || host == "*" {
        return Err(
            Fault::new(format!("\"{shown}\" has no address")).help(format!(
                "write \"0.0.0.0:{port}\" for all of IPv4, \"[::]:{port}\" for all of IPv6"
            )),
        );
    }
    let name = host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains(':');
    let fault = is_not::<Address>(text).at(0..host.len());
    Err(match name {
        true => fault.help("write the IP address: names are not resolved"),
        false => fault.help("write IP:PORT or [IPv6]:PORT"),
    })
}

/// `ADDRESS:PORT` with an IPv6 address: where both readings make sense, what is behind the last colon is
/// likelier a port if it is decimal and the address is short.
fn unbracketed(text: &str) -> Option<(std::net::Ipv6Addr, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.parse().ok()?;
    let port = port.parse().ok()?;
    (!text.ends_with("::0")).then_some((host, port))
}

impl Form for IpAddr {
    const WHAT: &'static str = "an IP address";
    const EXAMPLE: &'static str = "10.0.0.2";
    const PATTERN: &'static str = "^[0-9a-fA-F:.]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| {
            let fault = is_not::<Self>(text);
            match text.parse::<SocketAddr>() {
                Ok(address) => fault.help(format!("write \"{}\", without the port", address.ip())),
                Err(_) => fault,
            }
        })
    }
}

impl Form for IpNet {
    const WHAT: &'static str = "a network such as \"10.0.0.0/8\"";
    const EXAMPLE: &'static str = "10.0.0.0/8";
    const PATTERN: &'static str = "^[0-9a-fA-F:.]+(/[0-9]+)?$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::from(ip));
        }
        let net: Self = text.parse().map_err(|_| is_not::<Self>(text))?;
        if net.addr() != net.network() {
            return Err(Fault::new(format!("{net} is an address within a network"))
                .help(format!("write \"{}\"", net.trunc())));
        }
        Ok(net)
    }
}

/// An address with the length of its network's prefix, as an interface has it: `192.168.1.100/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Assigned(pub(in crate::config) IpNet);

impl Form for Assigned {
    const WHAT: &'static str = "an address with its prefix length, such as \"192.168.1.100/24\"";
    const EXAMPLE: &'static str = "192.168.1.100/24";
    const PATTERN: &'static str = "^[0-9a-fA-F:.]+/[0-9]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let net = text.parse().map_err(|_| {
            let fault = is_not::<Self>(text);
            match text.parse::<IpAddr>() {
                Ok(ip) => fault.help(format!(
                    "write \"{ip}/{}\"",
                    if ip.is_ipv4() { 24 } else { 64 }
                )),
                Err(_) => fault,
            }
        })?;
        Ok(Self(net))
    }
}

impl Form for Listen {
    const WHAT: &'static str = "an address to listen on, such as \"http://0.0.0.0:80\"";
    const EXAMPLE: &'static str = "http://0.0.0.0:80";
    const PATTERN: &'static str =
        r"^(tcp|udp|sctp|http|https)://([0-9.]+|\[[0-9a-fA-F:.]+\]):([0-9]+(-[0-9]+)?|\*)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        const SCHEMES: [(&str, Scheme); 5] = [
            ("tcp", Scheme::Tcp),
            ("udp", Scheme::Udp),
            ("sctp", Scheme::Sctp),
            ("http", Scheme::Http),
            ("https", Scheme::Https),
        ];
        let Some((scheme, rest)) = text.split_once("://") else {
            let shown = quote(text);
            return Err(
                Fault::new("an address to listen on begins with its protocol").help(format!(
                    "write \"http://{shown}\", \"tcp://{shown}\" or \"udp://{shown}\""
                )),
            );
        };
        let Some((_, known)) = SCHEMES.iter().find(|(name, _)| *name == scheme) else {
            return Err(Fault::new(format!(
                "\"{}\" is not a protocol to listen for",
                quote(scheme)
            ))
            .meant(scheme, vec!["tcp", "udp", "sctp", "http", "https"])
            .at(0..scheme.len()));
        };
        if let Some((address, _)) = rest.split_once('/') {
            return Err(Fault::new("an address to listen on ends with its port")
                .help(format!(
                    "write \"{scheme}://{}\"; paths belong into routes",
                    quote(address)
                ))
                .at(scheme.len() + 3 + address.len()..text.len()));
        }
        let (first, last_port) = match several_ports(rest) {
            Some(several) => several.map_err(|fault| fault.within(scheme, rest.len()))?,
            None => (rest.to_owned(), None),
        };
        let address = socket(&first).map_err(|fault| fault.within(scheme, rest.len()))?;
        if address.ip().is_multicast() {
            return Err(Fault::new(format!(
                "{} is a multicast address",
                address.ip()
            )));
        }
        Ok(Self {
            scheme: *known,
            address,
            last_port: last_port.unwrap_or(address.port()),
        })
    }
}

/// Takes `IP:*` and `IP:FIRST-LAST` apart: the address with the first port (0 of all), and the last port. None if it is
/// neither.
fn several_ports(text: &str) -> Option<Result<(String, Option<u16>), Fault>> {
    let (host, ports) = text.rsplit_once(':')?;
    if (ports == "*" || ports.contains('-')) && host.parse::<std::net::Ipv6Addr>().is_ok() {
        let fault = Fault::new("an IPv6 address with a port stands in brackets");
        return Some(Err(fault.help(format!("write \"[{host}]:{ports}\""))));
    }
    if ports == "*" {
        return Some(Ok((format!("{host}:0"), Some(u16::MAX))));
    }
    let (first, last) = ports.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let at = host.len() + 1..text.len();
    let (Ok(low), Ok(high)) = (first.parse::<u16>(), last.parse::<u16>()) else {
        let fault = Fault::new(format!("\"{}\" are not ports", quote(ports)));
        return Some(Err(fault.help("ports are numbers from 1 to 65535").at(at)));
    };
    if low == 0 || low > high {
        let fault = Fault::new(format!("{ports} is no range of ports"));
        let (low, high) = (low.min(high).max(1), high.max(low).max(1));
        return Some(Err(fault
            .help(format!("write \"{host}:{low}-{high}\""))
            .at(at)));
    }
    Some(Ok((format!("{host}:{low}"), Some(high))))
}

impl Fault {
    /// The same fault of a text of `length` bytes that has the scheme before it.
    fn within(mut self, scheme: &str, length: usize) -> Self {
        let before = scheme.len() + 3;
        let at = self.at.unwrap_or(0..length);
        self.at = Some(before + at.start..before + at.end);
        for help in &mut self.help {
            // Help that says what to write in quotes says it with the scheme.
            *help = help
                .replace("write \"", &format!("write \"{scheme}://"))
                .replace(", \"[::]", &format!(", \"{scheme}://[::]"));
        }
        self
    }
}

/// Where the admin API listens: a unix socket, or TCP.
#[derive(Clone, Debug)]
pub(in crate::config) enum AdminAddress {
    /// `unix:/path`
    Unix(PathBuf),
    /// `IP:PORT`
    Tcp(SocketAddr),
}

impl Form for AdminAddress {
    const WHAT: &'static str = "\"unix:/path\" or an address such as \"127.0.0.1:9900\"";
    const EXAMPLE: &'static str = "unix:/run/aplomb/admin.sock";
    const PATTERN: &'static str = r"^(unix:/.+|([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]+)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.starts_with('/') {
            return Err(is_not::<Self>(text).help(format!("write \"unix:{}\"", quote(text))));
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return match text.parse::<SocketAddr>() {
                Ok(address) => Ok(Self::Tcp(address)),
                Err(_) => socket(text.strip_prefix("tcp://").unwrap_or(text)).and_then(|address| {
                    Err(is_not::<Self>(text).help(format!("write \"{address}\"")))
                }),
            };
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') || path.contains('\0') {
            let example = AdminSpec::DEFAULT_SOCKET;
            return Err(Fault::new("the path of a socket is absolute")
                .help(format!("write \"unix:{example}\"")));
        }
        if path.len() > limits::UNIX_PATH {
            return Err(Fault::new(format!(
                "the path of a socket has at most {} bytes, this one {}",
                limits::UNIX_PATH,
                path.len()
            )));
        }
        Ok(Self::Unix(path.into()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn good_addresses() {
        for text in ["10.0.0.1:80", "[2001:db8::1]:443"] {
            assert_eq!(Address::parse(text).unwrap().0.to_string(), text);
        }
        for text in [
            "tcp://0.0.0.0:80",
            "https://[::]:443",
            "udp://127.0.0.1:0",
            "tcp://192.0.2.1:8000-8100",
            "sctp://[2001:db8::1]:1-65535",
            "udp://192.0.2.1:*",
            "tcp://[2001:db8::1]:*",
        ] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
        for (text, address) in [
            ("10.0.0.1", "10.0.0.1:0"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            // What could be meant either way has a port or brackets.
            ("[2001:db8::1:80]", "[2001:db8::1:80]:0"),
        ] {
            assert_eq!(Server::parse(text).unwrap().0.to_string(), address);
        }
        assert!(Server::parse("2001:db8::1:80").is_err());
        assert_eq!(IpNet::parse("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
    }

    #[test]
    fn nothing_panics() {
        for text in [
            "",
            ":",
            "::",
            "://",
            "tcp://",
            "[",
            "]:1",
            "unix:",
            "/",
            "ä:1",
            "tcp://ä:x/ö",
            "[::1%1]:80",
            "tcp://:*",
            "tcp://*:*",
            "tcp://-:-",
            "tcp://[::1:1-2",
            "udp://::1:*",
            "udp://1.2.3.4:99999-99999",
        ] {
            drop(Address::parse(text));
            drop(Server::parse(text));
            drop(Listen::parse(text));
            drop(AdminAddress::parse(text));
            drop(IpNet::parse(text));
            drop(Assigned::parse(text));
        }
    }
}
