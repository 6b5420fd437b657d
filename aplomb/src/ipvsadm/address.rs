//! `HOST[:PORT]` in arguments, and addresses in listings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use control::ipvs::Protocol;

use super::{Names, number::bounded};

/// Host and port as they were given; without a port the port is none.
pub(super) fn parse(
    text: &str,
    protocol: Protocol,
    names: &dyn Names,
) -> Option<(IpAddr, Option<u16>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, port) = bracketed.split_once("]:")?;
        if let Ok(six) = host.parse::<Ipv6Addr>() {
            return Some((six.into(), Some(self::port(port, protocol, names)?)));
        }
        // In brackets `ipvsadm` goes on to take only the host of what is no IPv6 address.
        return Some((four(host, names)?.into(), Some(0)));
    }
    if let Ok(six) = text.parse::<Ipv6Addr>() {
        return Some((six.into(), None));
    }
    match text.split_once(':') {
        None => Some((four(text, names)?.into(), None)),
        Some((host, port)) => {
            let host = four(host, names)?;
            Some((host.into(), Some(self::port(port, protocol, names)?)))
        }
    }
}

fn port(text: &str, protocol: Protocol, names: &dyn Names) -> Option<u16> {
    if let Some(port) = bounded(text, 0, 65_535) {
        return u16::try_from(port).ok();
    }
    // What is meant for a number names nothing.
    if text.is_empty() || text.starts_with(['-', '+']) || text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    names.port(text, protocol)
}

fn four(host: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    if host.is_empty() {
        return None;
    }
    aton(host).or_else(|| names.address(host))
}

/// An IPv4 address as C's `inet_aton` reads it: one to four numbers, decimal, octal or hexadecimal, of which the last
/// fills all that is left.
pub(super) fn aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, before) = parts.split_last()?;
    let left = 4_u32.checked_sub(u32::try_from(before.len()).ok()?)?;
    if left == 0 || before.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 8 * left;
    if room < 32 && *last >> room != 0 {
        return None;
    }
    let mut address = *last;
    for (at, part) in before.iter().enumerate() {
        address |= part << (24 - 8 * at);
    }
    Some(address.into())
}

fn part(text: &str) -> Option<u32> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

/// The longest name of an IPv4 address and its port in a listing's column.
const COLUMN: usize = 28;

/// How addresses are written.
#[derive(Clone, Copy)]
pub(super) struct Writer<'n> {
    /// As numbers, whatever they are called.
    pub(super) numeric: bool,
    pub(super) names: &'n dyn Names,
}

impl Writer<'_> {
    /// Address and port, in full.
    pub(super) fn full(&self, address: SocketAddr, protocol: Protocol) -> String {
        if self.numeric {
            return address.to_string();
        }
        let (ip, port) = (address.ip(), address.port());
        let host = self.names.host(ip).unwrap_or_else(|| ip.to_string());
        let service = (port != 0).then(|| self.names.service(port, protocol));
        let service = service.flatten().unwrap_or_else(|| port.to_string());
        if ip.is_ipv6() {
            format!("[{host}]:{service}")
        } else {
            format!("{host}:{service}")
        }
    }

    /// The same cut to a column's width, as `ipvsadm` does with IPv4.
    pub(super) fn cut(&self, address: SocketAddr, protocol: Protocol) -> String {
        let mut text = self.full(address, protocol);
        if address.is_ipv4() && text.len() > COLUMN {
            let mut end = COLUMN;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_c_does() {
        for (text, address) in [
            ("192.168.1.100", Some("192.168.1.100")),
            ("192.168.1", Some("192.168.0.1")),
            ("0x7f000001", Some("127.0.0.1")),
            ("3232235876", Some("192.168.1.100")),
            ("24", Some("0.0.0.24")),
            ("0300.1", Some("192.0.0.1")),
            ("255.255.255.255", Some("255.255.255.255")),
            ("300.1.1.1", None),
            ("1.2.3.256", None),
            ("1.2.3.4.5", None),
            ("1..2", None),
            ("", None),
            ("4294967296", None),
            ("0x+1", None),
            ("09", None),
        ] {
            let read = aton(text).map(|a| a.to_string());
            assert_eq!(read.as_deref(), address, "{text}");
        }
    }
}
